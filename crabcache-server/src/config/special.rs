//! Types of single parameters that have a form of their own.

use super::kinds::{Kind, Memory, one_text, one_word};
use super::{Line, Word, Words};
use crate::error::ParamError;
use crate::notify::Classes;
use crabcache_resp::words::quote;

/// An integer as C's `strtoll` reads a whole word: nothing at all is 0, large ones stop at the end
/// of the range.
fn c_integer(word: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(word).ok()?.trim_ascii_start();
    if word.is_empty() {
        return Some(0);
    }
    match text.parse::<i128>() {
        Ok(value) => {
            Some(i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX }))
        }
        Err(_) => None,
    }
}

fn joined<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(" ")
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

/// `bind`: up to 16 addresses.
pub(super) struct Bind;

impl Kind for Bind {
    type Value = Vec<String>;

    fn parse(&self, words: &Words) -> Result<Vec<String>, ParamError> {
        const N_ADDRESSES_MAX: usize = 16;
        if words.len() > N_ADDRESSES_MAX {
            return Err(ParamError::TooManyAddresses);
        }
        if let [word] = words
            && word.is_empty()
        {
            return Ok(Vec::new());
        }
        let text = |word: &Word| String::from_utf8(word.clone()).map_err(|_| ParamError::NotUtf8);
        words.iter().map(text).collect()
    }

    fn format(&self, value: &Vec<String>) -> Word {
        value.join(" ").into()
    }

    fn lines(&self, value: &Vec<String>, default: &Vec<String>) -> Vec<Line> {
        if value == default {
            return Vec::new();
        }
        let text = if value.is_empty() { "\"\"".to_string() } else { value.join(" ") };
        vec![Line { text, is_default: false }]
    }

    fn domain(&self) -> String {
        "up to 16 addresses".to_string()
    }
}

/// When a snapshot is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavePoint {
    /// So long after the last one,
    pub seconds: i64,
    /// if there were so many changes.
    pub changes: i64,
}

/// `save`: pairs of seconds and changes. The first line of a configuration replaces the default,
/// later ones add to it.
pub(super) struct SavePoints;

impl Kind for SavePoints {
    type Value = Vec<SavePoint>;

    fn parse(&self, words: &Words) -> Result<Vec<SavePoint>, ParamError> {
        if let [word] = words
            && word.is_empty()
        {
            return Ok(Vec::new());
        }
        if !words.len().is_multiple_of(2) {
            return Err(ParamError::InvalidSave);
        }
        let number = |word: &Word, min: i64| {
            c_integer(word).filter(|value| *value >= min).ok_or(ParamError::InvalidSave)
        };
        let point = |pair: &Words| {
            Ok(SavePoint { seconds: number(&pair[0], 1)?, changes: number(&pair[1], 0)? })
        };
        words.chunks_exact(2).map(point).collect()
    }

    fn update(
        &self,
        current: &mut Vec<SavePoint>,
        words: &Words,
        again: bool,
    ) -> Result<(), ParamError> {
        let points = self.parse(words)?;
        if !again || points.is_empty() {
            current.clear();
        }
        current.extend(points);
        Ok(())
    }

    fn format(&self, value: &Vec<SavePoint>) -> Word {
        joined(value.iter().flat_map(|point| [point.seconds, point.changes])).into()
    }

    fn lines(&self, value: &Vec<SavePoint>, _: &Vec<SavePoint>) -> Vec<Line> {
        let line = |text: String| Line { text, is_default: false };
        if value.is_empty() {
            return vec![line("\"\"".to_string())];
        }
        value.iter().map(|point| line(format!("{} {}", point.seconds, point.changes))).collect()
    }

    fn domain(&self) -> String {
        "pairs of seconds and changes".to_string()
    }
}

/// How much output a kind of client may leave unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimit {
    /// Never more bytes than this; 0 is no limit.
    pub hard_bytes: u64,
    /// More bytes than this
    pub soft_bytes: u64,
    /// only for so long.
    pub soft_seconds: i64,
}

/// `client-output-buffer-limit`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimits {
    /// Ordinary clients.
    pub normal: OutputLimit,
    /// Replicas.
    pub replica: OutputLimit,
    /// Clients that have subscribed.
    pub pubsub: OutputLimit,
}

impl Default for OutputLimits {
    fn default() -> Self {
        let limit = |hard_mb: u64, soft_mb: u64, soft_seconds| OutputLimit {
            hard_bytes: hard_mb << 20,
            soft_bytes: soft_mb << 20,
            soft_seconds,
        };
        OutputLimits {
            normal: limit(0, 0, 0),
            replica: limit(256, 64, 60),
            pubsub: limit(32, 8, 60),
        }
    }
}

/// Class, hard limit, soft limit, seconds; classes that are not named stay as they are.
pub(super) struct OutputLimitWords;

impl Kind for OutputLimitWords {
    type Value = OutputLimits;

    fn parse(&self, words: &Words) -> Result<OutputLimits, ParamError> {
        let mut limits = OutputLimits::default();
        self.update(&mut limits, words, false)?;
        Ok(limits)
    }

    fn update(&self, current: &mut OutputLimits, words: &Words, _: bool) -> Result<(), ParamError> {
        if !words.len().is_multiple_of(4) {
            return Err(ParamError::OutputLimitWords);
        }
        let mut limits = *current;
        for group in words.chunks_exact(4) {
            let limit = match group[0].to_ascii_lowercase().as_slice() {
                b"normal" => &mut limits.normal,
                b"slave" | b"replica" => &mut limits.replica,
                b"pubsub" => &mut limits.pubsub,
                _ => return Err(ParamError::OutputLimitClass),
            };
            let bytes = |word: &Word| {
                let bytes = Memory::parse_bytes(word).and_then(|bytes| u64::try_from(bytes).ok());
                bytes.ok_or(ParamError::OutputLimitNumber)
            };
            let seconds = c_integer(&group[3]).filter(|seconds| *seconds >= 0);
            *limit = OutputLimit {
                hard_bytes: bytes(&group[1])?,
                soft_bytes: bytes(&group[2])?,
                soft_seconds: seconds.ok_or(ParamError::OutputLimitNumber)?,
            };
        }
        *current = limits;
        Ok(())
    }

    fn format(&self, value: &OutputLimits) -> Word {
        let one = |name: &str, limit: &OutputLimit| {
            format!("{name} {} {} {}", limit.hard_bytes, limit.soft_bytes, limit.soft_seconds)
        };
        let all = [
            one("normal", &value.normal),
            one("slave", &value.replica),
            one("pubsub", &value.pubsub),
        ];
        all.join(" ").into()
    }

    fn lines(&self, value: &OutputLimits, default: &OutputLimits) -> Vec<Line> {
        let unit = |bytes: u64| Memory::with_unit(i64::try_from(bytes).unwrap_or(i64::MAX));
        let one = |name: &str, limit: &OutputLimit, default: &OutputLimit| Line {
            text: format!(
                "{name} {} {} {}",
                unit(limit.hard_bytes),
                unit(limit.soft_bytes),
                limit.soft_seconds
            ),
            is_default: limit == default,
        };
        vec![
            one("normal", &value.normal, &default.normal),
            one("replica", &value.replica, &default.replica),
            one("pubsub", &value.pubsub, &default.pubsub),
        ]
    }

    fn domain(&self) -> String {
        "class (normal, replica or pubsub), hard limit, soft limit, seconds; once or more"
            .to_string()
    }
}

/// `oom-score-adj-values`: of a primary, a replica, a child process.
pub(super) struct OomScores;

impl Kind for OomScores {
    type Value = [i64; 3];

    fn parse(&self, words: &Words) -> Result<[i64; 3], ParamError> {
        let words: &[Word; 3] = words.try_into().map_err(|_| ParamError::WrongNumberOfArguments)?;
        let mut scores = [0; 3];
        for (score, word) in scores.iter_mut().zip(words) {
            let value = c_integer(word).filter(|value| (-2000..=2000).contains(value));
            *score = value.ok_or(ParamError::OomScore)?;
        }
        Ok(scores)
    }

    fn format(&self, value: &[i64; 3]) -> Word {
        joined(value).into()
    }

    fn domain(&self) -> String {
        "three integers from -2000 to 2000: for a primary, a replica, a background process"
            .to_string()
    }
}

/// `latency-tracking-info-percentiles`
pub struct Percentiles;

impl Percentiles {
    /// Writes one of them: six digits behind the point at most.
    pub fn format_one(percentile: f64) -> String {
        let text = format!("{percentile:.6}");
        text.trim_end_matches('0').trim_end_matches('.').to_string()
    }
}

impl Kind for Percentiles {
    type Value = Vec<f64>;

    fn parse(&self, words: &Words) -> Result<Vec<f64>, ParamError> {
        if let [word] = words
            && word.is_empty()
        {
            return Ok(Vec::new());
        }
        let percentile = |word: &Word| {
            let text = std::str::from_utf8(word).map_err(|_| ParamError::NotPercentiles)?;
            match text.parse::<f64>() {
                Ok(value) if value.is_nan() => Err(ParamError::NotPercentiles),
                Ok(value) if !(0.0..=100.0).contains(&value) => {
                    Err(ParamError::PercentileOutOfRange)
                }
                Ok(value) => Ok(value),
                Err(_) => Err(ParamError::NotPercentiles),
            }
        };
        words.iter().map(percentile).collect()
    }

    fn format(&self, value: &Vec<f64>) -> Word {
        joined(value.iter().copied().map(Percentiles::format_one)).into()
    }

    fn lines(&self, value: &Vec<f64>, _: &Vec<f64>) -> Vec<Line> {
        let text = match String::from_utf8_lossy(&self.format(value)).into_owned() {
            text if text.is_empty() => "\"\"".to_string(),
            text => text,
        };
        vec![Line { text, is_default: false }]
    }

    fn domain(&self) -> String {
        "numbers from 0 to 100".to_string()
    }
}

/// `notify-keyspace-events`: a letter for each class.
pub(super) struct EventClasses;

/// The letters in the order in which CONFIG GET shows them; those of `A` first.
const CLASS_LETTERS: &[(u8, Classes)] = &[
    (b'g', Classes::GENERIC),
    (b'$', Classes::STRING),
    (b'l', Classes::LIST),
    (b's', Classes::SET),
    (b'h', Classes::HASH),
    (b'z', Classes::ZSET),
    (b'x', Classes::EXPIRED),
    (b'e', Classes::EVICTED),
    (b't', Classes::STREAM),
    (b'd', Classes::MODULE),
    (b'n', Classes::NEW),
    (b'o', Classes::OVERWRITTEN),
    (b'c', Classes::TYPE_CHANGED),
    (b'K', Classes::KEYSPACE),
    (b'E', Classes::KEYEVENT),
    (b'm', Classes::KEY_MISS),
];

/// What `A` stands for.
const ALL_CLASSES: Classes = Classes::GENERIC
    .union(Classes::STRING)
    .union(Classes::LIST)
    .union(Classes::SET)
    .union(Classes::HASH)
    .union(Classes::ZSET)
    .union(Classes::EXPIRED)
    .union(Classes::EVICTED)
    .union(Classes::STREAM)
    .union(Classes::MODULE);

impl Kind for EventClasses {
    type Value = Classes;

    fn parse(&self, words: &Words) -> Result<Classes, ParamError> {
        let mut classes = Classes::empty();
        for byte in one_word(words)? {
            classes |= match CLASS_LETTERS.iter().find(|(letter, _)| letter == byte) {
                _ if *byte == b'A' => ALL_CLASSES,
                Some((_, class)) => *class,
                None => return Err(ParamError::EventClass),
            };
        }
        Ok(classes)
    }

    fn format(&self, value: &Classes) -> Word {
        let mut letters = Vec::new();
        if value.contains(ALL_CLASSES) {
            letters.push(b'A');
        }
        for (letter, class) in CLASS_LETTERS {
            // Compat: beside `A` only the letters that never belong to a type are shown.
            let is_told = value.contains(ALL_CLASSES) && !b"KEm".contains(letter);
            if value.contains(*class) && !is_told {
                letters.push(*letter);
            }
        }
        letters
    }

    fn lines(&self, value: &Classes, default: &Classes) -> Vec<Line> {
        vec![Line { text: quote(&self.format(value)), is_default: value == default }]
    }

    fn domain(&self) -> String {
        "letters: K keyspace, E keyevent, g generic, $ string, l list, s set, h hash, z sorted \
         set, t stream, d module, x expired, e evicted, m missed, n new, o overwritten, c type \
         changed; A for g$lshztdxe"
            .to_string()
    }
}

/// `replicaof`: host and port of the primary.
pub(super) struct ReplicaOf;

impl Kind for ReplicaOf {
    type Value = Option<(String, u16)>;

    fn parse(&self, words: &Words) -> Result<Self::Value, ParamError> {
        let [host, port] = words else { return Err(ParamError::WrongNumberOfArguments) };
        if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
            return Ok(None);
        }
        let port = c_integer(port).and_then(|port| u16::try_from(port).ok());
        let port = port.ok_or(ParamError::MasterPort)?;
        let host = String::from_utf8(host.clone()).map_err(|_| ParamError::NotUtf8)?;
        Ok(Some((host, port)))
    }

    fn format(&self, value: &Self::Value) -> Word {
        value.as_ref().map_or(String::new(), |(host, port)| format!("{host} {port}")).into()
    }

    fn lines(&self, value: &Self::Value, _: &Self::Value) -> Vec<Line> {
        let line = |(host, port): &(String, u16)| Line {
            text: format!("{host} {port}"),
            is_default: false,
        };
        value.iter().map(line).collect()
    }

    fn domain(&self) -> String {
        "host and port, or no one".to_string()
    }
}

/// `dir`: always shown and written as the absolute path that it is.
pub(super) struct Directory;

impl Kind for Directory {
    type Value = String;

    fn parse(&self, words: &Words) -> Result<String, ParamError> {
        one_text(words).map(str::to_string)
    }

    fn format(&self, value: &String) -> Word {
        value.clone().into()
    }

    fn lines(&self, value: &String, _: &String) -> Vec<Line> {
        vec![Line { text: quote(value.as_bytes()), is_default: false }]
    }

    fn domain(&self) -> String {
        "a directory".to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Word> {
        text.split(' ').map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn save_points_add_up_within_a_file() {
        let mut points = vec![SavePoint { seconds: 3600, changes: 1 }];
        let mut update = |text: &str, again| {
            SavePoints.update(&mut points, &words(text), again).map(|()| SavePoints.format(&points))
        };
        assert_eq!(update("900 1", false), Ok(b"900 1".to_vec()));
        assert_eq!(update("300 10 60 100", true), Ok(b"900 1 300 10 60 100".to_vec()));
        for bad in ["0 1", "1 -1", "1", "a b", "1 2 3"] {
            assert_eq!(update(bad, true), Err(ParamError::InvalidSave), "{bad}");
        }
        assert_eq!(update("", true), Ok(Vec::new()));
    }

    #[test]
    fn output_limits_change_only_the_named_classes() {
        let mut limits = OutputLimits::default();
        OutputLimitWords
            .update(&mut limits, &words("replica 1mb 0 5 Normal 7 8 9"), false)
            .unwrap();
        let text = b"normal 7 8 9 slave 1048576 0 5 pubsub 33554432 8388608 60";
        assert_eq!(OutputLimitWords.format(&limits), text);
        let check = |text: &str| OutputLimitWords.parse(&words(text)).err();
        assert_eq!(check("normal 0 0"), Some(ParamError::OutputLimitWords));
        assert_eq!(check("master 0 0 0"), Some(ParamError::OutputLimitClass));
        assert_eq!(check("normal 0 x 0"), Some(ParamError::OutputLimitNumber));
        assert_eq!(check("normal 0 0 -1"), Some(ParamError::OutputLimitNumber));
    }

    #[test]
    fn event_classes_are_shown_in_short() {
        let cases =
            [("KEA", "AKE"), ("g$lshzxetd", "A"), ("Km$", "$Km"), ("", ""), ("AnKm", "AKm")];
        for (given, shown) in cases {
            let classes = EventClasses.parse(&[given.into()]).unwrap();
            assert_eq!(EventClasses.format(&classes), shown.as_bytes(), "{given}");
        }
        assert_eq!(EventClasses.parse(&words("Q")), Err(ParamError::EventClass));
    }

    #[test]
    fn percentiles_keep_their_digits() {
        let parsed = Percentiles.parse(&words("50 99.9 0 100")).unwrap();
        assert_eq!(Percentiles.format(&parsed), b"50 99.9 0 100");
        assert_eq!(Percentiles.parse(&words("101")), Err(ParamError::PercentileOutOfRange));
        assert_eq!(Percentiles.parse(&words("x")), Err(ParamError::NotPercentiles));
    }
}
