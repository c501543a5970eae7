//! What MIGRATE is asked for.

use crate::command::{Args, KeyFlags};
use crate::error::{CommandError, KeyMigrationError};
use crabcache_resp::number::parse_i64;
use std::ops::Range;
use std::time::Duration;

/// Where a single key stands.
const KEY: usize = 3;
/// The first option.
const OPTIONS: usize = 6;
/// The time, where none that makes sense is given.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);

/// See the module's text.
#[derive(Debug)]
pub struct Request<'a> {
    /// Name or number of the other server.
    pub host: &'a [u8],
    /// Its port, as it was given.
    pub port: &'a [u8],
    /// The database there.
    pub db: i64,
    /// How long each step may take.
    pub timeout: Duration,
    /// The keys stay here, too.
    pub copies: bool,
    /// Keys that are there already are replaced.
    pub replaces: bool,
    /// What to introduce oneself with: a password, or a user's name and password.
    pub auth: Vec<&'a [u8]>,
    /// The keys.
    pub keys: Vec<&'a [u8]>,
}

impl<'a> Request<'a> {
    /// Reads the words of a request.
    ///
    /// # Errors
    /// If they make none.
    pub fn parse(args: Args<'a>) -> Result<Request<'a>, CommandError> {
        let mut request = Request {
            host: args.get(1),
            port: args.get(2),
            db: 0,
            timeout: TIMEOUT_DEFAULT,
            copies: false,
            replaces: false,
            auth: Vec::new(),
            keys: Vec::new(),
        };
        let mut options = args.from(OPTIONS);
        while options.remaining() > 0 {
            if options.accept("COPY") {
                request.copies = true;
            } else if options.accept("REPLACE") {
                request.replaces = true;
            } else if options.accept("AUTH") {
                request.auth = vec![options.word()?];
            } else if options.accept("AUTH2") {
                request.auth = vec![options.word()?, options.word()?];
            } else if options.accept("KEYS") {
                if !args.get(KEY).is_empty() {
                    return Err(KeyMigrationError::KeyAndKeys.into());
                }
                break;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        let number = |index| parse_i64(args.get(index)).ok_or(CommandError::NotInteger);
        let timeout_ms = number(5)?;
        request.db = number(4)?;
        if let Ok(ms @ 1..) = u64::try_from(timeout_ms) {
            request.timeout = Duration::from_millis(ms);
        }
        request.keys = key_positions(args).map(|index| args.get(index)).collect();
        Ok(request)
    }
}

/// The keys of a request, for whoever locks them or looks after them.
pub fn keys(args: Args<'_>) -> Vec<(usize, KeyFlags)> {
    let flags = KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE);
    key_positions(args).map(|index| (index, flags)).collect()
}

/// Behind KEYS, where that is an option and the other place for a key is empty.
fn key_positions(args: Args<'_>) -> Range<usize> {
    match options(args).find(|(name, _)| *name == Name::Keys) {
        Some((_, at)) if args.get(KEY).is_empty() => at + 1..args.len(),
        _ => KEY..KEY + 1,
    }
}

/// Whether a word is a password, or a user's name before one.
pub fn is_secret(args: Args<'_>, index: usize) -> bool {
    options(args).any(|(name, at)| index > at && index <= at + name.n_secrets())
}

/// An option that has words behind it, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Auth,
    Auth2,
    Keys,
    Other,
}

impl Name {
    fn of(word: &[u8]) -> Name {
        match word.to_ascii_lowercase().as_slice() {
            b"auth" => Name::Auth,
            b"auth2" => Name::Auth2,
            b"keys" => Name::Keys,
            _ => Name::Other,
        }
    }

    fn n_secrets(self) -> usize {
        match self {
            Name::Auth => 1,
            Name::Auth2 => 2,
            Name::Keys | Name::Other => 0,
        }
    }
}

/// The options with their places, up to KEYS.
fn options(args: Args<'_>) -> impl Iterator<Item = (Name, usize)> {
    let mut next = Some(OPTIONS);
    std::iter::from_fn(move || {
        let at = next.filter(|at| *at < args.len())?;
        let name = Name::of(args.get(at));
        next = (name != Name::Keys).then_some(at + 1 + name.n_secrets());
        Some((name, at))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::args::OwnedArgs;

    fn words(line: &str) -> OwnedArgs {
        OwnedArgs::new(
            line.split(' ').map(|word| if word == "-" { &b""[..] } else { word.as_bytes() }),
        )
    }

    #[test]
    fn keys_are_found_whatever_stands_before_them() {
        for (line, expected) in [
            ("migrate h 1 k 0 1", &["k"][..]),
            ("migrate h 1 - 0 1", &[""]),
            ("migrate h 1 - 0 1 copy keys a b", &["a", "b"]),
            ("migrate h 1 - 0 1 auth keys keys x", &["x"]),
            ("migrate h 1 - 0 1 auth2 keys keys replace KEYS keys y", &["keys", "y"]),
            ("migrate h 1 - 0 1 keys", &[]),
            ("migrate h 1 keys 0 1 auth keys", &["keys"]),
            ("migrate h 1 k 0 1 auth", &["k"]),
        ] {
            let owned = words(line);
            let args = owned.as_args();
            let found: Vec<&[u8]> = keys(args).iter().map(|(index, _)| args.get(*index)).collect();
            let expected: Vec<&[u8]> = expected.iter().map(|key| key.as_bytes()).collect();
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn passwords_are_secrets() {
        let owned = words("migrate h 1 - 0 1 auth a copy auth2 b c keys auth d");
        let secrets: Vec<usize> =
            (0..owned.as_args().len()).filter(|index| is_secret(owned.as_args(), *index)).collect();
        assert_eq!(secrets, [7, 10, 11]);
    }

    #[test]
    fn a_request_without_sense_is_refused() {
        for (line, expected) in [
            ("migrate h 1 k 0 x", "ERR value is not an integer or out of range"),
            ("migrate h 1 k x 1", "ERR value is not an integer or out of range"),
            ("migrate h 1 k 0 1 foo", "ERR syntax error"),
            ("migrate h 1 k x 1 auth", "ERR syntax error"),
            ("migrate h 1 k 0 1 auth2 a", "ERR syntax error"),
            (
                "migrate h 1 k 0 1 keys a",
                "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
            ),
        ] {
            let owned = words(line);
            let error = Request::parse(owned.as_args()).unwrap_err();
            assert_eq!(error.to_string(), expected, "{line}");
        }
        let owned = words("migrate h 1 k 0 -5 copy replace auth x");
        let request = Request::parse(owned.as_args()).unwrap();
        assert!(request.copies && request.replaces && request.timeout == TIMEOUT_DEFAULT);
        assert_eq!(request.auth, [b"x"]);
    }
}
