//! The types of parameters: how a value is read from words and written back.

use super::Config;
use crate::client::{ClientFlags, ClientHandle};
use crate::error::ParamError;
use crabcache_store::Access;

/// A type of parameter.
pub(super) trait Kind {
    /// The type of the field.
    type Value;

    /// Reads a value.
    fn parse(&self, words: &[String]) -> Result<Self::Value, ParamError>;

    /// Writes it as CONFIG GET shows it.
    fn format(&self, value: &Self::Value) -> String;
}

fn one_word(words: &[String]) -> Result<&str, ParamError> {
    match words {
        [word] => Ok(word),
        _ => Err(ParamError::WrongNumberOfArguments),
    }
}

/// `yes` or `no`.
pub(super) struct YesNo;

impl Kind for YesNo {
    type Value = bool;

    fn parse(&self, words: &[String]) -> Result<bool, ParamError> {
        match one_word(words)? {
            word if word.eq_ignore_ascii_case("yes") => Ok(true),
            word if word.eq_ignore_ascii_case("no") => Ok(false),
            _ => Err(ParamError::NotYesNo),
        }
    }

    fn format(&self, value: &bool) -> String {
        if *value { "yes" } else { "no" }.to_string()
    }
}

/// An integer within bounds.
pub(super) struct Int {
    pub(super) min: i64,
    pub(super) max: i64,
}

impl Kind for Int {
    type Value = i64;

    fn parse(&self, words: &[String]) -> Result<i64, ParamError> {
        let value = one_word(words)?.parse().map_err(|_| ParamError::NotInteger)?;
        if (self.min..=self.max).contains(&value) {
            Ok(value)
        } else {
            Err(ParamError::OutOfRange(self.min, self.max))
        }
    }

    fn format(&self, value: &i64) -> String {
        value.to_string()
    }
}

/// Bytes, written with a unit (`64mb`) if one likes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    pub(super) min: i64,
    pub(super) max: i64,
}

impl Memory {
    /// Reads a number with an optional unit: `b`, `k` (1000), `kb` (1024), and so on to `gb`.
    pub fn parse_bytes(text: &str) -> Option<i64> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" => 1000,
            "kb" => 1 << 10,
            "m" => 1_000_000,
            "mb" => 1 << 20,
            "g" => 1_000_000_000,
            "gb" => 1 << 30,
            _ => return None,
        };
        digits.parse::<i64>().ok()?.checked_mul(unit)
    }
}

impl Kind for Memory {
    type Value = i64;

    fn parse(&self, words: &[String]) -> Result<i64, ParamError> {
        let value = Memory::parse_bytes(one_word(words)?).ok_or(ParamError::NotMemory)?;
        if (self.min..=self.max).contains(&value) {
            Ok(value)
        } else {
            Err(ParamError::OutOfRange(self.min, self.max))
        }
    }

    fn format(&self, value: &i64) -> String {
        value.to_string()
    }
}

/// Any text.
pub(super) struct Text;

impl Kind for Text {
    type Value = String;

    fn parse(&self, words: &[String]) -> Result<String, ParamError> {
        one_word(words).map(str::to_string)
    }

    fn format(&self, value: &String) -> String {
        value.clone()
    }
}

/// One or more words.
pub(super) struct Words;

impl Kind for Words {
    type Value = Vec<String>;

    fn parse(&self, words: &[String]) -> Result<Vec<String>, ParamError> {
        Ok(words.to_vec())
    }

    fn format(&self, value: &Vec<String>) -> String {
        value.join(" ")
    }
}

/// Numbers from 0 to 100; one empty word is none.
pub(super) struct Percentiles;

impl Percentiles {
    /// Six digits behind the point at most.
    pub(super) fn format_one(percentile: f64) -> String {
        let text = format!("{percentile:.6}");
        text.trim_end_matches('0').trim_end_matches('.').to_string()
    }
}

impl Kind for Percentiles {
    type Value = Vec<f64>;

    fn parse(&self, words: &[String]) -> Result<Vec<f64>, ParamError> {
        if words == [""] {
            return Ok(Vec::new());
        }
        let parse_one = |word: &String| {
            let percentile = word.parse().ok().filter(|value: &f64| !value.is_nan());
            match percentile.ok_or(ParamError::NotPercentiles)? {
                percentile @ 0.0..=100.0 => Ok(percentile),
                _ => Err(ParamError::PercentileOutOfRange),
            }
        };
        words.iter().map(parse_one).collect()
    }

    fn format(&self, value: &Vec<f64>) -> String {
        let words: Vec<String> = value.iter().copied().map(Percentiles::format_one).collect();
        words.join(" ")
    }
}

/// One of a few names.
pub(super) struct Choice<T: 'static>(pub(super) &'static [(&'static str, T)]);

impl<T: Copy + PartialEq> Kind for Choice<T> {
    type Value = T;

    fn parse(&self, words: &[String]) -> Result<T, ParamError> {
        let word = one_word(words)?;
        let found = self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
        found.map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<&str> = self.0.iter().map(|(name, _)| *name).collect();
            ParamError::NotOneOf(names.join(", "))
        })
    }

    fn format(&self, value: &T) -> String {
        let found = self.0.iter().find(|(_, candidate)| candidate == value);
        found.map_or("", |(name, _)| name).to_string()
    }
}

/// Who may use a dangerous command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtectedAction {
    /// Nobody.
    No,
    /// Everybody.
    Yes,
    /// Connections from the same host.
    Local,
}

impl ProtectedAction {
    /// Whether `client` may.
    pub fn allows(self, client: &ClientHandle) -> bool {
        match self {
            ProtectedAction::No => false,
            ProtectedAction::Yes => true,
            ProtectedAction::Local => {
                client.flags().contains(ClientFlags::UNIX_SOCKET)
                    || client.addr.starts_with("127.")
                    || client.addr.starts_with("[::1]")
            }
        }
    }
}

/// Which keys go when there is too little memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxmemoryPolicy {
    /// Of those with an expiry, the longest unused.
    VolatileLru,
    /// Of those with an expiry, the least often used.
    VolatileLfu,
    /// Of those with an expiry, any.
    VolatileRandom,
    /// Of those with an expiry, the next to expire.
    VolatileTtl,
    /// The longest unused.
    AllkeysLru,
    /// The least often used.
    AllkeysLfu,
    /// Any.
    AllkeysRandom,
    /// None.
    NoEviction,
}

impl MaxmemoryPolicy {
    /// Whether access clocks tell how often keys were used.
    pub fn is_lfu(self) -> bool {
        matches!(self, MaxmemoryPolicy::VolatileLfu | MaxmemoryPolicy::AllkeysLfu)
    }

    /// What uses leave on access clocks at this time.
    pub fn access(self, config: &Config, now_ms: i64) -> Access {
        if !self.is_lfu() {
            return Access::Lru { clock: (now_ms / 1000) as u32 & 0x00ff_ffff };
        }
        let factor = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
        Access::Lfu {
            minutes: (now_ms / 60_000) as u16,
            log_factor: factor(config.lfu_log_factor),
            decay_minutes: factor(config.lfu_decay_time),
        }
    }
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// An address, or `*`.
    pub host: String,
    /// Not being able to listen there is no error (`-` before the address).
    pub is_optional: bool,
}

impl Endpoint {
    /// Reads one word of `bind`.
    pub fn parse(word: &str) -> Endpoint {
        match word.strip_prefix('-') {
            Some(host) => Endpoint { host: host.to_string(), is_optional: true },
            None => Endpoint { host: word.to_string(), is_optional: false },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        let parse = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_string).collect();
            Percentiles.parse(&words).map(|value| Percentiles.format(&value))
        };
        assert_eq!(parse("0.0 50 99.90 1e1"), Ok("0 50 99.9 10".to_string()));
        assert_eq!(parse(""), Ok(String::new()));
        assert_eq!(parse("50 x"), Err(ParamError::NotPercentiles));
        assert_eq!(parse("nan"), Err(ParamError::NotPercentiles));
        assert_eq!(parse("100.1"), Err(ParamError::PercentileOutOfRange));
        assert_eq!(parse("-1"), Err(ParamError::PercentileOutOfRange));
    }

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
            assert_eq!(Memory::parse_bytes(text), Some(bytes), "{text}");
        }
        for text in ["", "x", "1tb", "1.5mb", "99999999999gb"] {
            assert_eq!(Memory::parse_bytes(text), None, "{text}");
        }
    }
}
