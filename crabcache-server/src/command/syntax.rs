//! The notation of arguments in documentation strings, and its parser. COMMAND DOCS shows the tree.
//!
//! ```text
//! name  name:type      an argument; types are int, double, pattern, time, key and, if none, string
//! NX  name:NX          a word to be written as it is, with its name in lower case or another
//! TOKEN=item           an item behind a word
//! name:{a | b}         one of several items
//! name:(a b)           several items
//! [item]               optional
//! item...  item...!    repeated; with `!` together with its token
//! name"text"           shown as something else
//! item@1.2.3           since this version; `@-1.2.3` deprecated since
//! item#2               belongs to key specification 2, where that is not one more than the last
//! ```
//!
//! An argument named `key` is of type key, unless it is `key:string`. A word that is not plain upper case stands in `'...'`.
//! Marks behind an item come in the order display text, type, `#`, `@`, `...`.

/// What an argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgumentKind {
    /// Any word.
    String,
    /// An integer.
    Integer,
    /// A floating-point number.
    Double,
    /// A key.
    Key,
    /// A glob-style pattern.
    Pattern,
    /// A Unix time.
    UnixTime,
    /// The token alone.
    PureToken,
    /// One of several arguments.
    OneOf,
    /// Several arguments.
    Block,
}

impl ArgumentKind {
    /// The kind's name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            ArgumentKind::String => "string",
            ArgumentKind::Integer => "integer",
            ArgumentKind::Double => "double",
            ArgumentKind::Key => "key",
            ArgumentKind::Pattern => "pattern",
            ArgumentKind::UnixTime => "unix-time",
            ArgumentKind::PureToken => "pure-token",
            ArgumentKind::OneOf => "oneof",
            ArgumentKind::Block => "block",
        }
    }
}

/// An argument of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument<'s> {
    /// Its name, unique among its siblings.
    pub name: String,
    /// What it is.
    pub kind: ArgumentKind,
    /// What to show in its place, if not the name.
    pub display: Option<&'s str>,
    /// The key specification that it belongs to.
    pub key_spec: Option<usize>,
    /// The word that comes before it, or that it is.
    pub token: Option<&'s str>,
    /// Since which version.
    pub since: Option<&'s str>,
    /// Deprecated since which version.
    pub deprecated_since: Option<&'s str>,
    /// Whether it may be left out.
    pub is_optional: bool,
    /// Whether it may be repeated.
    pub is_multiple: bool,
    /// Whether its token is repeated with it.
    pub repeats_token: bool,
    /// What it consists of.
    pub arguments: Vec<Argument<'s>>,
}

/// Reads a documentation string.
///
/// # Errors
/// The position of the byte that does not fit.
pub fn parse(text: &str) -> Result<Vec<Argument<'_>>, usize> {
    let mut parser = Parser { text, at: 0, next_key_spec: 0 };
    let arguments = parser.items()?;
    if parser.at == text.len() { Ok(arguments) } else { Err(parser.at) }
}

struct Parser<'s> {
    text: &'s str,
    at: usize,
    next_key_spec: usize,
}

impl<'s> Parser<'s> {
    /// Items separated by blanks, up to the end or a closing bracket.
    fn items(&mut self) -> Result<Vec<Argument<'s>>, usize> {
        let mut items = Vec::new();
        while !matches!(self.peek(), None | Some(b')' | b'}' | b']' | b'|')) {
            items.push(self.item()?);
            self.blanks();
        }
        Ok(items)
    }

    fn item(&mut self) -> Result<Argument<'s>, usize> {
        if self.accept("[") {
            let mut item = self.item()?;
            item.is_optional = true;
            self.expect("]")?;
            return Ok(item);
        }
        let token = self.token_before()?;
        let mut item = self.named()?;
        item.token = token.or(item.token);
        self.marks(&mut item)?;
        Ok(item)
    }

    /// The `TOKEN=` that an item may begin with.
    fn token_before(&mut self) -> Result<Option<&'s str>, usize> {
        let start = self.at;
        let token = if self.peek() == Some(b'\'') { self.quoted('\'')? } else { self.word() };
        if self.accept("=") {
            return Ok(Some(token));
        }
        self.at = start;
        Ok(None)
    }

    /// A name and what is said about it.
    fn named(&mut self) -> Result<Argument<'s>, usize> {
        let name = self.word();
        if name.is_empty() {
            return Err(self.at);
        }
        let mut item = Argument {
            name: name.to_string(),
            kind: if name == "key" { ArgumentKind::Key } else { ArgumentKind::String },
            display: None,
            key_spec: None,
            token: None,
            since: None,
            deprecated_since: None,
            is_optional: false,
            is_multiple: false,
            repeats_token: false,
            arguments: Vec::new(),
        };
        if is_plain_token(name) {
            item.name = name.to_ascii_lowercase();
            (item.kind, item.token) = (ArgumentKind::PureToken, Some(name));
        }
        if self.peek() == Some(b'"') {
            item.display = Some(self.quoted('"')?);
        }
        if self.accept(":") {
            self.kind(&mut item)?;
        }
        Ok(item)
    }

    /// What stands behind a name's colon.
    fn kind(&mut self, item: &mut Argument<'s>) -> Result<(), usize> {
        if self.accept("{") {
            item.kind = ArgumentKind::OneOf;
            loop {
                self.blanks();
                item.arguments.push(self.item()?);
                self.blanks();
                if self.accept("}") {
                    return Ok(());
                }
                self.expect("|")?;
            }
        }
        if self.accept("(") {
            item.kind = ArgumentKind::Block;
            item.arguments = self.items()?;
            return self.expect(")");
        }
        if self.peek() == Some(b'\'') {
            item.kind = ArgumentKind::PureToken;
            item.token = Some(self.quoted('\'')?);
            return Ok(());
        }
        let start = self.at;
        let word = self.word();
        item.kind = match word {
            "string" => ArgumentKind::String,
            "int" => ArgumentKind::Integer,
            "double" => ArgumentKind::Double,
            "pattern" => ArgumentKind::Pattern,
            "time" => ArgumentKind::UnixTime,
            "key" => ArgumentKind::Key,
            token if is_plain_token(token) => {
                item.token = Some(token);
                ArgumentKind::PureToken
            }
            _ => return Err(start),
        };
        Ok(())
    }

    /// Key specification, versions and repetition.
    fn marks(&mut self, item: &mut Argument<'s>) -> Result<(), usize> {
        if self.accept("#") {
            let number = self.word().parse().map_err(|_| self.at)?;
            item.key_spec = Some(number);
        } else if item.kind == ArgumentKind::Key {
            item.key_spec = Some(self.next_key_spec);
        }
        if let (ArgumentKind::Key, Some(number)) = (item.kind, item.key_spec) {
            self.next_key_spec = number + 1;
        }
        while self.accept("@") {
            let version =
                if self.accept("-") { &mut item.deprecated_since } else { &mut item.since };
            *version = Some(self.version());
        }
        item.is_multiple = self.accept("...");
        item.repeats_token = item.is_multiple && self.accept("!");
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn accept(&mut self, what: &str) -> bool {
        let is_next = self.text[self.at..].starts_with(what);
        self.at += if is_next { what.len() } else { 0 };
        is_next
    }

    fn expect(&mut self, what: &str) -> Result<(), usize> {
        if self.accept(what) { Ok(()) } else { Err(self.at) }
    }

    fn blanks(&mut self) {
        while self.accept(" ") {}
    }

    fn take_while(&mut self, is_part: impl Fn(char) -> bool) -> &'s str {
        let rest = &self.text[self.at..];
        let len = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    fn word(&mut self) -> &'s str {
        self.take_while(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    }

    /// Digits and single points: the ellipsis behind a version is not part of it.
    fn version(&mut self) -> &'s str {
        let start = self.at;
        self.take_while(|c| c.is_ascii_digit());
        while !self.text[self.at..].starts_with("..") && self.accept(".") {
            self.take_while(|c| c.is_ascii_digit());
        }
        &self.text[start..self.at]
    }

    fn quoted(&mut self, quote: char) -> Result<&'s str, usize> {
        self.at += quote.len_utf8();
        let text = self.take_while(|c| c != quote);
        self.expect(if quote == '"' { "\"" } else { "'" })?;
        Ok(text)
    }
}

/// Whether a word is a token of itself, rather than a name.
fn is_plain_token(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || "-_".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes arguments out in a long form of one line.
    fn show(arguments: &[Argument<'_>]) -> String {
        let one = |argument: &Argument<'_>| {
            let mut text = format!("{} {}", argument.kind.name(), argument.name);
            let mut add = |label: &str, value: Option<String>| {
                text.extend(value.map(|value| format!(" {label}={value}")));
            };
            add("display", argument.display.map(str::to_string));
            add("spec", argument.key_spec.map(|number| number.to_string()));
            add("token", argument.token.map(str::to_string));
            add("since", argument.since.map(str::to_string));
            add("deprecated", argument.deprecated_since.map(str::to_string));
            let flags = [
                (argument.is_optional, "optional"),
                (argument.is_multiple, "multiple"),
                (argument.repeats_token, "multiple_token"),
            ];
            for (_, flag) in flags.iter().filter(|(is_set, _)| *is_set) {
                text.push_str(&format!(" {flag}"));
            }
            if !argument.arguments.is_empty() {
                text.push_str(&format!(" ({})", show(&argument.arguments)));
            }
            text
        };
        arguments.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    fn check(text: &str, expected: &str) {
        let shown = parse(text).map(|arguments| show(&arguments));
        assert_eq!(shown.as_deref(), Ok(expected), "{text}");
    }

    #[test]
    fn arguments_are_read() {
        check("", "");
        check("key value", "key key spec=0, string value");
        check("a:int b:double c:pattern d:time", "integer a, double b, pattern c, unix-time d");
        check(
            "key... keyb:key#7 keyc:key",
            "key key spec=0 multiple, key keyb spec=7, key keyc spec=8",
        );
        check(
            "[NX@2.6.12] all:'*'",
            "pure-token nx token=NX since=2.6.12 optional, pure-token all token=*",
        );
        check("sorting:ALPHA", "pure-token sorting token=ALPHA");
        check(
            "[GET=get-pattern\"pattern\":pattern#1...!]",
            "pattern get-pattern display=pattern spec=1 token=GET optional multiple multiple_token",
        );
        check(
            "c:{NX | key | [x:int@2.8.12...]} y",
            concat!(
                "oneof c (pure-token nx token=NX, key key spec=0, ",
                "integer x since=2.8.12 optional multiple), string y"
            ),
        );
        check(
            "[LIMIT=limit:(offset:int [n])]",
            "block limit token=LIMIT optional (integer offset, string n optional)",
        );
        check(
            "old\"ip:port\"@1.0.0@-2.8.12",
            "string old display=ip:port since=1.0.0 deprecated=2.8.12",
        );
        check("key:string", "string key");
        check("a:'' '<'=b", "pure-token a token=, string b token=<");
    }

    #[test]
    fn wrong_strings_name_the_place() {
        let cases = [
            ("[a", 2),
            ("a]", 1),
            ("a:b", 2),
            ("a:{b", 4),
            ("a:(b", 4),
            ("a:'b", 4),
            ("=", 1),
            ("a#x", 3),
        ];
        for (text, at) in cases {
            assert_eq!(parse(text), Err(at), "{text}");
        }
    }

    #[test]
    fn every_row_is_documented() {
        for row in crate::command::CommandTable::new(&[]).unwrap().rows() {
            let docs = &row.spec.docs;
            assert!(parse(docs.syntax).is_ok(), "{}: {:?}", row.full_name, parse(docs.syntax));
            assert!(!docs.since.is_empty() && !docs.summary.is_empty(), "{}", row.full_name);
        }
    }
}
