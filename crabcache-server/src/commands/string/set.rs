//! SET with its options, and the older commands for some of them.

use super::expiration::{Expiration, TimeOption};
use super::reply_string;
use crate::command::{Args, CommandResult, Ctx, KeyFlags};
use crate::error::CommandError;
use crate::notify::Event;
use crabcache_store::{Key, Kind, Lookup, SetExpire, StoreError, Str, WriteDb};

/// SET key value [NX | XX | IFEQ comparison-value] [GET]
/// [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]
// Compat: IFEQ is Valkey's (since 8.1).
pub(super) fn set(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(1));
    if args.len() > 3 {
        return set_with_options(db, ctx, args, &key);
    }
    store(db, ctx, &key, args.get(2), SetExpire::To(None));
    ctx.reply.ok();
    Ok(())
}

/// SETEX key seconds value
pub(super) fn setex(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    set_expiring(db, ctx, args, TimeOption::Ex)
}

/// PSETEX key milliseconds value
pub(super) fn psetex(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    set_expiring(db, ctx, args, TimeOption::Px)
}

/// SETNX key value
pub(super) fn setnx(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(1));
    let is_new = db.get(&key, Lookup::Write).is_none();
    if is_new {
        store(db, ctx, &key, args.get(2), SetExpire::To(None));
    }
    ctx.reply.int(i64::from(is_new));
    Ok(())
}

/// GETSET key value
pub(super) fn getset(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(1));
    reply_old(db, ctx, &key)?;
    store(db, ctx, &key, args.get(2), SetExpire::To(None));
    ctx.effects.propagate([b"SET", key.bytes, args.get(2)]);
    Ok(())
}

/// What SET does with its key, for COMMAND GETKEYSANDFLAGS and ACLs: without GET, it does not read.
pub(super) fn set_keys(args: Args) -> Vec<(usize, KeyFlags)> {
    let reads = (3..args.len()).any(|index| args.is(index, "GET"));
    let access = if reads { KeyFlags::RW | KeyFlags::ACCESS } else { KeyFlags::OW };
    vec![(1, access | KeyFlags::UPDATE)]
}

/// The options of SET.
#[derive(Debug, Default)]
struct SetOptions<'a> {
    condition: Option<Condition<'a>>,
    /// GET
    returns_old: bool,
    expiration: Expiration<'a>,
}

/// When SET does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition<'a> {
    /// NX
    Absent,
    /// XX
    Present,
    /// IFEQ
    EqualTo(&'a [u8]),
}

impl<'a> SetOptions<'a> {
    fn parse(args: Args<'a>) -> Result<SetOptions<'a>, CommandError> {
        let mut options = SetOptions::default();
        let mut words = args.from(3);
        while words.remaining() > 0 {
            if words.accept("NX") {
                options.set_condition(Condition::Absent)?;
            } else if words.accept("XX") {
                options.set_condition(Condition::Present)?;
            } else if words.accept("IFEQ") {
                if options.condition.is_some() {
                    return Err(CommandError::Syntax);
                }
                options.condition = Some(Condition::EqualTo(words.word()?));
            } else if words.accept("GET") {
                options.returns_old = true;
            } else if !options.expiration.accept_word(&mut words, "KEEPTTL", Expiration::Keep)?
                && !options.expiration.accept_time(&mut words)?
            {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }

    /// Sets a condition, which may be said twice but not beside another.
    fn set_condition(&mut self, condition: Condition<'a>) -> CommandResult {
        if self.condition.is_some_and(|said| said != condition) {
            return Err(CommandError::Syntax);
        }
        self.condition = Some(condition);
        Ok(())
    }
}

fn set_with_options(db: &mut WriteDb, ctx: &mut Ctx, args: Args, key: &Key<'_>) -> CommandResult {
    let options = SetOptions::parse(args)?;
    let expire = match options.expiration {
        Expiration::Keep => SetExpire::Keep,
        Expiration::Time(option, text) => SetExpire::To(Some(option.at_ms(text, ctx)?)),
        Expiration::Unsaid | Expiration::Persist => SetExpire::To(None),
    };
    if options.returns_old {
        reply_old(db, ctx, key)?;
    }
    if let Some(condition) = options.condition
        && !is_met(db, key, condition)?
    {
        if !options.returns_old {
            ctx.reply.null();
        }
        return Ok(());
    }
    store(db, ctx, key, args.get(2), expire);
    propagate_set(ctx, args, key, &options, expire);
    if !options.returns_old {
        ctx.reply.ok();
    }
    Ok(())
}

fn is_met(db: &mut WriteDb, key: &Key<'_>, condition: Condition) -> Result<bool, StoreError> {
    let entry = db.get(key, Lookup::Write);
    match (condition, entry) {
        (Condition::Absent, entry) => Ok(entry.is_none()),
        (Condition::Present, entry) => Ok(entry.is_some()),
        (Condition::EqualTo(_), None) => Ok(false),
        (Condition::EqualTo(value), Some(entry)) if entry.kind() == Kind::String => {
            Ok(entry.string().is(value))
        }
        (Condition::EqualTo(_), Some(_)) => Err(StoreError::WrongType),
    }
}

/// Replicates what a SET with options did: an absolute time instead of a relative one, no GET, and
/// none of the options that the reference does not have.
fn propagate_set(
    ctx: &mut Ctx,
    args: Args,
    key: &Key<'_>,
    options: &SetOptions,
    expire: SetExpire,
) {
    let is_ours = matches!(options.condition, Some(Condition::EqualTo(_)));
    match (options.expiration, expire) {
        (Expiration::Time(option, _), SetExpire::To(Some(at_ms)))
            if option != TimeOption::PxAt || is_ours =>
        {
            propagate_expiring(ctx, key, args.get(2), at_ms);
        }
        (Expiration::Keep, _) if is_ours => {
            ctx.effects.propagate([b"SET" as &[u8], key.bytes, args.get(2), b"KEEPTTL"]);
        }
        (Expiration::Unsaid, _) if is_ours => {
            ctx.effects.propagate([b"SET", key.bytes, args.get(2)]);
        }
        (Expiration::Unsaid | Expiration::Keep, _) if options.returns_old => {
            let is_get =
                |(index, word): &(usize, &[u8])| *index >= 3 && word.eq_ignore_ascii_case(b"GET");
            let words = args.iter().enumerate().filter(|word| !is_get(word));
            ctx.effects.propagate(words.map(|(_, word)| word));
        }
        _ => {}
    }
}

fn set_expiring(db: &mut WriteDb, ctx: &mut Ctx, args: Args, option: TimeOption) -> CommandResult {
    let at_ms = option.at_ms(args.get(2), ctx)?;
    let key = ctx.key(args.get(1));
    store(db, ctx, &key, args.get(3), SetExpire::To(Some(at_ms)));
    propagate_expiring(ctx, &key, args.get(3), at_ms);
    ctx.reply.ok();
    Ok(())
}

fn propagate_expiring(ctx: &mut Ctx, key: &Key<'_>, value: &[u8], at_ms: i64) {
    let mut text = itoa::Buffer::new();
    let at_ms = text.format(at_ms).as_bytes();
    ctx.effects.propagate([b"SET" as &[u8], key.bytes, value, b"PXAT", at_ms]);
}

/// Answers with the string that is there before it is overwritten.
fn reply_old(db: &mut WriteDb, ctx: &mut Ctx, key: &Key<'_>) -> CommandResult {
    match db.get_string(key, Lookup::Use)? {
        None => ctx.reply.null(),
        Some(value) => reply_string(&mut ctx.reply, value.get()),
    }
    Ok(())
}

/// Sets a key to a string and tells of it.
#[inline]
pub(super) fn store(
    db: &mut WriteDb,
    ctx: &mut Ctx,
    key: &Key<'_>,
    value: &[u8],
    expire: SetExpire,
) {
    let old = db.set_string(key, Str::encode(value), expire);
    ctx.overwritten(key.bytes, old, Kind::String);
    ctx.changed(key.bytes, Event::SET);
    if matches!(expire, SetExpire::To(Some(_))) {
        ctx.event(key.bytes, Event::EXPIRE);
    }
}

#[cfg(test)]
mod tests {
    use crate::server::interest::Interest;
    use crate::testing::TestServer;

    #[test]
    fn conditions() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("SET k a XX", "nil"),
            ("SET k a XX GET", "nil"),
            ("GET k", "nil"),
            ("SET k a NX", "+OK"),
            ("SET k b nx", "nil"),
            ("SET k b NX GET", "\"a\""),
            ("SET k b xX GET", "\"a\""),
            ("SET k 12 GET", "\"b\""),
            ("GETSET k c", "\"12\""),
            ("GETSET new c", "nil"),
            ("SETNX k d", ":0"),
            ("SETNX free d", ":1"),
            ("MGET k new free", "[\"c\", \"c\", \"d\"]"),
        ]);
    }

    #[test]
    fn set_if_equal() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("SET k a IFEQ a", "nil"),
            ("SET k a IFEQ a GET", "nil"),
            ("EXEC", "-ERR EXEC without MULTI"),
            ("SET k 10", "+OK"),
            ("SET k b IFEQ 1", "nil"),
            ("SET k b GET IFEQ 010", "\"10\""),
            ("SET k b IFEQ 10 GET", "\"10\""),
            ("SET k c IFEQ b PX 100000", "+OK"),
            ("SET k d IFEQ c KEEPTTL", "+OK"),
            ("SET k d IFEQ c IFEQ d", "-ERR syntax error"),
            ("SET k d IFEQ c NX", "-ERR syntax error"),
            ("SET k d XX IFEQ c", "-ERR syntax error"),
            ("SET k d IFEQ", "-ERR syntax error"),
        ]);
        let now_ms = t.server.clock.unix_ms();
        let propagated = t.propagated();
        assert_eq!(propagated[..2], ["SET k 10", "SET k b"]);
        let (command, at_ms) = propagated[2].rsplit_once(' ').unwrap();
        assert_eq!((command, &*propagated[3]), ("SET k c PXAT", "SET k d KEEPTTL"));
        assert!((at_ms.parse::<i64>().unwrap() - now_ms - 100_000).abs() < 60_000);
        t.advance_ms(100_001);
        t.check("GET k", "nil");
    }

    #[test]
    fn options_exclude_each_other() {
        let mut t = TestServer::new();
        for options in [
            "NX XX",
            "XX NX",
            "EX",
            "EX 10 PX 100000",
            "PX 10 EXAT 10",
            "EXAT 10 PXAT 10",
            "PXAT 10 EX 10",
            "KEEPTTL EX 10",
            "EX 10 KEEPTTL",
            "PERSIST",
            "FOO",
            "NX GET 5",
            "EX 10 5",
            "''",
        ] {
            t.check(&format!("SET k v {options}"), "-ERR syntax error");
        }
        // The same may be said again.
        for options in [
            "NX NX",
            "XX XX GET GET",
            "EX 10 EX 20",
            "PXAT 1 PXAT 9999999999999",
            "KEEPTTL keepttl",
        ] {
            assert!(!t.run(&format!("SET k v {options}")).starts_with('-'), "{options}");
        }
    }

    #[test]
    fn expiries() {
        let mut t = TestServer::new();
        for (command, name) in [
            ("SET k v EX {}", "set"),
            ("SET k v PX {}", "set"),
            ("SET k v EXAT {}", "set"),
            ("SET k v PXAT {}", "set"),
            ("SETEX k {} v", "setex"),
            ("PSETEX k {} v", "psetex"),
        ] {
            let run = |t: &mut TestServer, time: &str| t.run(&command.replace("{}", time));
            let invalid = format!("-ERR invalid expire time in '{name}' command");
            for time in ["0", "-1", "-9223372036854775808"] {
                assert_eq!(run(&mut t, time), invalid, "{command} {time}");
            }
            for time in ["a", "''", "1.5", "9223372036854775808", "' 1'"] {
                let reply = run(&mut t, time);
                assert_eq!(
                    reply, "-ERR value is not an integer or out of range",
                    "{command} {time}"
                );
            }
            let is_bounded = !command.contains("PXAT");
            let largest = run(&mut t, "9223372036854775807");
            assert_eq!(largest, if is_bounded { &invalid } else { "+OK" }, "{command}");
            t.run("SET k old");
        }
        t.check_all(&[
            ("SET k v EX 1000", "+OK"),
            ("SET k w KEEPTTL", "+OK"),
            ("SET other v PX 1000000 GET", "nil"),
        ]);
        t.advance_ms(900_000);
        t.check("MGET k other", "[\"w\", \"v\"]");
        t.advance_ms(100_001);
        t.check("MGET k other", "[nil, nil]");
        // A time in the past is taken; the key is gone at once.
        t.check_all(&[
            ("SET k v EXAT 1", "+OK"),
            ("GET k", "nil"),
            ("SET k v", "+OK"),
            ("SET k w PXAT 1 GET", "\"v\""),
            ("GET k", "nil"),
        ]);
        t.check_all(&[("SET k v PX 100000", "+OK"), ("SET k w", "+OK")]);
        t.advance_ms(100_001);
        t.check("GET k", "\"w\"");
    }

    #[test]
    fn events_and_replication() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("SET k v", "+OK"),
            ("set k v exat 99999999999", "+OK"),
            ("SET k v NX EX 10", "nil"),
        ]);
        assert_eq!(t.events(), ["set k", "set k", "expire k"]);
        assert_eq!(t.propagated(), ["SET k v", "SET k v PXAT 99999999999000"]);
        t.check_all(&[
            ("set k v get Keepttl GET", "\"v\""),
            ("set k v xx", "+OK"),
            ("SET k v PXAT 99999999999999 GET", "\"v\""),
        ]);
        assert_eq!(
            t.propagated(),
            ["set k v Keepttl", "set k v xx", "SET k v PXAT 99999999999999 GET"]
        );
        t.check_all(&[("GETSET k w", "\"v\""), ("SETNX n v", ":1"), ("SETNX n v", ":0")]);
        assert_eq!(t.propagated(), ["SET k w", "SETNX n v"]);
        t.events();
        t.check_all(&[("SETEX k 9000000000 v", "+OK"), ("PSETEX k 9000000000 v", "+OK")]);
        assert_eq!(t.events(), ["set k", "expire k", "set k", "expire k"]);
        assert!(t.propagated().iter().all(|line| line.starts_with("SET k v PXAT ")));
        assert_eq!(t.server.stats.sum(|worker| &worker.dirty), 9);
    }

    #[test]
    fn fine_events_come_before_the_change() {
        let mut t = TestServer::new();
        t.server.interests.set(Interest::FINE_EVENTS | Interest::MISSES, true);
        t.check_all(&[("SET k v GET", "nil"), ("SET k w", "+OK"), ("SET k w PX 100000", "+OK")]);
        let expected = [
            "keymiss k",
            "new k",
            "set k",
            "overwritten k",
            "set k",
            "overwritten k",
            "set k",
            "expire k",
        ];
        assert_eq!(t.events(), expected);
        t.advance_ms(100_001);
        t.check_all(&[("GETSET k v", "nil"), ("MSET k 1 a 2 k 3", "+OK")]);
        let expected = [
            "expired k",
            "keymiss k",
            "new k",
            "set k",
            "overwritten k",
            "set k",
            "new a",
            "set a",
            "overwritten k",
            "set k",
        ];
        assert_eq!(t.events(), expected);
        t.check_all(&[("INCR k", ":4"), ("INCR b", ":1"), ("SET k v PX 100000", "+OK")]);
        t.advance_ms(100_001);
        t.events();
        t.check("GET k", "nil");
        assert_eq!(t.events(), ["expired k", "keymiss k"]);
    }

    #[test]
    fn binary_words_and_watches() {
        let mut t = TestServer::new();
        let (key, value) = (&b"\0k\r\n"[..], &b"\xff\0\r\n$-1\r\n"[..]);
        assert_eq!(t.run_words(&[b"SET", key, value, b"GET"]), "nil");
        assert_eq!(t.run_words(&[b"GETSET", key, b""]), "\"\\xff\\x00\\r\\n$-1\\r\\n\"");
        assert_eq!(t.run_words(&[b"GET", key]), "\"\"");
        assert_eq!(t.run_words(&[b"SET", key, key, b"IFEQ", b"", b"GET"]), "\"\"");
        let mut other = t.client();
        // A SET that does nothing is no change.
        for (command, reply) in
            [("SET w 1 XX", "[]"), ("SET w 1 NX", "nil"), ("SET w 2 GET", "nil")]
        {
            t.check_all(&[("WATCH w", "+OK"), ("MULTI", "+OK")]);
            t.run_as(&mut other, command);
            t.check("EXEC", reply);
        }
    }

    #[test]
    fn get_keys_tells_whether_set_reads() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("COMMAND GETKEYSANDFLAGS SET k v", "[[\"k\", [+OW, +update]]]"),
            ("COMMAND GETKEYSANDFLAGS SET k v NX get", "[[\"k\", [+RW, +access, +update]]]"),
            (
                "COMMAND GETKEYSANDFLAGS MSET a 1 b 2",
                "[[\"a\", [+OW, +update]], [\"b\", [+OW, +update]]]",
            ),
        ]);
    }
}
