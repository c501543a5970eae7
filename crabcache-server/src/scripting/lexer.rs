//! The words of a Lua script, without comments: as much as [`super::reach`] needs. It checks
//! nothing; the compiler does.

/// A word of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'s> {
    /// A name or keyword.
    Name(&'s [u8]),
    /// A string's content.
    Str(Vec<u8>),
    /// A number as it is written.
    Number(&'s [u8]),
    /// An operator or bracket.
    Symbol(&'static str),
    /// Nothing follows.
    End,
}

impl Token<'_> {
    pub(super) fn is(&self, symbol: &str) -> bool {
        matches!(self, Token::Symbol(own) if *own == symbol)
    }
}

/// Longest first, as far as one begins with another.
const SYMBOLS: &[&str] = &[
    "...", "..", "==", "~=", "<=", ">=", "=", "<", ">", "+", "-", "*", "/", "%", "^", "#", "(",
    ")", "{", "}", "[", "]", ";", ":", ",", ".",
];

/// All words, or `None` where something stands that is no word of Lua.
pub(super) fn tokens(source: &[u8]) -> Option<Vec<Token<'_>>> {
    let (mut tokens, mut at) = (Vec::new(), 0);
    while let Some(byte) = source.get(at) {
        let rest = &source[at..];
        at += match byte {
            b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c => 1,
            b'-' if rest.starts_with(b"--") => comment_len(rest)?,
            b'"' | b'\'' => {
                let (string, len) = quoted(rest)?;
                tokens.push(Token::Str(string));
                len
            }
            b'[' if long_level(rest).is_some() => {
                let (content, len) = long_string(rest)?;
                tokens.push(Token::Str(content.to_vec()));
                len
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                let len = rest.iter().take_while(|b| is_name_byte(**b)).count();
                tokens.push(Token::Name(&rest[..len]));
                len
            }
            b'0'..=b'9' => {
                let is_part = |b: &&u8| is_name_byte(**b) || **b == b'.';
                let len = rest.iter().take_while(is_part).count();
                tokens.push(Token::Number(&rest[..len]));
                len
            }
            _ => {
                let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(symbol.as_bytes()))?;
                tokens.push(Token::Symbol(symbol));
                symbol.len()
            }
        };
    }
    Some(tokens)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn comment_len(rest: &[u8]) -> Option<usize> {
    if rest.get(2) == Some(&b'[') && long_level(&rest[2..]).is_some() {
        return long_string(&rest[2..]).map(|(_, len)| len + 2);
    }
    Some(memchr::memchr(b'\n', rest).unwrap_or(rest.len()))
}

/// How many `=` stand between the brackets that begin a long string.
fn long_level(rest: &[u8]) -> Option<usize> {
    let level = rest[1..].iter().take_while(|byte| **byte == b'=').count();
    (rest.get(level + 1) == Some(&b'[')).then_some(level)
}

/// The content of a long string and its length with brackets.
fn long_string(rest: &[u8]) -> Option<(&[u8], usize)> {
    let level = long_level(rest)?;
    let start = level + 2;
    let close = [b"]".as_slice(), &vec![b'='; level], b"]"].concat();
    let len = memchr::memmem::find(&rest[start..], &close)?;
    let content = &rest[start..start + len];
    // A line end that comes first is not part of the string.
    let content = content.strip_prefix(b"\r\n").or(content.strip_prefix(b"\n")).unwrap_or(content);
    Some((content, start + len + close.len()))
}

/// The content of a quoted string and its length with quotes. Escapes other than the usual ones are
/// not understood.
fn quoted(rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    let quote = rest[0];
    let (mut content, mut at) = (Vec::new(), 1);
    loop {
        match rest.get(at)? {
            b'\\' => {
                content.push(match rest.get(at + 1)? {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    byte @ (b'\\' | b'"' | b'\'') => *byte,
                    _ => return None,
                });
                at += 2;
            }
            b'\n' | b'\r' => return None,
            byte if *byte == quote => return Some((content, at + 1)),
            byte => {
                content.push(*byte);
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_all_kinds() {
        let source = br#"local x='a\n"' --[[ no
            words ]] return [=[
]]]=]..1.5e3 -- end"#;
        let expected = [
            Token::Name(b"local"),
            Token::Name(b"x"),
            Token::Symbol("="),
            Token::Str(b"a\n\"".to_vec()),
            Token::Name(b"return"),
            Token::Str(b"]]".to_vec()),
            Token::Symbol(".."),
            Token::Number(b"1.5e3"),
        ];
        assert_eq!(tokens(source).unwrap(), expected);
        for broken in ["'a", "[[a", "a ? b", "'\\065'"] {
            assert_eq!(tokens(broken.as_bytes()), None, "{broken}");
        }
    }
}
