//! What filters compute with.

use crate::algorithms::double;
use std::borrow::Cow;

/// Longer texts are not looked at as numbers.
const NUMBER_LEN_MAX: usize = 255;

/// A value. Lists hold no lists.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Number(f64),
    Text(Cow<'a, [u8]>),
    List(List<'a>),
}

/// Values of a list. (`Cow` would bind the two lifetimes to each other.)
#[derive(Debug, Clone, PartialEq)]
pub(super) enum List<'a> {
    Borrowed(&'a [Value<'a>]),
    Owned(Vec<Value<'a>>),
}

impl<'a> List<'a> {
    pub(super) fn values(&self) -> &[Value<'a>] {
        match self {
            List::Borrowed(values) => values,
            List::Owned(values) => values,
        }
    }
}

impl Value<'_> {
    pub(super) fn of_bool(is_true: bool) -> Self {
        Value::Number(if is_true { 1.0 } else { 0.0 })
    }

    /// As a number; what is none is 0.
    pub(super) fn number(&self) -> f64 {
        match self {
            Value::Number(number) => *number,
            Value::Text(text) => parse_text(text).unwrap_or(0.0),
            Value::Null | Value::List(_) => 0.0,
        }
    }

    pub(super) fn is_true(&self) -> bool {
        match self {
            Value::Number(number) => *number != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::Null => false,
            Value::List(_) => true,
        }
    }

    /// Values of two types are compared as numbers.
    pub(super) fn equals(&self, other: &Value<'_>) -> bool {
        match (self, other) {
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Null, Value::Null) => true,
            (Value::Null, _) | (_, Value::Null) => false,
            (a, b) => a.number() == b.number(),
        }
    }

    /// Whether it is one of a list, or a part of a text.
    pub(super) fn is_in(&self, other: &Value<'_>) -> bool {
        match (self, other) {
            (_, Value::List(list)) => list.values().iter().any(|one| self.equals(one)),
            (Value::Text(part), Value::Text(text)) => memchr::memmem::find(text, part).is_some(),
            _ => false,
        }
    }
}

/// A number as C's `strtod` reads it; nothing if there is more text.
fn parse_text(text: &[u8]) -> Option<f64> {
    if text.len() > NUMBER_LEN_MAX {
        return None;
    }
    // Compat: a 0 byte ends the text.
    let text = text.split(|byte| *byte == 0).next()?;
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let start = text.iter().position(|byte| !is_space(byte))?;
    parse_number(&text[start..])
}

/// A number, decimal or hexadecimal, that is the whole text.
pub(super) fn parse_number(text: &[u8]) -> Option<f64> {
    let decimal = std::str::from_utf8(text).ok()?.parse().ok();
    decimal.or_else(|| double::parse(text))
}
