//! Values under another key or in another database: COPY, MOVE, RENAME, RENAMENX.

use crate::command::{Args, Categories, Command, CommandResult, Ctx, Flags, KeySpec, write};
use crate::error::CommandError;
use crate::notify::Event;
use crabcache_store::{Key, Kind, Lookup, WriteDb};

pub(in crate::commands) const COMMANDS: &[Command] = &[
    write("copy", copy)
        .arity(-3)
        .flags(Flags::DENYOOM)
        .categories(Categories::KEYSPACE)
        .keys(&[KeySpec::at(1).ro().access(), KeySpec::at(2).ow().update()])
        .doc(
            "6.2.0",
            "O(1) for a string, O(N) for a value of N elements",
            "source:key destination:key [DB=destination-db:int] [REPLACE]",
            "Copies a value to another key.",
        ),
    write("move", move_)
        .arity(3)
        .fast()
        .categories(Categories::KEYSPACE)
        .keys(&[KeySpec::at(1).rw().access().update()])
        .doc("1.0.0", "O(1)", "key db:int", "Moves a key to another database."),
    write("rename", rename)
        .arity(3)
        .categories(Categories::KEYSPACE)
        .keys(&[KeySpec::at(1).rw().access().delete(), KeySpec::at(2).ow().update()])
        .doc(
            "1.0.0",
            "O(1), and O(N) if the new key held N elements",
            "key newkey:key",
            "Gives a key another name; what had that name is lost.",
        ),
    write("renamenx", renamenx)
        .arity(3)
        .fast()
        .categories(Categories::KEYSPACE)
        .keys(&[KeySpec::at(1).rw().access().delete(), KeySpec::at(2).ow().insert()])
        .doc("1.0.0", "O(1)", "key newkey:key", "Gives a key another name if nothing has it."),
];

/// COPY source destination [DB destination-db] [REPLACE]
fn copy(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let (mut to_db, mut replaces) = (db.number(), false);
    let mut options = args.from(3);
    while options.remaining() > 0 {
        if options.accept("REPLACE") {
            replaces = true;
        } else if options.accept("DB") {
            to_db = ctx.db_number(options.int32()?)?;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let (from, to) = (ctx.key(args.get(1)), ctx.key(args.get(2)));
    if to_db == db.number() && from.bytes == to.bytes {
        return Err(CommandError::SameKey);
    }
    let is_copied = copy_key(db, ctx, &from, &to, to_db, replaces)?;
    ctx.reply.int(is_copied.into());
    Ok(())
}

/// Returns whether the key was copied.
fn copy_key(
    db: &mut WriteDb,
    ctx: &mut Ctx,
    from: &Key,
    to: &Key,
    to_db: usize,
    replaces: bool,
) -> Result<bool, CommandError> {
    let Some(kind) = db.get(from, Lookup::Use).map(|entry| entry.kind()) else { return Ok(false) };
    let old_kind = db.in_db(to_db).get(to, Lookup::Write).map(|entry| entry.kind());
    if old_kind.is_some() && !replaces {
        return Ok(false);
    }
    // Compat: the reference's module cannot copy its values.
    if kind == Kind::VectorSet {
        return Err(CommandError::NotCopyable);
    }
    let copy = db.get(from, Lookup::Peek).map(|entry| entry.duplicate(to.bytes));
    let Some(entry) = copy else { return Ok(false) };
    db.in_db(to_db).put(to, entry);
    ctx.effects.changed(to_db, to.bytes, Event::COPY_TO);
    if let Some(old_kind) = old_kind {
        ctx.effects.overwritten(to_db, to.bytes, old_kind != kind);
    }
    Ok(true)
}

/// MOVE key db
fn move_(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let (from_db, to_db) = (db.number(), ctx.db_number(args.int32(2)?)?);
    if from_db == to_db {
        return Err(CommandError::SameKey);
    }
    let key = ctx.key(args.get(1));
    let can_move =
        db.get(&key, Lookup::Write).is_some() && db.in_db(to_db).get(&key, Lookup::Write).is_none();
    let Some(entry) = can_move.then(|| db.remove(&key)).flatten() else {
        ctx.reply.int(0);
        return Ok(());
    };
    db.in_db(to_db).put(&key, entry);
    ctx.effects.touched(to_db, key.bytes);
    ctx.effects.touched(from_db, key.bytes);
    ctx.effects.event(from_db, key.bytes, Event::MOVE_FROM);
    ctx.effects.changed(to_db, key.bytes, Event::MOVE_TO);
    ctx.reply.int(1);
    Ok(())
}

/// RENAME key newkey
fn rename(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    rename_key(db, ctx, args, Target::Any)?;
    ctx.reply.ok();
    Ok(())
}

/// RENAMENX key newkey
fn renamenx(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let is_renamed = rename_key(db, ctx, args, Target::Free)?;
    ctx.reply.int(is_renamed.into());
    Ok(())
}

/// What the new key may be.
#[derive(PartialEq, Eq)]
enum Target {
    Any,
    Free,
}

/// Returns whether the key was renamed.
fn rename_key(
    db: &mut WriteDb,
    ctx: &mut Ctx,
    args: Args,
    target: Target,
) -> Result<bool, CommandError> {
    let (from, to) = (ctx.key(args.get(1)), ctx.key(args.get(2)));
    if db.get(&from, Lookup::Write).is_none() {
        return Err(CommandError::NoSuchKey);
    }
    if from.bytes == to.bytes {
        return Ok(false);
    }
    let old_kind = db.get(&to, Lookup::Write).map(|entry| entry.kind());
    if target == Target::Free && old_kind.is_some() {
        return Ok(false);
    }
    let Some(entry) = db.remove(&from) else { return Err(CommandError::NoSuchKey) };
    let kind = entry.kind();
    db.put(&to, entry.renamed(to.bytes));
    // In this order: that the new key is new is told first.
    ctx.effects.touched(db.number(), to.bytes);
    ctx.effects.touched(db.number(), from.bytes);
    ctx.event(from.bytes, Event::RENAME_FROM);
    ctx.changed(to.bytes, Event::RENAME_TO);
    if let Some(old_kind) = old_kind {
        ctx.effects.overwritten(db.number(), to.bytes, old_kind != kind);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use crate::server::interest::Interest;
    use crate::testing::TestServer;

    fn with_fine_events() -> TestServer {
        let t = TestServer::new();
        t.server.interests.set(Interest::FINE_EVENTS, true);
        t
    }

    #[test]
    fn rename_takes_value_and_expiry_along() {
        let mut t = with_fine_events();
        t.check_all(&[
            ("RENAME a b", "-ERR no such key"),
            ("RENAME a a", "-ERR no such key"),
            ("SET a 1", "+OK"),
            ("RENAME a a", "+OK"),
            ("EXPIRE a 100", ":1"),
            ("SET b 2", "+OK"),
            ("RENAME a b", "+OK"),
            ("GET b", "\"1\""),
            ("TTL b", ":100"),
            ("EXISTS a", ":0"),
            ("DBSIZE", ":1"),
        ]);
        let events = t.events();
        assert_eq!(events[5..], ["new b", "rename_from a", "rename_to b", "overwritten b"]);
        assert_eq!(t.propagated().len(), 4);
        t.check_all(&[("RENAME b c", "+OK"), ("TTL c", ":100")]);
        assert_eq!(t.events(), ["new c", "rename_from b", "rename_to c"]);
        assert_eq!(t.propagated(), ["RENAME b c"]);
    }

    #[test]
    fn rename_drops_the_expiry_of_what_it_replaces() {
        let mut t = TestServer::new();
        t.check_all(&[("SET a 1", "+OK"), ("SET b 2", "+OK"), ("EXPIRE b 100", ":1")]);
        t.check_all(&[("RENAME a b", "+OK"), ("TTL b", ":-1")]);
        t.advance_ms(200_000);
        t.check_all(&[("GET b", "\"1\""), ("DBSIZE", ":1")]);
    }

    #[test]
    fn renamenx_needs_a_free_name() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("RENAMENX a b", "-ERR no such key"),
            ("SET a 1", "+OK"),
            ("RENAMENX a a", ":0"),
            ("SET b 2", "+OK"),
            ("RENAMENX a b", ":0"),
            ("PEXPIRE b 5", ":1"),
        ]);
        t.advance_ms(10);
        t.propagated();
        t.events();
        t.check_all(&[("RENAMENX a b", ":1"), ("GET b", "\"1\"")]);
        assert_eq!(t.events(), ["expired b", "rename_from a", "rename_to b"]);
        assert_eq!(t.propagated(), ["DEL b", "RENAMENX a b"]);
    }

    #[test]
    fn copy_leaves_the_source_alone() {
        let mut t = with_fine_events();
        t.check_all(&[
            ("COPY a b", ":0"),
            ("SET a 1", "+OK"),
            ("EXPIRE a 100", ":1"),
            ("COPY a a", "-ERR source and destination objects are the same"),
            ("COPY a b", ":1"),
            ("TTL b", ":100"),
            ("SET a 2", "+OK"),
            ("GET b", "\"1\""),
            ("COPY a b", ":0"),
            ("COPY a b REPLACE", ":1"),
            ("TTL b", ":-1"),
            ("GET b", "\"2\""),
        ]);
        let events = t.events();
        assert_eq!(events[3..5], ["new b", "copy_to b"]);
        assert_eq!(events[7..], ["new b", "copy_to b", "overwritten b"]);
        assert_eq!(t.propagated()[2..], ["COPY a b", "SET a 2", "COPY a b REPLACE"]);
    }

    #[test]
    fn copy_reaches_other_databases() {
        let mut t = TestServer::new();
        let mut other = t.client();
        other.client.select(3);
        t.check_all(&[
            ("SET a 1", "+OK"),
            ("COPY a a DB 3", ":1"),
            ("COPY a a DB 3", ":0"),
            ("COPY a a REPLACE DB 3", ":1"),
            ("COPY a b DB 16", "-ERR DB index is out of range"),
            ("COPY a b DB -1", "-ERR DB index is out of range"),
            ("COPY a b DB x", "-ERR value is not an integer or out of range"),
            ("COPY a b DB", "-ERR syntax error"),
            ("COPY a b WITH", "-ERR syntax error"),
            ("COPY a a DB 0", "-ERR source and destination objects are the same"),
        ]);
        assert_eq!(t.run_as(&mut other, "GET a"), "\"1\"");
        assert_eq!(t.events(), ["set a", "copy_to a@3", "copy_to a@3"]);
    }

    #[test]
    fn move_changes_the_database() {
        let mut t = TestServer::new();
        let mut other = t.client();
        other.client.select(9);
        t.check_all(&[
            ("MOVE a 9", ":0"),
            ("SET a 1", "+OK"),
            ("EXPIRE a 100", ":1"),
            ("MOVE a 0", "-ERR source and destination objects are the same"),
            ("MOVE a 16", "-ERR DB index is out of range"),
            ("MOVE a x", "-ERR value is not an integer or out of range"),
            (
                "MOVE a 99999999999",
                "-ERR value is out of range, value must between -2147483648 and 2147483647",
            ),
            ("MOVE a 9", ":1"),
            ("EXISTS a", ":0"),
            ("SET a 2", "+OK"),
            ("MOVE a 9", ":0"),
        ]);
        assert_eq!(t.run_as(&mut other, "TTL a"), ":100");
        assert_eq!(t.events(), ["set a", "expire a", "move_from a", "move_to a@9", "set a"]);
        t.propagated();
        assert_eq!(t.run_as(&mut other, "MOVE a 4"), ":1");
        assert_eq!(t.propagated(), ["@9 MOVE a 4"]);
    }

    #[test]
    fn watchers_of_both_keys_are_told() {
        for (command, watched) in [("RENAME a b", "a"), ("RENAME a b", "b"), ("COPY a b", "b")] {
            let mut t = TestServer::new();
            let mut other = t.client();
            t.check_all(&[("SET a 1", "+OK"), (&format!("WATCH {watched}"), "+OK")]);
            t.run_as(&mut other, command);
            t.check_all(&[("MULTI", "+OK"), ("EXEC", "nil")]);
        }
        let mut t = TestServer::new();
        let mut other = t.client();
        t.check_all(&[("SET a 1", "+OK"), ("WATCH a", "+OK")]);
        t.run_as(&mut other, "COPY a b");
        t.check_all(&[("MULTI", "+OK"), ("EXEC", "[]"), ("WATCH b", "+OK")]);
        t.run_as(&mut other, "MOVE b 1");
        t.check_all(&[("MULTI", "+OK"), ("EXEC", "nil")]);
    }
}
