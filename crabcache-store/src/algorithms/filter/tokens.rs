//! The words of an expression.

use super::value::{List, Value, parse_number};
use std::borrow::Cow;

/// Longer numbers are none.
const NUMBER_LEN_MAX: usize = 254;

/// An operator, or a parenthesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Open,
    Close,
    Not,
    Power,
    Times,
    Divided,
    Modulo,
    Plus,
    Minus,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    In,
    And,
    Or,
}

/// How operators are written. One that begins with another stands before it.
const SPELLINGS: &[(&[u8], Operator)] = &[
    (b"not", Operator::Not),
    (b"and", Operator::And),
    (b"**", Operator::Power),
    (b">=", Operator::GreaterOrEqual),
    (b"<=", Operator::LessOrEqual),
    (b"==", Operator::Equal),
    (b"!=", Operator::NotEqual),
    (b"in", Operator::In),
    (b"&&", Operator::And),
    (b"or", Operator::Or),
    (b"||", Operator::Or),
    (b"(", Operator::Open),
    (b")", Operator::Close),
    (b"!", Operator::Not),
    (b"*", Operator::Times),
    (b"/", Operator::Divided),
    (b"%", Operator::Modulo),
    (b"+", Operator::Plus),
    (b"-", Operator::Minus),
    (b">", Operator::Greater),
    (b"<", Operator::Less),
];

/// A word.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'e> {
    Value(Value<'e>),
    /// The field of this name.
    Field(&'e [u8]),
    Operator(Operator),
}

/// Splits an expression, or tells where that failed.
pub(super) fn split(text: &[u8]) -> Result<Vec<Token<'_>>, usize> {
    let mut reader = Reader { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        reader.skip_spaces();
        let Some(first) = reader.peek(0) else { return Ok(tokens) };
        // Behind an operand, a minus is an operator.
        let begins_operand = match tokens.last() {
            None => true,
            Some(Token::Operator(operator)) => *operator != Operator::Close,
            Some(_) => false,
        };
        let token = match first {
            b'0'..=b'9' => reader.number(),
            b'-' if begins_operand && reader.peek(1).is_some_and(|next| next.is_ascii_digit()) => {
                reader.number()
            }
            b'"' | b'\'' => reader.text(first),
            // Compat: a dot at the very end names the field without a name, which is nowhere.
            b'.' if reader.peek(1).is_none_or(is_of_field) => reader.field(),
            b'[' => reader.list(),
            _ if is_of_operator(first) => reader.operator(),
            _ => None,
        };
        tokens.push(token.ok_or(reader.at)?);
    }
}

fn is_of_field(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn is_of_operator(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || b"+-*%/!()<>=|&".contains(&byte)
}

struct Reader<'e> {
    text: &'e [u8],
    at: usize,
}

impl<'e> Reader<'e> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    fn skip_spaces(&mut self) {
        self.take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r'));
    }

    fn take_while(&mut self, is_wanted: impl Fn(u8) -> bool) -> &'e [u8] {
        let rest = &self.text[self.at..];
        let len = rest.iter().position(|byte| !is_wanted(*byte)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    fn number(&mut self) -> Option<Token<'e>> {
        let start = self.at;
        self.at += usize::from(self.peek(0) == Some(b'-'));
        self.take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E'));
        if self.at - start > NUMBER_LEN_MAX {
            self.at = start + NUMBER_LEN_MAX + 1;
            return None;
        }
        let number = parse_number(&self.text[start..self.at])?;
        Some(Token::Value(Value::Number(number)))
    }

    /// A text up to the next quote without a backslash before it. The backslashes stay.
    fn text(&mut self, quote: u8) -> Option<Token<'e>> {
        self.at += 1;
        let start = self.at;
        while let Some(byte) = self.peek(0) {
            if byte == quote {
                self.at += 1;
                let text = &self.text[start..self.at - 1];
                return Some(Token::Value(Value::Text(Cow::Borrowed(text))));
            }
            self.at += if byte == b'\\' && self.peek(1).is_some() { 2 } else { 1 };
        }
        None
    }

    fn field(&mut self) -> Option<Token<'e>> {
        self.at += 1;
        Some(Token::Field(self.take_while(is_of_field)))
    }

    /// Numbers and texts between brackets; a comma may stand behind the last.
    fn list(&mut self) -> Option<Token<'e>> {
        self.at += 1;
        let mut values = Vec::new();
        loop {
            self.skip_spaces();
            let token = match self.peek(0)? {
                b']' => break,
                b'0'..=b'9' | b'-' => self.number()?,
                quote @ (b'"' | b'\'') => self.text(quote)?,
                _ => return None,
            };
            let Token::Value(value) = token else { return None };
            values.push(value);
            self.skip_spaces();
            match self.peek(0)? {
                b']' => break,
                b',' => self.at += 1,
                _ => return None,
            }
        }
        self.at += 1;
        Some(Token::Value(Value::List(List::Owned(values))))
    }

    /// The longest operator that the next letters and signs begin with, or the word `null`.
    fn operator(&mut self) -> Option<Token<'e>> {
        let rest = &self.text[self.at..];
        let null = b"null";
        if rest.starts_with(null) && !rest.get(null.len()).is_some_and(|next| is_of_operator(*next))
        {
            self.at += null.len();
            return Some(Token::Value(Value::Null));
        }
        match SPELLINGS.iter().find(|(spelling, _)| rest.starts_with(spelling)) {
            Some((spelling, operator)) => {
                self.at += spelling.len();
                Some(Token::Operator(*operator))
            }
            None => {
                self.take_while(is_of_operator);
                None
            }
        }
    }
}
