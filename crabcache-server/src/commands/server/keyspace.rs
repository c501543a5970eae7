//! Whole databases: DBSIZE, FLUSHALL, FLUSHDB, SWAPDB.

use crate::blocking::WaitKind;
use crate::command::{Args, Categories, Command, CommandResult, Ctx, Flags, exclusive, walk};
use crate::error::CommandError;
use crate::persistence::save;
use crate::tracking;
use crabcache_store::{Walk, WriteDb};
use std::ops::Range;

const DANGEROUS: Categories = Categories::DANGEROUS.union(Categories::KEYSPACE);
const ALL_SHARDS: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];

pub(in crate::commands) const COMMANDS: &[Command] = &[
    walk("dbsize", dbsize)
        .arity(1)
        .fast()
        .categories(Categories::KEYSPACE)
        .tips(&["request_policy:all_shards", "response_policy:agg_sum"])
        .doc("1.0.0", "O(1)", "", "Counts the keys of the database."),
    exclusive("flushall", flushall).arity(-1).categories(DANGEROUS).tips(ALL_SHARDS).doc(
        "1.0.0",
        "O(1); memory is given back on another thread",
        "[flush-type:{ASYNC@4.0.0 | SYNC@6.2.0}]",
        "Removes all keys of all databases.",
    ),
    exclusive("flushdb", flushdb).arity(-1).categories(DANGEROUS).tips(ALL_SHARDS).doc(
        "1.0.0",
        "O(1); memory is given back on another thread",
        "[flush-type:{ASYNC@4.0.0 | SYNC@6.2.0}]",
        "Removes all keys of the database.",
    ),
    exclusive("swapdb", swapdb).arity(3).flags(Flags::FAST).categories(DANGEROUS).doc(
        "4.0.0",
        "O(1)",
        "index1:int index2:int",
        "Exchanges two databases.",
    ),
];

/// DBSIZE
fn dbsize(walk: &mut Walk, ctx: &mut Ctx, _: Args) -> CommandResult {
    let size = walk.keyspace().size(ctx.client.db);
    ctx.reply.count(size.n_keys);
    Ok(())
}

/// FLUSHALL [ASYNC | SYNC]
fn flushall(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let n_databases = ctx.server.keyspace.n_databases();
    flush(db, ctx, args, 0..n_databases)?;
    // So that a restart does not bring back what was removed.
    if save::save_flushed(ctx.server, &ctx.config, db.locked()) {
        // There is no change since the last snapshot.
        ctx.effects.n_dirty = 0;
    }
    Ok(())
}

/// FLUSHDB [ASYNC | SYNC]
fn flushdb(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let number = db.number();
    flush(db, ctx, args, number..number + 1)
}

/// Empties databases. Memory is given back on another thread in any case, so that nobody waits for
/// it while the keyspace is held; SYNC makes the client alone wait.
fn flush(db: &mut WriteDb, ctx: &mut Ctx, args: Args, databases: Range<usize>) -> CommandResult {
    let is_async = match args.len() {
        1 => ctx.config.lazyfree_lazy_user_flush,
        2 if args.is(1, "ASYNC") => true,
        2 if args.is(1, "SYNC") => false,
        _ => return Err(CommandError::Syntax),
    };
    let can_wait = !is_async && ctx.may_block();
    for number in databases {
        if ctx.server.keyspace.size(number).n_keys > 0 {
            let tables = db.locked().flush(number, ctx.env.now_ms);
            ctx.effects.n_dirty += tables.iter().map(|table| table.len() as u64).sum::<u64>();
            // Compat: the reference frees within the transaction; that is not counted as lazy.
            ctx.server.lazyfree.free_tables(tables, is_async || can_wait);
        }
        ctx.server.active_expire.forget(number);
    }
    tracking::invalidate_all(ctx.server);
    ctx.effects.propagate_always();
    if can_wait && ctx.server.lazyfree.has_thread() {
        ctx.block(WaitKind::Memory, None, |_, reply| reply.ok());
        ctx.server.lazyfree.tell_when_done(&ctx.client.handle);
    } else {
        ctx.reply.ok();
    }
    Ok(())
}

/// SWAPDB index1 index2
fn swapdb(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let first = args.int32(1).map_err(|_| CommandError::InvalidFirstDbIndex)?;
    let second = args.int32(2).map_err(|_| CommandError::InvalidSecondDbIndex)?;
    let (first, second) = (ctx.db_number(first)?, ctx.db_number(second)?);
    if first != second {
        db.locked().swap(first, second, ctx.env.now_ms);
        ctx.server.active_expire.swap(first, second);
    }
    ctx.effects.n_dirty += 1;
    ctx.reply.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::TestServer;

    #[test]
    fn flushes_empty_databases() {
        let mut t = TestServer::new();
        let mut other = t.client();
        other.client.select(5);
        t.check_all(&[("SET a 1", "+OK"), ("SET b 1", "+OK"), ("DBSIZE", ":2")]);
        t.run_as(&mut other, "SET a 1");
        t.propagated();
        t.check_all(&[("FLUSHDB", "+OK"), ("DBSIZE", ":0"), ("GET a", "nil")]);
        assert_eq!(t.run_as(&mut other, "DBSIZE"), ":1");
        t.check_all(&[("SET a 1", "+OK"), ("FLUSHALL ASYNC", "+OK"), ("DBSIZE", ":0")]);
        assert_eq!(t.run_as(&mut other, "DBSIZE"), ":0");
        assert_eq!(t.propagated(), ["FLUSHDB", "SET a 1", "FLUSHALL ASYNC"]);
        assert_eq!(t.events(), ["set a", "set b", "set a@5", "set a"]);
        assert_eq!(t.server.lazyfree.freed_objects(), 4);
        assert_eq!(t.server.lazyfree.pending_objects(), 0);
    }

    #[test]
    fn flushes_of_nothing_are_replicated_and_change_nothing() {
        let mut t = TestServer::new();
        t.check_all(&[("FLUSHALL sync", "+OK"), ("FLUSHDB async", "+OK")]);
        assert_eq!(t.propagated(), ["FLUSHALL sync", "FLUSHDB async"]);
        assert_eq!(t.server.stats.sum(|worker| &worker.dirty), 0);
        t.check_all(&[("SET a 1", "+OK"), ("SET b 1", "+OK"), ("FLUSHALL", "+OK")]);
        assert_eq!(t.server.stats.sum(|worker| &worker.dirty), 4);
        t.check_all(&[
            ("FLUSHALL x", "-ERR syntax error"),
            ("FLUSHDB SYNC x", "-ERR syntax error"),
        ]);
    }

    #[test]
    fn a_flush_within_a_transaction_is_not_counted_as_lazy() {
        let mut t = TestServer::new();
        t.check_all(&[("SET a 1", "+OK"), ("MULTI", "+OK"), ("FLUSHALL SYNC", "+QUEUED")]);
        t.check_all(&[("DBSIZE", "+QUEUED"), ("EXEC", "[+OK, :0]")]);
        assert_eq!(t.server.lazyfree.freed_objects(), 0);
    }

    #[test]
    fn the_client_of_a_flush_waits_for_the_memory() {
        let mut t = TestServer::new();
        t.server.lazyfree.start(&t.server.memory.used);
        t.check_all(&[("SET a 1", "+OK"), ("FLUSHALL ASYNC", "+OK")]);
        let mut client = t.client();
        t.check("SET a 1", "+OK");
        assert_eq!(t.run_as(&mut client, "FLUSHALL"), "");
        assert!(client.client.is_held_up());
        while !client.client.handle.has_mail() {
            std::thread::yield_now();
        }
        assert_eq!(t.take_mail(&mut client), b"+OK\r\n");
        assert_eq!(t.server.blocking.n_blocked(), 0);
        assert_eq!(t.server.lazyfree.freed_objects(), 2);
        assert_eq!(t.server.lazyfree.pending_objects(), 0);
    }

    #[test]
    fn flushes_tell_watchers_of_keys_that_were_there() {
        let mut t = TestServer::new();
        let mut other = t.client();
        t.check_all(&[("SET a 1", "+OK"), ("WATCH a", "+OK"), ("MULTI", "+OK")]);
        t.run_as(&mut other, "FLUSHALL");
        t.check_all(&[("EXEC", "nil"), ("WATCH a", "+OK"), ("MULTI", "+OK")]);
        t.run_as(&mut other, "FLUSHDB");
        t.check("EXEC", "[]");
    }

    #[test]
    fn swapdb_exchanges_databases() {
        let mut t = TestServer::new();
        let mut other = t.client();
        other.client.select(1);
        t.check_all(&[("SET a 1", "+OK"), ("EXPIRE a 100", ":1"), ("SWAPDB 0 1", "+OK")]);
        assert_eq!(t.run_as(&mut other, "TTL a"), ":100");
        t.check_all(&[
            ("DBSIZE", ":0"),
            ("SWAPDB x 0", "-ERR invalid first DB index"),
            ("SWAPDB 0 x", "-ERR invalid second DB index"),
            ("SWAPDB 0 99999999999", "-ERR invalid second DB index"),
            ("SWAPDB 0 16", "-ERR DB index is out of range"),
            ("SWAPDB -1 0", "-ERR DB index is out of range"),
            ("WATCH a", "+OK"),
            ("SWAPDB 1 1", "+OK"),
            ("MULTI", "+OK"),
            ("EXEC", "[]"),
            ("WATCH a", "+OK"),
            ("SWAPDB 0 1", "+OK"),
            ("MULTI", "+OK"),
            ("EXEC", "nil"),
            ("GET a", "\"1\""),
        ]);
        let last = |t: &TestServer| t.propagated().pop().unwrap();
        assert_eq!(last(&t), "SWAPDB 0 1");
    }

    #[test]
    fn a_watched_key_may_be_exchanged_for_one_that_has_expired_if_it_was_missing() {
        let mut t = TestServer::new();
        t.server.active_expire.enable(false);
        t.check("SET x v PX 1", "+OK");
        t.advance_ms(5);
        t.check_all(&[("SELECT 1", "+OK"), ("WATCH x", "+OK"), ("SWAPDB 0 1", "+OK")]);
        t.check_all(&[("MULTI", "+OK"), ("EXEC", "[]")]);
        // But not for one that is there, and not if something was there.
        t.check_all(&[("SET y v", "+OK"), ("WATCH y", "+OK"), ("SWAPDB 0 1", "+OK")]);
        t.check_all(&[("MULTI", "+OK"), ("EXEC", "nil"), ("WATCH y", "+OK")]);
        t.check_all(&[("SWAPDB 0 1", "+OK"), ("MULTI", "+OK"), ("EXEC", "nil")]);
    }
}
