//! One field of a JSON object.
//!
//! What comes before the field is skipped without a close look; what comes behind is not looked at.

use super::value::{List, Value, parse_number};
use std::borrow::Cow;

/// Longer numbers are none.
const NUMBER_LEN_MAX: usize = 255;

/// The value of a field; `None` if there is none, or one that has no value here.
pub(super) fn field<'a>(object: &'a [u8], name: &[u8]) -> Option<Value<'a>> {
    if name.is_empty() {
        return None;
    }
    let mut reader = Reader { text: object, at: 0 };
    reader.next_is(b'{')?;
    loop {
        let start = reader.token_start()?;
        reader.skip_text()?;
        let is_wanted = &object[start + 1..reader.at - 1] == name;
        reader.next_is(b':')?;
        if is_wanted {
            return reader.value();
        }
        reader.skip_value()?;
        reader.next_is(b',')?;
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Goes to what is no space.
    fn token_start(&mut self) -> Option<usize> {
        while matches!(self.peek()?, b' ' | b'\t'..=b'\r') {
            self.at += 1;
        }
        Some(self.at)
    }

    /// Takes the next sign, which must be this one.
    fn next_is(&mut self, sign: u8) -> Option<()> {
        self.token_start()?;
        let is_it = self.peek()? == sign;
        self.at += usize::from(is_it);
        is_it.then_some(())
    }

    fn skip_text(&mut self) -> Option<()> {
        if self.peek()? != b'"' {
            return None;
        }
        self.at += 1;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(())
    }

    fn skip_value(&mut self) -> Option<()> {
        self.token_start()?;
        match self.peek()? {
            b'"' => self.skip_text(),
            b'{' => self.skip_between(b'{', b'}'),
            b'[' => self.skip_between(b'[', b']'),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            _ => (!self.take_number().is_empty()).then_some(()),
        }
    }

    /// Skips to the end of an object or a list; other brackets inside of it are not looked at.
    fn skip_between(&mut self, open: u8, close: u8) -> Option<()> {
        let mut depth = 0usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.skip_text()?;
                    continue;
                }
                byte if byte == open => depth += 1,
                byte if byte == close => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }

    fn literal(&mut self, literal: &[u8]) -> Option<()> {
        let is_it = self.text[self.at..].starts_with(literal);
        self.at += if is_it { literal.len() } else { 0 };
        is_it.then_some(())
    }

    fn take_number(&mut self) -> &'a [u8] {
        let rest = &self.text[self.at..];
        let is_of_number = |byte: &u8| byte.is_ascii_digit() || b"-+.eE".contains(byte);
        let len = rest.iter().position(|byte| !is_of_number(byte)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    /// The value that is next.
    fn value(&mut self) -> Option<Value<'a>> {
        self.token_start()?;
        if self.peek()? == b'[' { self.list() } else { self.scalar() }
    }

    fn scalar(&mut self) -> Option<Value<'a>> {
        match self.peek()? {
            b'"' => self.string(),
            b't' => self.word(b"true", Value::Number(1.0)),
            b'f' => self.word(b"false", Value::Number(0.0)),
            b'n' => self.word(b"null", Value::Null),
            b'0'..=b'9' | b'-' | b'+' => {
                let text = self.take_number();
                // Compat: of a longer one the beginning is taken, and the rest is no value.
                let (number, rest) = text.split_at(text.len().min(NUMBER_LEN_MAX));
                self.at -= rest.len();
                parse_number(number).map(Value::Number)
            }
            _ => None,
        }
    }

    /// A literal with nothing behind it that would make another word of it.
    fn word(&mut self, literal: &[u8], value: Value<'a>) -> Option<Value<'a>> {
        self.literal(literal)?;
        let ends = match self.peek() {
            None => true,
            Some(next) => matches!(next, b' ' | b'\t'..=b'\r' | b',' | b']' | b'}'),
        };
        ends.then_some(value)
    }

    fn string(&mut self) -> Option<Value<'a>> {
        let start = self.at + 1;
        self.skip_text()?;
        let raw = &self.text[start..self.at - 1];
        if !raw.contains(&b'\\') {
            return Some(Value::Text(Cow::Borrowed(raw)));
        }
        let (mut text, mut is_escaped) = (Vec::with_capacity(raw.len()), false);
        for &byte in raw {
            if byte == b'\\' && !is_escaped {
                is_escaped = true;
                continue;
            }
            // Compat: an escape that is not known stands for its own letter.
            text.push(match (is_escaped, byte) {
                (true, b'n') => b'\n',
                (true, b'r') => b'\r',
                (true, b't') => b'\t',
                _ => byte,
            });
            is_escaped = false;
        }
        Some(Value::Text(Cow::Owned(text)))
    }

    /// A list. Lists inside of it must be well formed; they are as good as empty ones.
    fn list(&mut self) -> Option<Value<'a>> {
        let mut values = Vec::new();
        let mut depth = 0usize;
        loop {
            // A list begins or an element is next.
            self.token_start()?;
            if self.peek()? == b'[' {
                self.at += 1;
                depth += 1;
                if depth == 2 {
                    values.push(Value::List(List::Owned(Vec::new())));
                }
                self.token_start()?;
                if self.peek()? != b']' {
                    continue;
                }
            } else {
                let value = self.scalar()?;
                if depth == 1 {
                    values.push(value);
                }
            }
            // An element has ended, and perhaps lists.
            self.token_start()?;
            while self.peek()? == b']' {
                self.at += 1;
                depth -= 1;
                if depth == 0 {
                    return Some(Value::List(List::Owned(values)));
                }
                self.token_start()?;
            }
            self.next_is(b',')?;
        }
    }
}
