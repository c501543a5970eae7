//! Integers and floating-point numbers kept as strings.

use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crate::notify::Event;
use crabcache_store::algorithms::long_double::LongDouble;
use crabcache_store::{Lookup, SetExpire, Str, StrRef, WriteDb};

/// INCR key
pub(super) fn incr(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    add(db, ctx, args, 1)
}

/// DECR key
pub(super) fn decr(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    add(db, ctx, args, -1)
}

/// INCRBY key increment
pub(super) fn incrby(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    add(db, ctx, args, args.int(2)?)
}

/// DECRBY key decrement
pub(super) fn decrby(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let by = args.int(2)?.checked_neg().ok_or(CommandError::DecrementOverflow)?;
    add(db, ctx, args, by)
}

#[inline]
fn add(db: &mut WriteDb, ctx: &mut Ctx, args: Args, by: i64) -> CommandResult {
    let key = ctx.key(args.get(1));
    let sum = db.increment(&key, by)?;
    ctx.changed(key.bytes, Event::INCRBY);
    ctx.reply.int(sum);
    Ok(())
}

/// INCRBYFLOAT key increment
// Compat: replicated as SET, so that no difference in arithmetic reaches a replica.
pub(super) fn incrbyfloat(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(1));
    let old = match db.get_string(&key, Lookup::Write)? {
        None => LongDouble::from(0),
        Some(value) => match value.get() {
            StrRef::Int(value) => LongDouble::from(value),
            StrRef::Bytes(text) => LongDouble::parse(text).ok_or(CommandError::NotFloat)?,
        },
    };
    let by = LongDouble::parse(args.get(2)).ok_or(CommandError::NotFloat)?;
    let sum = old.checked_add(by).ok_or(CommandError::IncrementNotFinite)?.to_text();
    db.set_string(&key, Str::Bytes(&sum), SetExpire::Keep);
    ctx.changed(key.bytes, Event::INCRBYFLOAT);
    ctx.effects.propagate([b"SET" as &[u8], key.bytes, &sum, b"KEEPTTL"]);
    ctx.reply.bulk(&sum);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::TestServer;
    use crabcache_store::Trace;

    fn encoding(t: &TestServer, key: &str) -> &'static str {
        let (keyspace, env, trace) =
            (&t.server.keyspace, t.server.env(&t.server.config.get()), Trace::default());
        let key = keyspace.key(key.as_bytes());
        let mut pass = keyspace.enter(0);
        let locked = pass.lock_one(key.stripe(), crabcache_store::Mode::Read);
        let entry = locked.read(0, &env, &trace).get(&key, crabcache_store::Lookup::Peek);
        entry.map_or("none", |entry| entry.encoding())
    }

    #[test]
    fn integers() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("INCR k", ":1"),
            ("INCRBY k 41", ":42"),
            ("DECR k", ":41"),
            ("DECRBY k 50", ":-9"),
            ("INCRBY k -1", ":-10"),
            ("DECRBY k -20", ":10"),
            ("GET k", "\"10\""),
        ]);
        assert_eq!(t.events(), ["incrby k"; 6]);
        assert_eq!(t.propagated().len(), 6);
        t.check_all(&[
            ("SET k 9223372036854775806", "+OK"),
            ("INCR k", ":9223372036854775807"),
            ("INCR k", "-ERR increment or decrement would overflow"),
            ("INCRBY k 9223372036854775807", "-ERR increment or decrement would overflow"),
            ("INCRBY k -9223372036854775808", ":-1"),
            ("DECRBY k 9223372036854775807", ":-9223372036854775808"),
            ("DECR k", "-ERR increment or decrement would overflow"),
            ("DECRBY k -9223372036854775808", "-ERR decrement would overflow"),
            ("INCRBY k 9223372036854775808", "-ERR value is not an integer or out of range"),
            ("INCRBY k 1.5", "-ERR value is not an integer or out of range"),
            ("GET k", "\"-9223372036854775808\""),
        ]);
    }

    #[test]
    fn values_that_are_no_integers() {
        let mut t = TestServer::new();
        for value in ["''", "' 1'", "1.0", "01", "+1", "-0", "a", "9223372036854775808"] {
            t.run(&format!("SET k {value}"));
            t.propagated();
            t.check("INCR k", "-ERR value is not an integer or out of range");
            assert!(t.propagated().is_empty());
        }
    }

    #[test]
    fn increments_keep_the_expiry_and_count_as_changes() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("SET k 1 PX 100000", "+OK"),
            ("INCR k", ":2"),
            ("INCRBYFLOAT k 0.5", "\"2.5\""),
        ]);
        t.check_all(&[
            ("WATCH k", "+OK"),
            ("INCR n", ":1"),
            ("DECR n", ":0"),
            ("MULTI", "+OK"),
            ("EXEC", "[]"),
        ]);
        t.check_all(&[
            ("WATCH k", "+OK"),
            ("INCRBYFLOAT k 0", "\"2.5\""),
            ("MULTI", "+OK"),
            ("EXEC", "nil"),
        ]);
        t.advance_ms(100_001);
        t.check_all(&[("GET k", "nil"), ("INCR k", ":1")]);
    }

    #[test]
    fn floats() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("INCRBYFLOAT k 0.1", "\"0.1\""),
            ("INCRBYFLOAT k 0.2", "\"0.3\""),
            ("INCRBYFLOAT k 5.0e3", "\"5000.29999999999999982\""),
            ("INCRBYFLOAT k -5000.3", "\"0\""),
            ("SET k 10", "+OK"),
            ("INCRBYFLOAT k 1e-17", "\"10.00000000000000001\""),
            ("INCRBYFLOAT k a", "-ERR value is not a valid float"),
            ("INCRBYFLOAT k ' 1'", "-ERR value is not a valid float"),
            ("INCRBYFLOAT k nan", "-ERR value is not a valid float"),
            ("INCRBYFLOAT k +inf", "-ERR increment would produce NaN or Infinity"),
            ("SET k abc", "+OK"),
            ("INCRBYFLOAT k 1", "-ERR value is not a valid float"),
            ("SET k '1 '", "+OK"),
            ("INCRBYFLOAT k 1", "-ERR value is not a valid float"),
        ]);
        t.propagated();
        t.check_all(&[("SET k 3", "+OK"), ("incrbyfloat k 1", "\"4\"")]);
        assert_eq!(t.propagated(), ["SET k 3", "SET k 4 KEEPTTL"]);
        assert_eq!(t.events().last().map(String::as_str), Some("incrbyfloat k"));
    }

    #[test]
    fn encodings() {
        let mut t = TestServer::new();
        for (command, expected) in [
            ("SET k 123", "int"),
            ("APPEND k 4", "raw"),
            ("INCR k", "int"),
            ("INCRBYFLOAT k 1", "embstr"),
            ("INCR k", "int"),
            ("SETRANGE k 0 9", "raw"),
            ("APPEND k ''", "raw"),
            ("SET k 9223372036854775807", "int"),
            ("SET k 9223372036854775808", "embstr"),
            ("SET k 00000000000000000001", "embstr"),
            ("SET k -9223372036854775808", "int"),
            ("GETSET k 5", "int"),
            ("GETEX k EX 100", "int"),
            ("GETDEL k", "none"),
            ("APPEND k 12", "int"),
            ("MSET k 12 l x", "int"),
            ("SETEX k 100 xyz", "embstr"),
        ] {
            t.run(command);
            assert_eq!(encoding(&t, "k"), expected, "{command}");
        }
        for (len, expected) in [(40, "embstr"), (41, "raw"), (44, "raw")] {
            t.run(&format!("SET k {}", "x".repeat(len)));
            assert_eq!(encoding(&t, "k"), expected, "{len}");
        }
        t.check("SETRANGE new 1 x", ":2");
        assert_eq!(encoding(&t, "new"), "raw");
    }
}
