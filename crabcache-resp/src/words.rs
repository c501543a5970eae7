//! Splits a line into words: inline requests and configuration lines follow the same rules.
//!
//! Words are separated by white space. `"..."` understands `\xHH`, `\n`, `\r`, `\t`, `\b`, `\a` and
//! `\` before any other byte; `'...'` understands only `\'`. A closing quote must end the word.

use crate::request::Span;

/// Splits `line` into words. `None` where a quote stays open or is followed by more text.
///
/// A NUL byte ends the line, as in the reference.
pub fn split_words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let line = match memchr::memchr(0, line) {
        Some(end) => &line[..end],
        None => line,
    };
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        while line.get(at).is_some_and(|byte| is_space(*byte)) {
            at += 1;
        }
        if at == line.len() {
            return Some(words);
        }
        let mut word = Vec::new();
        at = take_word(line, at, &mut word)?;
        words.push(word);
    }
}

/// The words of a line without quotes: as [`split_words`], without copying.
pub fn plain_words(line: &[u8]) -> impl Iterator<Item = Span> {
    let end = memchr::memchr(0, line).unwrap_or(line.len());
    let mut at = 0;
    std::iter::from_fn(move || {
        at += line[at..end].iter().position(|byte| !is_space(*byte))?;
        let len = line[at..end].iter().position(|byte| is_space(*byte)).unwrap_or(end - at);
        let word = Span { start: at, len };
        at += len;
        Some(word)
    })
}

/// Quotes `text` so that [`split_words`] gives it back as one word.
pub fn quote(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for &byte in text {
        match byte {
            b'\\' | b'"' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x07 => out.push_str("\\a"),
            0x08 => out.push_str("\\b"),
            0x20..=0x7e => out.push(char::from(byte)),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.push_str("\\x");
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    out.push('"');
    out
}

/// White space as C's `isspace` has it in the C locale.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// Reads one word that starts at `at`; returns the position after it.
fn take_word(line: &[u8], mut at: usize, word: &mut Vec<u8>) -> Option<usize> {
    while let Some(&byte) = line.get(at) {
        match byte {
            b'"' => return take_double_quoted(line, at + 1, word),
            b'\'' => return take_single_quoted(line, at + 1, word),
            _ if is_space(byte) => break,
            _ => word.push(byte),
        }
        at += 1;
    }
    Some(at)
}

fn take_double_quoted(line: &[u8], mut at: usize, word: &mut Vec<u8>) -> Option<usize> {
    loop {
        match *line.get(at)? {
            b'"' => return end_of_quote(line, at + 1),
            b'\\' if line.len() > at + 1 => {
                let escaped = line[at + 1];
                if let (b'x', Some(byte)) = (escaped, hex_byte(line.get(at + 2..at + 4))) {
                    word.push(byte);
                    at += 4;
                    continue;
                }
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => other,
                });
                at += 2;
            }
            byte => {
                word.push(byte);
                at += 1;
            }
        }
    }
}

fn take_single_quoted(line: &[u8], mut at: usize, word: &mut Vec<u8>) -> Option<usize> {
    loop {
        match *line.get(at)? {
            b'\'' => return end_of_quote(line, at + 1),
            b'\\' if line.get(at + 1) == Some(&b'\'') => {
                word.push(b'\'');
                at += 2;
            }
            byte => {
                word.push(byte);
                at += 1;
            }
        }
    }
}

/// After a closing quote only white space or the end may follow.
fn end_of_quote(line: &[u8], at: usize) -> Option<usize> {
    line.get(at).is_none_or(|byte| is_space(*byte)).then_some(at)
}

fn hex_byte(digits: Option<&[u8]>) -> Option<u8> {
    let [high, low] = digits? else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let value = digit(*high)? * 16 + digit(*low)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(line: &str, expected: Option<&[&[u8]]>) {
        let words = split_words(line.as_bytes());
        let words: Option<Vec<&[u8]>> =
            words.as_ref().map(|words| words.iter().map(Vec::as_slice).collect());
        assert_eq!(words.as_deref(), expected, "{line:?}");
    }

    #[test]
    fn words_and_quotes() {
        check("", Some(&[]));
        check("  \t ", Some(&[]));
        check("set a b", Some(&[b"set", b"a", b"b"]));
        check("  set\ta  b \r", Some(&[b"set", b"a", b"b"]));
        check(r#"a "" ''"#, Some(&[b"a", b"", b""]));
        check(r#""\x41\n\r\t\b\a\"\\\q""#, Some(&[b"A\n\r\t\x08\x07\"\\q"]));
        check(r#""\xZZ""#, Some(&[b"xZZ"]));
        check(r"'it\'s' 'a\n'", Some(&[b"it's", b"a\\n"]));
        check(r#"pre"fix""#, Some(&[b"prefix"]));
        check("a\0b c", Some(&[b"a"]));
    }

    #[test]
    fn unbalanced_quotes() {
        check("\"abc", None);
        check("'abc", None);
        check("\"abc\"d", None);
        check("'abc'd", None);
        check("\"abc\\\"", None);
        check("\"abc\\", None);
    }

    proptest! {
        #[test]
        fn quoting_is_undone_by_splitting(word in proptest::collection::vec(any::<u8>(), 0..50)) {
            prop_assert_eq!(split_words(quote(&word).as_bytes()), Some(vec![word]));
        }

        #[test]
        fn plain_words_are_those_of_splitting(line in r"[ab\\ \t\r\x0b\x00\\x]{0,20}") {
            let words: Vec<Vec<u8>> =
                plain_words(line.as_bytes()).map(|word| word.of(line.as_bytes()).into()).collect();
            prop_assert_eq!(Some(words), split_words(line.as_bytes()));
        }
    }
}
