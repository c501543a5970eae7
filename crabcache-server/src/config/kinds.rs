//! The types of parameters: how a value is read from words and written back.

use super::{Line, Word, Words};
use crate::error::ParamError;
use crabcache_resp::number::parse_i64;
use crabcache_resp::words::quote;

/// A type of parameter.
pub(super) trait Kind {
    /// The type of the field.
    type Value: PartialEq;

    /// Reads a value.
    fn parse(&self, words: &Words) -> Result<Self::Value, ParamError>;

    /// Writes it as CONFIG GET shows it.
    fn format(&self, value: &Self::Value) -> Word;

    /// Reads a value into the place of the current one. Some kinds add to it or change only a part;
    /// `again` tells that an earlier line of the same files has set it.
    fn update(
        &self,
        current: &mut Self::Value,
        words: &Words,
        _again: bool,
    ) -> Result<(), ParamError> {
        *current = self.parse(words)?;
        Ok(())
    }

    /// Writes it as it stands in redis.conf.
    fn lines(&self, value: &Self::Value, default: &Self::Value) -> Vec<Line> {
        vec![Line { text: text_of(self.format(value)), is_default: value == default }]
    }

    /// Tells what it may be.
    fn domain(&self) -> String;
}

/// What kinds write is text, but for [`Bytes`], which are quoted.
fn text_of(word: Word) -> String {
    String::from_utf8_lossy(&word).into_owned()
}

/// The only word of a setting.
pub(super) fn one_word(words: &Words) -> Result<&[u8], ParamError> {
    match words {
        [word] => Ok(word),
        _ => Err(ParamError::WrongNumberOfArguments),
    }
}

/// The only word of a setting, as text.
pub(super) fn one_text(words: &Words) -> Result<&str, ParamError> {
    std::str::from_utf8(one_word(words)?).map_err(|_| ParamError::NotUtf8)
}

/// `yes` or `no`.
pub(super) struct YesNo;

impl Kind for YesNo {
    type Value = bool;

    fn parse(&self, words: &Words) -> Result<bool, ParamError> {
        match one_word(words)? {
            word if word.eq_ignore_ascii_case(b"yes") => Ok(true),
            word if word.eq_ignore_ascii_case(b"no") => Ok(false),
            _ => Err(ParamError::NotYesNo),
        }
    }

    fn format(&self, value: &bool) -> Word {
        if *value { "yes" } else { "no" }.into()
    }

    fn domain(&self) -> String {
        "yes or no".to_string()
    }
}

/// Refuses a number outside of the bounds.
fn check_bounds(value: i64, min: i64, max: i64) -> Result<i64, ParamError> {
    if (min..=max).contains(&value) { Ok(value) } else { Err(ParamError::OutOfRange(min, max)) }
}

/// An integer within bounds.
pub(super) struct Int(pub(super) i64, pub(super) i64);

impl Kind for Int {
    type Value = i64;

    fn parse(&self, words: &Words) -> Result<i64, ParamError> {
        let value = parse_i64(one_word(words)?).ok_or(ParamError::NotInteger)?;
        check_bounds(value, self.0, self.1)
    }

    fn format(&self, value: &i64) -> Word {
        value.to_string().into()
    }

    fn domain(&self) -> String {
        match (self.0, self.1) {
            (min, i64::MAX) => format!("an integer from {min}"),
            (min, max) => format!("an integer from {min} to {max}"),
        }
    }
}

/// An integer within bounds that the reference keeps in an unsigned type: a negative one is told
/// another error.
pub(super) struct Unsigned(pub(super) i64, pub(super) i64);

impl Kind for Unsigned {
    type Value = i64;

    fn parse(&self, words: &Words) -> Result<i64, ParamError> {
        match parse_i64(one_word(words)?).ok_or(ParamError::NotInteger)? {
            ..0 => Err(ParamError::Negative),
            value => check_bounds(value, self.0, self.1),
        }
    }

    fn format(&self, value: &i64) -> Word {
        value.to_string().into()
    }

    fn domain(&self) -> String {
        Int(self.0, self.1).domain()
    }
}

/// An integer that is taken into bounds instead of being refused.
pub(super) struct Clamped(pub(super) i64, pub(super) i64);

impl Kind for Clamped {
    type Value = i64;

    fn parse(&self, words: &Words) -> Result<i64, ParamError> {
        let value = Int(0, i64::from(i32::MAX)).parse(words)?;
        Ok(value.clamp(self.0, self.1))
    }

    fn format(&self, value: &i64) -> Word {
        value.to_string().into()
    }

    fn domain(&self) -> String {
        Int(self.0, self.1).domain()
    }
}

/// Permissions of a file, in octal digits.
pub(super) struct Octal(pub(super) i64);

impl Kind for Octal {
    type Value = i64;

    fn parse(&self, words: &Words) -> Result<i64, ParamError> {
        let word = std::str::from_utf8(one_word(words)?).map_err(|_| ParamError::NotOctal)?;
        match i64::from_str_radix(word, 8).map_err(|_| ParamError::NotOctal)? {
            ..0 => Err(ParamError::Negative),
            value if value > self.0 => Err(ParamError::OutOfOctalRange(0, self.0)),
            value => Ok(value),
        }
    }

    fn format(&self, value: &i64) -> Word {
        format!("{value:o}").into()
    }

    fn domain(&self) -> String {
        format!("octal digits up to {:o}", self.0)
    }
}

/// Bytes, written with a unit (`64mb`) if one likes.
#[derive(Debug, Clone, Copy)]
pub struct Memory(pub(super) i64, pub(super) i64);

impl Memory {
    /// Reads a number with an optional unit: `b`, `k` (1000), `kb` (1024), and so on to `gb`.
    pub fn parse_bytes(text: &[u8]) -> Option<i64> {
        let n_digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, unit) = text.split_at(n_digits);
        let unit = match unit.to_ascii_lowercase().as_slice() {
            b"" | b"b" => 1,
            b"k" => 1000,
            b"kb" => 1 << 10,
            b"m" => 1_000_000,
            b"mb" => 1 << 20,
            b"g" => 1_000_000_000,
            b"gb" => 1 << 30,
            _ => return None,
        };
        // Compat: no digit at all is 0.
        let digits = if digits.is_empty() { "0" } else { std::str::from_utf8(digits).ok()? };
        digits.parse::<i64>().ok()?.checked_mul(unit)
    }

    /// Writes bytes with the largest unit that divides them.
    pub(super) fn with_unit(bytes: i64) -> String {
        for (unit, name) in [(1 << 30, "gb"), (1 << 20, "mb"), (1 << 10, "kb")] {
            if bytes != 0 && bytes % unit == 0 {
                return format!("{}{name}", bytes / unit);
            }
        }
        bytes.to_string()
    }
}

impl Kind for Memory {
    type Value = i64;

    fn parse(&self, words: &Words) -> Result<i64, ParamError> {
        let value = Memory::parse_bytes(one_word(words)?).ok_or(ParamError::NotMemory)?;
        check_bounds(value, self.0, self.1)
    }

    fn format(&self, value: &i64) -> Word {
        value.to_string().into()
    }

    fn lines(&self, value: &i64, default: &i64) -> Vec<Line> {
        vec![Line { text: Memory::with_unit(*value), is_default: value == default }]
    }

    fn domain(&self) -> String {
        match (self.0, self.1) {
            (0, _) => "bytes".to_string(),
            (min, _) => format!("bytes, at least {}", Memory::with_unit(min)),
        }
    }
}

/// Bytes, or a percentage of `maxmemory`, which is kept as a negative number.
pub(super) struct MemoryOrPercent;

impl Kind for MemoryOrPercent {
    type Value = i64;

    fn parse(&self, words: &Words) -> Result<i64, ParamError> {
        let word = one_word(words)?;
        if let Some(bytes) = Memory::parse_bytes(word) {
            return Ok(bytes);
        }
        match word.strip_suffix(b"%").and_then(parse_i64) {
            Some(percent @ 0..=100) => Ok(-percent),
            Some(101..) => Err(ParamError::PercentTooLarge(100)),
            _ => Err(ParamError::NotMemoryOrPercent),
        }
    }

    fn format(&self, value: &i64) -> Word {
        if *value < 0 { format!("{}%", -value) } else { value.to_string() }.into()
    }

    fn lines(&self, value: &i64, default: &i64) -> Vec<Line> {
        let text = if *value < 0 { text_of(self.format(value)) } else { Memory::with_unit(*value) };
        vec![Line { text, is_default: value == default }]
    }

    fn domain(&self) -> String {
        "bytes, or a percentage of maxmemory".to_string()
    }
}

/// A condition that a text must meet.
pub(super) type Check = fn(&str) -> Result<(), ParamError>;

/// Any text that meets a condition.
pub(super) struct Text(pub(super) Check);

impl Kind for Text {
    type Value = String;

    fn parse(&self, words: &Words) -> Result<String, ParamError> {
        let text = one_text(words)?;
        (self.0)(text)?;
        Ok(text.to_string())
    }

    fn format(&self, value: &String) -> Word {
        value.clone().into()
    }

    fn lines(&self, value: &String, default: &String) -> Vec<Line> {
        vec![Line { text: quote(value.as_bytes()), is_default: value == default }]
    }

    fn domain(&self) -> String {
        "text".to_string()
    }
}

/// A text that may be missing: then redis.conf has no line of it.
pub(super) struct Optional(pub(super) Check);

impl Kind for Optional {
    type Value = String;

    fn parse(&self, words: &Words) -> Result<String, ParamError> {
        Text(self.0).parse(words)
    }

    fn format(&self, value: &String) -> Word {
        value.clone().into()
    }

    fn lines(&self, value: &String, default: &String) -> Vec<Line> {
        if value.is_empty() { Vec::new() } else { Text(self.0).lines(value, default) }
    }

    fn domain(&self) -> String {
        "text, or nothing".to_string()
    }
}

/// Bytes that may be missing and need not be text: passwords.
pub(super) struct Bytes;

impl Kind for Bytes {
    type Value = Vec<u8>;

    fn parse(&self, words: &Words) -> Result<Vec<u8>, ParamError> {
        one_word(words).map(<[u8]>::to_vec)
    }

    fn format(&self, value: &Vec<u8>) -> Word {
        value.clone()
    }

    fn lines(&self, value: &Vec<u8>, _: &Vec<u8>) -> Vec<Line> {
        if value.is_empty() {
            return Vec::new();
        }
        vec![Line { text: quote(value), is_default: false }]
    }

    fn domain(&self) -> String {
        "bytes, or nothing".to_string()
    }
}

/// One of a few names. Where two names mean the same, the first is shown.
pub(super) struct Choice<T: 'static>(pub(super) &'static [(&'static str, T)]);

impl<T> Choice<T> {
    fn names(&self) -> String {
        self.0.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    fn find(&self, word: &[u8]) -> Result<&T, ParamError> {
        let found = self.0.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(word));
        found.map(|(_, value)| value).ok_or_else(|| ParamError::NotOneOf(self.names()))
    }
}

impl<T: Copy + PartialEq> Kind for Choice<T> {
    type Value = T;

    fn parse(&self, words: &Words) -> Result<T, ParamError> {
        match words {
            [word] => self.find(word).copied(),
            _ => Err(ParamError::NotOneOf(self.names())),
        }
    }

    fn format(&self, value: &T) -> Word {
        let found = self.0.iter().find(|(_, candidate)| candidate == value);
        found.map_or("", |(name, _)| name).into()
    }

    fn domain(&self) -> String {
        format!("one of: {}", self.names())
    }
}

/// Any of a few names together; the first one is none of the others.
pub(super) struct Set<T: 'static> {
    pub(super) names: Choice<T>,
    pub(super) check: fn(&T) -> Result<(), ParamError>,
}

impl<T: bitflags::Flags + Copy + PartialEq> Kind for Set<T> {
    type Value = T;

    fn parse(&self, words: &Words) -> Result<T, ParamError> {
        if words.is_empty() {
            return Err(ParamError::NotOneOf(self.names.names()));
        }
        let mut all = T::empty();
        for word in words {
            all.insert(*self.names.find(word)?);
        }
        (self.check)(&all)?;
        Ok(all)
    }

    fn format(&self, value: &T) -> Word {
        let is_named =
            |flag: &T| if flag.is_empty() { value.is_empty() } else { value.contains(*flag) };
        let names: Vec<&str> =
            self.names.0.iter().filter(|(_, flag)| is_named(flag)).map(|(name, _)| *name).collect();
        names.join(" ").into()
    }

    fn domain(&self) -> String {
        format!("one or more of: {}", self.names.names())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_units() {
        let cases = [
            ("1", 1),
            ("2b", 2),
            ("1k", 1000),
            ("1kb", 1024),
            ("3MB", 3 << 20),
            ("1g", 1_000_000_000),
        ];
        for (text, bytes) in cases {
            assert_eq!(Memory::parse_bytes(text.as_bytes()), Some(bytes), "{text}");
        }
        for text in ["x", "1tb", "1.5mb", "-1", "99999999999gb"] {
            assert_eq!(Memory::parse_bytes(text.as_bytes()), None, "{text}");
        }
        for (bytes, text) in [(0, "0"), (1023, "1023"), (2048, "2kb"), (3 << 30, "3gb")] {
            assert_eq!(Memory::with_unit(bytes), text);
        }
    }

    #[test]
    fn percentages() {
        let parse = |text: &str| MemoryOrPercent.parse(&[text.into()]);
        assert_eq!((parse("5%"), parse("1mb")), (Ok(-5), Ok(1 << 20)));
        assert_eq!(parse("101%"), Err(ParamError::PercentTooLarge(100)));
        assert_eq!(parse("%"), Err(ParamError::NotMemoryOrPercent));
        assert_eq!(MemoryOrPercent.format(&-5), b"5%");
    }
}
