//! Filters: expressions such as `.year > 1980 and .genre in ["drama", "war"]` over the fields of a
//! JSON object.
//!
//! - `tokens`: words of an expression.
//! - `compile`: the order in which they are computed (Dijkstra's shunting yard).
//! - `run`: the computation; `value`: what is computed with.
//! - `json`: finds a field without reading more of the object than is needed.
//!
//! What this is not: a JSON parser. Objects inside of the object have no value here.
//!
//! Which expressions are valid, and what they give, is the reference's.

mod compile;
mod json;
mod run;
mod tokens;
mod value;

use tokens::Token;

/// An expression that can be run.
#[derive(Debug)]
pub struct Filter<'e> {
    /// Operands and, behind their operands, operators.
    program: Vec<Token<'e>>,
}

/// An expression that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invalid {
    /// Where the error was noticed: the rest of the expression from there on.
    pub at: usize,
}

impl<'e> Filter<'e> {
    /// Makes a filter of an expression.
    ///
    /// # Errors
    /// If the expression is not well formed.
    pub fn new(expression: &'e [u8]) -> Result<Filter<'e>, Invalid> {
        // Compat: a 0 byte ends the text.
        let text = expression.split(|byte| *byte == 0).next().unwrap_or_default();
        let shown = |at| Invalid { at: if at >= expression.len() { 0 } else { at } };
        let tokens = tokens::split(text).map_err(shown)?;
        let program = compile::compile(tokens).ok_or(Invalid { at: 0 })?;
        Ok(Filter { program })
    }

    /// Whether an object passes. One without a field that the expression names does not.
    pub fn accepts(&self, object: &[u8]) -> bool {
        run::run(&self.program, object)
    }
}

#[cfg(test)]
mod tests;
