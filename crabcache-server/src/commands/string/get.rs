//! Reading a string, and deleting it or changing its expiry on the way.

use super::expiration::{Expiration, TimeOption};
use super::reply_string;
use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crate::notify::Event;
use crabcache_store::{Expiry, Key, Lookup, ReadDb, WriteDb};

/// GET key
pub(super) fn get(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    match db.get_string(&ctx.key(args.get(1)))? {
        None => ctx.reply.null(),
        Some(value) => reply_string(&mut ctx.reply, value.get()),
    }
    Ok(())
}

/// STRLEN key
pub(super) fn strlen(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let value = db.get_string(&ctx.key(args.get(1)))?;
    ctx.reply.count(value.map_or(0, |value| value.get().len()));
    Ok(())
}

/// GETDEL key
pub(super) fn getdel(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(1));
    let Some(value) = db.get_string(&key, Lookup::Use)? else {
        ctx.reply.null();
        return Ok(());
    };
    reply_string(&mut ctx.reply, value.get());
    delete(db, ctx, &key, false);
    Ok(())
}

/// DELIFEQ key value
// Compat: Valkey's (since 9.0). Replicated as DEL, which any server understands.
pub(super) fn delifeq(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(1));
    let value = db.get_string(&key, Lookup::Write)?;
    let is_equal = value.is_some_and(|value| value.get().is(args.get(2)));
    if is_equal {
        delete(db, ctx, &key, false);
    }
    ctx.reply.int(i64::from(is_equal));
    Ok(())
}

/// GETEX key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds |
/// PERSIST]
pub(super) fn getex(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let mut expiration = Expiration::Unsaid;
    let mut words = args.from(2);
    while words.remaining() > 0 {
        if !expiration.accept_word(&mut words, "PERSIST", Expiration::Persist)?
            && !expiration.accept_time(&mut words)?
        {
            return Err(CommandError::Syntax);
        }
    }
    let key = ctx.key(args.get(1));
    let Some(value) = db.get_string(&key, Lookup::Use)? else {
        ctx.reply.null();
        return Ok(());
    };
    reply_string(&mut ctx.reply, value.get());
    let has_expire = value.entry().expire_at_ms().is_some();
    match expiration {
        Expiration::Time(option, text) => {
            let at_ms = option.at_ms(text, ctx)?;
            expire_at(db, ctx, &key, option, at_ms);
        }
        Expiration::Persist if has_expire => {
            db.set_expire(&key, None);
            ctx.changed(key.bytes, Event::PERSIST);
            ctx.effects.propagate([b"PERSIST", key.bytes]);
        }
        _ => {}
    }
    Ok(())
}

/// Sets the expiry of `key`, or deletes it if the time was given as one in the past.
fn expire_at(db: &mut WriteDb, ctx: &mut Ctx, key: &Key<'_>, option: TimeOption, at_ms: i64) {
    // A replica leaves deleting to its primary.
    let is_past = at_ms <= ctx.env.now_ms && db.env().expiry == Expiry::Remove;
    if is_past && !option.is_relative() {
        return delete(db, ctx, key, ctx.config.lazyfree_lazy_expire);
    }
    db.set_expire(key, Some(at_ms));
    ctx.changed(key.bytes, Event::EXPIRE);
    let mut text = itoa::Buffer::new();
    ctx.effects.propagate([b"PEXPIREAT", key.bytes, text.format(at_ms).as_bytes()]);
}

/// Deletes a key that is there. Replicated as DEL, or as UNLINK if `is_lazy`.
fn delete(db: &mut WriteDb, ctx: &mut Ctx, key: &Key<'_>, is_lazy: bool) {
    if let Some(entry) = db.remove(key) {
        ctx.server.lazyfree.free(entry, is_lazy);
    }
    ctx.changed(key.bytes, Event::DEL);
    ctx.effects.propagate([if is_lazy { b"UNLINK" as &[u8] } else { b"DEL" }, key.bytes]);
}

#[cfg(test)]
mod tests {
    use crate::testing::TestServer;

    /// Forgets the events and commands so far.
    fn forget(t: &TestServer) {
        t.events();
        t.propagated();
    }

    #[test]
    fn reads() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("GET k", "nil"),
            ("STRLEN k", ":0"),
            ("SET k -123", "+OK"),
            ("GET k", "\"-123\""),
            ("STRLEN k", ":4"),
            ("SET k ''", "+OK"),
            ("GET k", "\"\""),
            ("STRLEN k", ":0"),
        ]);
        let value = vec![b'x'; 1_000_000];
        assert_eq!(t.run_words(&[b"SET", b"k", &value]), "+OK");
        t.check("STRLEN k", ":1000000");
        assert_eq!(t.run("GET k").len(), 1_000_002);
        let stats = &t.server.stats;
        assert_eq!(stats.sum(|worker| &worker.keyspace_hits), 6);
        assert_eq!(stats.sum(|worker| &worker.keyspace_misses), 2);
    }

    #[test]
    fn getdel_deletes() {
        let mut t = TestServer::new();
        t.check_all(&[("GETDEL k", "nil"), ("SET k v EX 100", "+OK")]);
        forget(&t);
        t.check_all(&[("GETDEL k", "\"v\""), ("GETDEL k", "nil"), ("GET k", "nil")]);
        assert_eq!((t.events(), t.propagated()), (vec!["del k".into()], vec!["DEL k".into()]));
    }

    #[test]
    fn delifeq_deletes_what_is_equal() {
        let mut t = TestServer::new();
        t.check_all(&[("DELIFEQ k v", ":0"), ("SET k 10", "+OK"), ("DELIFEQ k 010", ":0")]);
        forget(&t);
        t.check_all(&[("DELIFEQ k 10", ":1"), ("DELIFEQ k 10", ":0"), ("GET k", "nil")]);
        assert_eq!((t.events(), t.propagated()), (vec!["del k".into()], vec!["DEL k".into()]));
        t.check("DELIFEQ k", "-ERR wrong number of arguments for 'delifeq' command");
    }

    #[test]
    fn getex_sets_and_ends_expiries() {
        let mut t = TestServer::new();
        t.check_all(&[("GETEX k EX 10", "nil"), ("GETEX k EX 0", "nil"), ("SET k v", "+OK")]);
        forget(&t);
        t.check_all(&[("GETEX k", "\"v\""), ("GETEX k PERSIST", "\"v\"")]);
        assert_eq!((t.events(), t.propagated()), (vec![], vec![]));
        t.check_all(&[
            ("GETEX k EXAT 99999999999", "\"v\""),
            ("GETEX k PXAT 99999999999999", "\"v\""),
            ("GETEX k PERSIST", "\"v\""),
            ("GETEX k PERSIST persist", "\"v\""),
        ]);
        assert_eq!(t.events(), ["expire k", "expire k", "persist k"]);
        let expected = ["PEXPIREAT k 99999999999000", "PEXPIREAT k 99999999999999", "PERSIST k"];
        assert_eq!(t.propagated(), expected);
        t.check_all(&[("GETEX k EX 1000", "\"v\""), ("GETEX k PX 2000000", "\"v\"")]);
        assert!(t.propagated().iter().all(|line| line.starts_with("PEXPIREAT k ")));
        t.advance_ms(1_900_000);
        t.check("GET k", "\"v\"");
        t.advance_ms(100_001);
        t.check("GET k", "nil");
    }

    #[test]
    fn getex_of_the_past_deletes() {
        let mut t = TestServer::new();
        for option in ["EXAT 1", "PXAT 1000"] {
            t.run("SET k v");
            forget(&t);
            t.check(&format!("GETEX k {option}"), "\"v\"");
            assert_eq!((t.events(), t.propagated()), (vec!["del k".into()], vec!["DEL k".into()]));
            t.check("GET k", "nil");
        }
        let mut t = TestServer::with_config(&[("lazyfree-lazy-expire", "yes")]);
        t.check_all(&[("SET k v", "+OK"), ("GETEX k EXAT 1", "\"v\"")]);
        assert_eq!(t.propagated(), ["SET k v", "UNLINK k"]);
    }

    #[test]
    fn getex_options() {
        let mut t = TestServer::new();
        t.run("SET k v");
        for options in
            ["KEEPTTL", "NX", "EX", "EX 10 PERSIST", "PERSIST PX 10", "EX 10 PX 10", "GET", "10"]
        {
            t.check(&format!("GETEX k {options}"), "-ERR syntax error");
        }
        t.check_all(&[
            ("GETEX k EX 10 ex 20", "\"v\""),
            ("GETEX k EX a", "-ERR value is not an integer or out of range"),
            ("GETEX k EX 0", "-ERR invalid expire time in 'getex' command"),
            ("GETEX k PX 9223372036854775807", "-ERR invalid expire time in 'getex' command"),
            ("GETEX k EXAT 9223372036854775", "\"v\""),
            ("GETEX k EXAT 9223372036854776", "-ERR invalid expire time in 'getex' command"),
        ]);
    }
}
