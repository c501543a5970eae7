//! From the order in which an expression is written to the one in which it is computed.

use super::tokens::{Operator, Token};

impl Operator {
    /// What binds more strongly is computed before.
    fn precedence(self) -> u8 {
        match self {
            Operator::Open | Operator::Close => 7,
            Operator::Not => 6,
            Operator::Power => 5,
            Operator::Times | Operator::Divided | Operator::Modulo => 4,
            Operator::Plus | Operator::Minus => 3,
            Operator::Greater
            | Operator::GreaterOrEqual
            | Operator::Less
            | Operator::LessOrEqual
            | Operator::Equal
            | Operator::NotEqual
            | Operator::In => 2,
            Operator::And => 1,
            Operator::Or => 0,
        }
    }

    /// How many values it takes.
    fn n_operands(self) -> usize {
        if self == Operator::Not { 1 } else { 2 }
    }

    /// Whether it is computed before `next`, which stands behind it.
    fn comes_before(self, next: Operator) -> bool {
        let (own, next_one) = (self.precedence(), next.precedence());
        // Powers are computed from the right.
        own > next_one || own == next_one && next != Operator::Power
    }
}

/// A program that grows, and how many values it leaves.
struct Compiler<'e> {
    program: Vec<Token<'e>>,
    n_values: usize,
    waiting: Vec<Operator>,
}

/// Operands and, behind their operands, operators; `None` if some lack theirs, or if parentheses do
/// not match.
pub(super) fn compile(tokens: Vec<Token<'_>>) -> Option<Vec<Token<'_>>> {
    let mut compiler =
        Compiler { program: Vec::with_capacity(tokens.len()), n_values: 0, waiting: Vec::new() };
    for token in tokens {
        match token {
            Token::Operator(Operator::Open) => compiler.waiting.push(Operator::Open),
            Token::Operator(Operator::Close) => compiler.close()?,
            Token::Operator(operator) => compiler.operator(operator)?,
            Token::Value(_) | Token::Field(_) => {
                compiler.program.push(token);
                compiler.n_values += 1;
            }
        }
    }
    while let Some(operator) = compiler.waiting.pop() {
        compiler.compute(operator)?;
    }
    (compiler.n_values == 1).then_some(compiler.program)
}

impl Compiler<'_> {
    fn operator(&mut self, operator: Operator) -> Option<()> {
        while let Some(&before) = self.waiting.last()
            && before != Operator::Open
            && before.comes_before(operator)
        {
            self.waiting.pop();
            self.compute(before)?;
        }
        self.waiting.push(operator);
        Some(())
    }

    fn close(&mut self) -> Option<()> {
        loop {
            match self.waiting.pop()? {
                Operator::Open => return Some(()),
                operator => self.compute(operator)?,
            }
        }
    }

    fn compute(&mut self, operator: Operator) -> Option<()> {
        if operator == Operator::Open || self.n_values < operator.n_operands() {
            return None;
        }
        self.n_values = self.n_values + 1 - operator.n_operands();
        self.program.push(Token::Operator(operator));
        Some(())
    }
}
