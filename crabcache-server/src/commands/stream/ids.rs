//! Ids of entries as clients write them.
//!
//! Compat: the reference reads them as C text: up to the first NUL, with the spaces, signs and
//! leading zeros that `strtoull` takes.

use crate::command::Words;
use crate::error::CommandError;
use crabcache_store::types::stream::StreamId;

/// Longer texts are no ids.
const TEXT_BYTES_MAX: usize = 127;

/// What XADD takes for an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NewId {
    /// `*`
    Auto,
    /// `ms-*`
    AutoSeq(u64),
    /// `ms-seq` or `ms`
    Given(StreamId),
}

/// An id; without a number behind the time, that is `missing_seq`.
pub(super) fn parse(text: &[u8], missing_seq: u64) -> Result<StreamId, CommandError> {
    parse_text(text, missing_seq).ok_or(CommandError::InvalidStreamId)
}

/// All ids of a list.
pub(super) fn parse_all<'a>(
    words: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<StreamId>, CommandError> {
    words.map(|word| parse(word, 0)).collect()
}

/// An id or `-` or `+`.
pub(super) fn parse_or_end(text: &[u8], missing_seq: u64) -> Result<StreamId, CommandError> {
    match c_text(text) {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        _ => parse(text, missing_seq),
    }
}

/// The start of an interval: an id, `-`, `+`, or an id that does not belong to it behind `(`.
pub(super) fn parse_start(text: &[u8]) -> Result<StreamId, CommandError> {
    match text {
        [b'(', id @ ..] if !id.is_empty() => {
            parse(id, 0)?.next().ok_or(CommandError::InvalidIntervalStart)
        }
        _ => parse_or_end(text, 0),
    }
}

/// The end of an interval, in the same forms.
pub(super) fn parse_end(text: &[u8]) -> Result<StreamId, CommandError> {
    match text {
        [b'(', id @ ..] if !id.is_empty() => {
            parse(id, u64::MAX)?.prev().ok_or(CommandError::InvalidIntervalEnd)
        }
        _ => parse_or_end(text, u64::MAX),
    }
}

/// The id of XADD, when it is not `*`.
pub(super) fn parse_new(text: &[u8]) -> Result<NewId, CommandError> {
    if let Some(ms) = c_text(text).strip_suffix(b"-*")
        && !ms.contains(&b'-')
        && text.len() <= TEXT_BYTES_MAX
    {
        return parse_part(ms).map(NewId::AutoSeq).ok_or(CommandError::InvalidStreamId);
    }
    parse(text, 0).map(NewId::Given)
}

/// `COUNT count`, where less than 0 is 0.
pub(super) fn parse_count(words: &mut Words<'_>) -> Result<usize, CommandError> {
    Ok(usize::try_from(words.int()?).unwrap_or(0))
}

fn parse_text(text: &[u8], missing_seq: u64) -> Option<StreamId> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let text = c_text(text);
    match text.iter().position(|byte| *byte == b'-') {
        None => Some(StreamId::new(parse_part(text)?, missing_seq)),
        Some(at) => Some(StreamId::new(parse_part(&text[..at])?, parse_part(&text[at + 1..])?)),
    }
}

/// The bytes before the first NUL.
fn c_text(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or(text)
}

fn parse_part(text: &[u8]) -> Option<u64> {
    if crabcache_resp::number::parse_i64(text).is_some_and(|value| value < 0) {
        return None;
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let start = text.iter().position(|byte| !is_space(byte))?;
    let (is_negative, digits) = match &text[start..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let value = digits.iter().try_fold(0u64, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })?;
    Some(if is_negative { value.wrapping_neg() } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(ms: u64, seq: u64) -> Option<StreamId> {
        Some(StreamId { ms, seq })
    }

    #[test]
    fn texts() {
        for (text, expected) in [
            ("5", id(5, 9)),
            ("5-0", id(5, 0)),
            ("18446744073709551615-18446744073709551615", id(u64::MAX, u64::MAX)),
            ("18446744073709551616-0", None),
            ("0007-08", id(7, 8)),
            (" 7-\t8", id(7, 8)),
            ("+7-+8", id(7, 8)),
            ("7 -8", None),
            ("7-8 ", None),
            ("7--3", None),
            ("7--03", id(7, 3u64.wrapping_neg())),
            ("7-8\x00rest", id(7, 8)),
            ("", None),
            ("-", None),
            ("+", None),
            ("-5", None),
            ("5-", None),
            ("a-1", None),
            ("1-a", None),
            ("1-*", None),
        ] {
            assert_eq!(parse(text.as_bytes(), 9).ok(), expected, "{text}");
        }
        assert_eq!(parse(&[b'0'; 127], 0).ok(), id(0, 0));
        assert_eq!(parse(&[b'0'; 128], 0).ok(), None);
    }

    #[test]
    fn intervals() {
        let start = |text: &str| parse_start(text.as_bytes()).ok();
        let end = |text: &str| parse_end(text.as_bytes()).ok();
        assert_eq!((start("-"), end("+")), (Some(StreamId::MIN), Some(StreamId::MAX)));
        assert_eq!((start("5"), end("5")), (id(5, 0), id(5, u64::MAX)));
        assert_eq!((start("(5"), end("(5")), (id(5, 1), id(5, u64::MAX - 1)));
        assert_eq!((start("(5-1"), end("(5-0")), (id(5, 2), id(4, u64::MAX)));
        assert_eq!((start("("), end("(+"), start("(-")), (None, None, None));
        let largest = b"(18446744073709551615-18446744073709551615";
        assert_eq!(parse_start(largest), Err(CommandError::InvalidIntervalStart));
        assert_eq!(parse_end(b"(0-0"), Err(CommandError::InvalidIntervalEnd));
    }

    #[test]
    fn new_ids() {
        assert_eq!(parse_new(b"5-*"), Ok(NewId::AutoSeq(5)));
        assert_eq!(parse_new(b"5"), Ok(NewId::Given(StreamId::new(5, 0))));
        for text in ["-*", "5-**", "*-5", "5-1-*", "-"] {
            assert_eq!(parse_new(text.as_bytes()), Err(CommandError::InvalidStreamId), "{text}");
        }
    }
}
