//! Words of a request in an error: any bytes, while a text consists of characters. And the parts of
//! an error's line.

use super::CommandError;
use crate::command::Args;
use std::fmt::Write as _;

/// Bytes that belong to no character stand in a text as the last 256 characters there are.
const FIRST_STAND_IN: u32 = 0x10_ff00;

/// A word as an error shows it: up to a 0 byte, for that is where the reference's texts end.
pub fn shown(word: &[u8]) -> String {
    let end = word.iter().position(|byte| *byte == 0).unwrap_or(word.len());
    let mut text = String::with_capacity(end);
    let stand_in = |byte: &u8| char::from_u32(FIRST_STAND_IN + u32::from(*byte));
    for chunk in word[..end].utf8_chunks() {
        for character in chunk.valid().chars() {
            if u32::from(character) >= FIRST_STAND_IN {
                let mut bytes = [0; 4];
                text.extend(
                    character.encode_utf8(&mut bytes).as_bytes().iter().filter_map(stand_in),
                );
            } else {
                text.push(character);
            }
        }
        text.extend(chunk.invalid().iter().filter_map(stand_in));
    }
    text
}

/// As [`shown`], the first 128 bytes.
pub fn excerpt(word: &[u8]) -> String {
    shown(&word[..word.len().min(128)])
}

/// The bytes of a text whose words were [`shown`].
pub fn bytes(text: String) -> Vec<u8> {
    // All stand-ins begin with this byte.
    if !text.as_bytes().contains(&0xf4) {
        return text.into_bytes();
    }
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match u32::from(character).checked_sub(FIRST_STAND_IN) {
            Some(byte) => bytes.push(byte as u8),
            None => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

impl CommandError {
    /// The refusal of a request whose second word is no subcommand, or wants other arguments.
    pub fn subcommand_syntax(args: Args<'_>, command: &'static str) -> CommandError {
        let word = args.get(1);
        CommandError::SubcommandSyntax(excerpt(word), command)
    }

    /// The code that the line begins with.
    pub fn code(line: &str) -> &str {
        line.split(' ').next().unwrap_or("ERR")
    }

    /// The text without its code.
    pub fn text(&self) -> String {
        let line = self.to_string();
        line.split_once(' ').map_or(String::new(), |(_, text)| text.to_string())
    }

    /// The text, without the code if that says no more than that it is an error.
    pub fn without_code(&self) -> String {
        let line = self.to_string();
        line.strip_prefix("ERR ").map(str::to_string).unwrap_or(line)
    }

    /// The line on the wire, without `-` and CR LF.
    pub fn line(&self) -> Vec<u8> {
        let mut text = String::new();
        // Writing to a string never fails.
        let _ = write!(text, "{self}");
        bytes(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_end_at_a_0_byte() {
        assert_eq!(shown(b"a\0b"), "a");
        assert_eq!(shown("é\u{10ffff}".as_bytes()).chars().count(), 5);
    }

    proptest! {
        #[test]
        fn all_other_bytes_come_back(word in prop::collection::vec(1u8.., 0..20)) {
            prop_assert_eq!(bytes(shown(&word)), word);
        }
    }
}
