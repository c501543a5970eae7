//! Ways through a whole database: KEYS, RANDOMKEY, SCAN.

use crate::command::{Args, Categories, Command, CommandResult, Ctx, Words, walk};
use crate::error::CommandError;
use crabcache_resp::Reply;
use crabcache_store::algorithms::glob;
use crabcache_store::{Entry, Keyspace, Walk};

pub(in crate::commands) const COMMANDS: &[Command] = &[
    walk("keys", keys)
        .arity(2)
        .categories(Categories::DANGEROUS.union(Categories::KEYSPACE))
        .tips(&["request_policy:all_shards", "nondeterministic_output_order"])
        .doc(
            "1.0.0",
            "O(N), N being all keys of the database",
            "pattern:pattern",
            "Returns all keys that match a pattern.",
        ),
    walk("randomkey", randomkey)
        .arity(1)
        .categories(Categories::KEYSPACE)
        .tips(&["request_policy:all_shards", "response_policy:special", "nondeterministic_output"])
        .doc("1.0.0", "O(1)", "", "Returns a key drawn at random."),
    walk("scan", scan)
        .arity(-2)
        .categories(Categories::KEYSPACE)
        .tips(&["nondeterministic_output", "request_policy:special", "response_policy:special"])
        .doc(
            "2.8.0",
            "O(1) per call, O(N) for a whole round, N being all keys of the database",
            "cursor:int [MATCH=pattern:pattern] [COUNT=count:int] [TYPE=type@6.0.0]",
            "Goes through the keys of a database in many small steps.",
        ),
];

/// Keys that SCAN looks at unless COUNT says otherwise.
const COUNT_DEFAULT: usize = 10;

/// KEYS pattern
fn keys(walk: &mut Walk, ctx: &mut Ctx, args: Args) -> CommandResult {
    let pattern = Pattern::new(args.get(1));
    let only = pattern.stripe(walk.keyspace());
    let array = ctx.reply.deferred();
    let mut n_keys = 0;
    walk.each(ctx.client.db, only, |entry| {
        if pattern.matches(entry.key()) {
            ctx.reply.bulk(entry.key());
            n_keys += 1;
        }
    });
    ctx.reply.end_array(array, n_keys);
    Ok(())
}

/// RANDOMKEY
fn randomkey(walk: &mut Walk, ctx: &mut Ctx, _: Args) -> CommandResult {
    let random = |below| rand::random_range(0..below);
    match walk.random(ctx.client.db, random, |entry| entry.key().to_vec()) {
        Some(key) => ctx.reply.bulk(&key),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]
fn scan(walk: &mut Walk, ctx: &mut Ctx, args: Args) -> CommandResult {
    let cursor = parse_cursor(args.get(1)).ok_or(CommandError::InvalidCursor)?;
    let (mut shared, mut kind) = (ScanOptions::default(), None);
    let mut options = args.from(2);
    while options.remaining() > 0 {
        if options.accept("TYPE") {
            kind = Some(options.word()?);
        } else {
            shared.take(&mut options)?;
        }
    }
    let ScanOptions { count, pattern } = shared;
    // Compat: a type that does not exist is no error; nothing is of it.
    let is_wanted = |entry: &Entry| {
        kind.is_none_or(|kind| kind.eq_ignore_ascii_case(entry.kind().name().as_bytes()))
            && pattern.matches(entry.key())
    };
    let only = pattern.stripe(walk.keyspace());
    let (mut names, mut n_names) = (Vec::new(), 0);
    let mut reply = Reply::new(&mut names, ctx.reply.protocol());
    let next = walk.scan(ctx.client.db, cursor, count, only, |entry| {
        if is_wanted(entry) {
            reply.bulk(entry.key());
            n_names += 1;
        }
    });
    reply_page(ctx, next, n_names, &names);
    Ok(())
}

/// Answers with the cursor to go on with and an array of `n` elements, which are written already.
pub(in crate::commands) fn reply_page(ctx: &mut Ctx, next: u64, n: usize, elements: &[u8]) {
    ctx.reply.array(2);
    ctx.reply.bulk(itoa::Buffer::new().format(next).as_bytes());
    ctx.reply.array(n);
    ctx.reply.raw(elements);
}

/// The options that all commands of this kind have.
pub(in crate::commands) struct ScanOptions<'a> {
    /// Elements to look at.
    pub(in crate::commands) count: usize,
    /// Which of them are wanted.
    pub(in crate::commands) pattern: Pattern<'a>,
}

impl Default for ScanOptions<'_> {
    fn default() -> Self {
        ScanOptions { count: COUNT_DEFAULT, pattern: Pattern::All }
    }
}

impl<'a> ScanOptions<'a> {
    /// Reads the options up to the last word.
    pub(in crate::commands) fn parse(mut words: Words<'a>) -> Result<Self, CommandError> {
        let mut options = ScanOptions::default();
        while words.remaining() > 0 {
            options.take(&mut words)?;
        }
        Ok(options)
    }

    /// Reads one option.
    pub(in crate::commands) fn take(&mut self, words: &mut Words<'a>) -> Result<(), CommandError> {
        if words.accept("COUNT") {
            let count = usize::try_from(words.int()?).ok().filter(|count| *count > 0);
            self.count = count.ok_or(CommandError::Syntax)?;
        } else if words.accept("MATCH") {
            self.pattern = Pattern::new(words.word()?);
        } else if words.accept("NOVALUES") {
            return Err(CommandError::NoValuesElsewhere);
        } else {
            return Err(CommandError::Syntax);
        }
        Ok(())
    }
}

/// Which keys or elements are wanted.
#[derive(Clone, Copy)]
pub(in crate::commands) enum Pattern<'a> {
    /// All, even the empty one, which no other pattern but the empty one matches.
    All,
    /// Those that match.
    Glob(&'a [u8]),
}

impl<'a> Pattern<'a> {
    fn new(pattern: &'a [u8]) -> Pattern<'a> {
        if pattern == b"*" { Pattern::All } else { Pattern::Glob(pattern) }
    }

    pub(in crate::commands) fn matches(self, key: &[u8]) -> bool {
        match self {
            Pattern::All => true,
            Pattern::Glob(pattern) => glob::matches(pattern, key, glob::Case::Sensitive),
        }
    }

    /// The stripe that all matching keys are in, if the pattern says which: it begins with a whole
    /// hash tag, or is a key itself.
    fn stripe(self, keyspace: &Keyspace) -> Option<u32> {
        let Pattern::Glob(pattern) = self else { return None };
        let (prefix, is_all) = glob::literal_prefix(pattern);
        let has_tag = crabcache_store::keyspace::hash_tag(prefix).is_some();
        (is_all || has_tag).then(|| keyspace.key(prefix).stripe())
    }
}

/// Reads a cursor as the reference does, with C's `strtoull` where it is no canonical number: white
/// space and a sign may precede, and a 0 byte ends it.
pub(in crate::commands) fn parse_cursor(word: &[u8]) -> Option<u64> {
    let text = word.split(|byte| *byte == 0).next()?;
    if let Some(value) = crabcache_resp::number::parse_i64(text) {
        return u64::try_from(value).ok();
    }
    let text = text.trim_ascii_start();
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(if is_negative { value.wrapping_neg() } else { value })
}

#[cfg(test)]
mod tests {
    use super::parse_cursor;
    use crate::testing::TestServer;
    use std::collections::BTreeSet;

    fn names(reply: &str) -> BTreeSet<String> {
        let list = reply.rsplit('[').next().unwrap().trim_matches(']');
        list.split(", ").filter(|name| !name.is_empty()).map(str::to_string).collect()
    }

    fn scan_all(t: &mut TestServer, options: &str) -> BTreeSet<String> {
        let (mut found, mut cursor) = (BTreeSet::new(), "0".to_string());
        loop {
            let reply = t.run(&format!("SCAN {cursor} {options}"));
            found.extend(names(&reply));
            cursor = reply.split('"').nth(1).unwrap().to_string();
            if cursor == "0" {
                return found;
            }
        }
    }

    #[test]
    fn keys_match_patterns() {
        let mut t = TestServer::new();
        t.check("KEYS *", "[]");
        for key in ["one", "two", "three", "{tag}:1", "{tag}:2", ""] {
            t.check(&format!("SET '{key}' v"), "+OK");
        }
        assert_eq!(names(&t.run("KEYS *")).len(), 6);
        assert_eq!(names(&t.run("KEYS **")).len(), 5);
        t.check_all(&[
            ("KEYS t?o", "[\"two\"]"),
            ("KEYS one", "[\"one\"]"),
            ("KEYS on", "[]"),
            ("KEYS ''", "[\"\"]"),
            ("KEYS {tag}:[1]", "[\"{tag}:1\"]"),
        ]);
        assert_eq!(names(&t.run("KEYS {tag}*")).len(), 2);
        assert_eq!(names(&t.run("KEYS {*")).len(), 2);
    }

    #[test]
    fn keys_passes_over_what_has_expired_and_leaves_it() {
        let mut t = TestServer::new();
        t.check_all(&[("SET a 1", "+OK"), ("SET b 1", "+OK"), ("PEXPIRE a 5", ":1")]);
        t.advance_ms(10);
        t.check_all(&[("KEYS *", "[\"b\"]"), ("DBSIZE", ":2")]);
    }

    #[test]
    fn scan_goes_through_all_keys() {
        let mut t = TestServer::new();
        assert!(scan_all(&mut t, "").is_empty());
        for number in 0..1000 {
            t.check(&format!("SET key:{number} v"), "+OK");
        }
        for options in ["", "COUNT 1", "COUNT 5000", "count 9223372036854775807", "TYPE String"] {
            assert_eq!(scan_all(&mut t, options).len(), 1000, "{options}");
        }
        assert_eq!(scan_all(&mut t, "MATCH key:1??").len(), 100);
        assert_eq!(scan_all(&mut t, "MATCH key:12").len(), 1);
        assert!(scan_all(&mut t, "TYPE list").is_empty());
        assert!(scan_all(&mut t, "TYPE nosuch").is_empty());
        assert!(names(&t.run("SCAN 0 COUNT 100")).len() < 200);
    }

    #[test]
    fn scan_of_a_hash_tag_takes_few_calls() {
        let mut t = TestServer::new();
        for number in 0..1000 {
            t.check(&format!("SET {{{}}}{number} v", number % 10), "+OK");
        }
        assert_eq!(scan_all(&mut t, "MATCH {7}*").len(), 100);
        let reply = t.run("SCAN 0 MATCH {7}* COUNT 1000");
        assert!(reply.starts_with("[\"0\"") && names(&reply).len() == 100);
    }

    #[test]
    fn scan_removes_what_has_expired() {
        let mut t = TestServer::new();
        for number in 0..100 {
            t.run(&format!("SET key:{number} v"));
            t.run(&format!("PEXPIRE key:{number} {}", 1 + number % 2 * 1_000_000));
        }
        t.advance_ms(10);
        t.events();
        assert_eq!(scan_all(&mut t, "MATCH key:4*").len(), 5);
        assert_eq!(t.events().len(), 50);
        t.check("DBSIZE", ":50");
    }

    #[test]
    fn scan_reports_errors() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("SCAN x", "-ERR invalid cursor"),
            ("SCAN -1", "-ERR invalid cursor"),
            ("SCAN x FOO", "-ERR invalid cursor"),
            ("SCAN 0 FOO", "-ERR syntax error"),
            ("SCAN 0 COUNT", "-ERR syntax error"),
            ("SCAN 0 COUNT x", "-ERR value is not an integer or out of range"),
            ("SCAN 0 COUNT 0", "-ERR syntax error"),
            ("SCAN 0 COUNT -5", "-ERR syntax error"),
            ("SCAN 0 MATCH", "-ERR syntax error"),
            ("SCAN 0 TYPE", "-ERR syntax error"),
            ("SCAN 0 NOVALUES", "-ERR NOVALUES option can only be used in HSCAN"),
            ("SCAN", "-ERR wrong number of arguments for 'scan' command"),
        ]);
    }

    #[test]
    fn cursors_are_read_as_the_reference_does() {
        let cases: &[(&[u8], Option<u64>)] = &[
            (b"0", Some(0)),
            (b"18446744073709551615", Some(u64::MAX)),
            (b"18446744073709551616", None),
            (b"-1", None),
            (b"-01", Some(u64::MAX)),
            (b"+5", Some(5)),
            (b" \t5", Some(5)),
            (b"007", Some(7)),
            (b"5\x00x", Some(5)),
            (b"5x", None),
            (b"5 ", None),
            (b"", None),
            (b"-", None),
        ];
        for (word, expected) in cases {
            assert_eq!(parse_cursor(word), *expected, "{word:?}");
        }
    }

    #[test]
    fn randomkey_finds_only_living_keys() {
        let mut t = TestServer::new();
        t.check_all(&[("RANDOMKEY", "nil"), ("SET a 1", "+OK"), ("RANDOMKEY", "\"a\"")]);
        t.check("PEXPIRE a 5", ":1");
        t.advance_ms(10);
        t.check_all(&[("RANDOMKEY", "nil"), ("DBSIZE", ":0")]);
        assert_eq!(t.events(), ["set a", "expire a", "expired a"]);
        let mut seen = BTreeSet::new();
        t.check_all(&[("SET a 1", "+OK"), ("SET b 1", "+OK"), ("SET c 1", "+OK")]);
        for _ in 0..200 {
            seen.insert(t.run("RANDOMKEY"));
        }
        assert_eq!(seen.len(), 3);
    }

    #[test]
    fn walks_run_in_transactions() {
        let mut t = TestServer::new();
        t.check_all(&[("SET a 1", "+OK"), ("PEXPIRE a 5", ":1"), ("SET b 1", "+OK")]);
        t.advance_ms(10);
        t.check_all(&[("MULTI", "+OK"), ("SCAN 0 COUNT 5000", "+QUEUED"), ("KEYS *", "+QUEUED")]);
        t.check_all(&[("DBSIZE", "+QUEUED"), ("RANDOMKEY", "+QUEUED")]);
        t.check("EXEC", "[[\"0\", [\"b\"]], [\"b\"], :1, \"b\"]");
    }
}
