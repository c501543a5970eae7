//! Whether keys are there, and their end: DEL, UNLINK, EXISTS, TOUCH, TYPE.

use crate::command::{Args, Categories, Command, CommandResult, Ctx, KeySpec, read, write};
use crate::notify::Event;
use crabcache_store::{Lookup, ReadDb, WriteDb};

const SUM_OF_SHARDS: &[&str] = &["request_policy:multi_shard", "response_policy:agg_sum"];

pub(in crate::commands) const COMMANDS: &[Command] = &[
    write("del", del)
        .arity(-2)
        .categories(Categories::KEYSPACE)
        .keys(&[KeySpec::at(1).range(-1, 1).rm().delete()])
        .tips(SUM_OF_SHARDS)
        .doc(
            "1.0.0",
            "O(1) per key, and O(N) for a value of N elements",
            "key...",
            "Removes keys.",
        ),
    read("exists", exists)
        .arity(-2)
        .fast()
        .categories(Categories::KEYSPACE)
        .keys(&[KeySpec::at(1).range(-1, 1).ro()])
        .tips(SUM_OF_SHARDS)
        .doc("1.0.0", "O(1) per key", "key...", "Counts how many of the keys are there."),
    read("touch", touch)
        .arity(-2)
        .fast()
        .categories(Categories::KEYSPACE)
        .keys(&[KeySpec::at(1).range(-1, 1).ro()])
        .tips(SUM_OF_SHARDS)
        .doc("3.2.1", "O(1) per key", "key...", "Marks keys as used; counts those that are there."),
    read("type", type_)
        .arity(2)
        .fast()
        .categories(Categories::KEYSPACE)
        .keys(&[KeySpec::at(1).ro()])
        .doc("1.0.0", "O(1)", "key", "Tells the data type of a value."),
    write("unlink", unlink)
        .arity(-2)
        .fast()
        .categories(Categories::KEYSPACE)
        .keys(&[KeySpec::at(1).range(-1, 1).rm().delete()])
        .tips(SUM_OF_SHARDS)
        .doc(
            "4.0.0",
            "O(1) per key; memory is given back on another thread",
            "key...",
            "Removes keys; big values are freed later.",
        ),
];

/// DEL key [key ...]
fn del(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let is_lazy = ctx.config.lazyfree_lazy_user_del;
    remove_all(db, ctx, args, is_lazy)
}

/// UNLINK key [key ...]
fn unlink(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    remove_all(db, ctx, args, true)
}

fn remove_all(db: &mut WriteDb, ctx: &mut Ctx, args: Args, is_lazy: bool) -> CommandResult {
    let mut n_removed = 0;
    for word in args.iter().skip(1) {
        if let Some(entry) = db.remove(&ctx.key(word)) {
            ctx.server.lazyfree.free(entry, is_lazy);
            ctx.changed(word, Event::DEL);
            n_removed += 1;
        }
    }
    ctx.reply.int(n_removed);
    Ok(())
}

/// EXISTS key [key ...]
fn exists(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    count_found(db, ctx, args, Lookup::Glance)
}

/// TOUCH key [key ...]
fn touch(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    count_found(db, ctx, args, Lookup::Touch)
}

fn count_found(db: &ReadDb, ctx: &mut Ctx, args: Args, lookup: Lookup) -> CommandResult {
    let is_there = |word: &&[u8]| db.get(&ctx.key(word), lookup).is_some();
    let n_found = args.iter().skip(1).filter(is_there).count();
    ctx.reply.count(n_found);
    Ok(())
}

/// TYPE key
fn type_(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let entry = db.get(&ctx.key(args.get(1)), Lookup::Glance);
    ctx.reply.status(entry.map_or("none", |entry| entry.kind().name()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::TestServer;

    #[test]
    fn del_counts_keys_once() {
        let mut t = TestServer::new();
        t.check_all(&[("SET a 1", "+OK"), ("SET b 2", "+OK"), ("DEL a a missing b", ":2")]);
        t.check_all(&[("EXISTS a b", ":0"), ("DEL a", ":0"), ("DEL", ARITY_DEL)]);
        assert_eq!(t.events().split_off(2), ["del a", "del b"]);
        assert_eq!(t.propagated(), ["SET a 1", "SET b 2", "DEL a a missing b"]);
    }

    const ARITY_DEL: &str = "-ERR wrong number of arguments for 'del' command";

    #[test]
    fn unlink_is_del() {
        let mut t = TestServer::new();
        t.check_all(&[("SET a 1", "+OK"), ("UNLINK a b", ":1"), ("UNLINK a b", ":0")]);
        assert_eq!(t.events(), ["set a", "del a"]);
        assert_eq!(t.propagated(), ["SET a 1", "UNLINK a b"]);
    }

    #[test]
    fn exists_counts_a_key_as_often_as_it_is_named() {
        let mut t = TestServer::new();
        t.check_all(&[("SET a 1", "+OK"), ("EXISTS a b a", ":2"), ("TOUCH a b a", ":2")]);
    }

    #[test]
    fn types() {
        let mut t = TestServer::new();
        t.check_all(&[("SET a 1", "+OK"), ("TYPE a", "+string"), ("TYPE b", "+none")]);
    }

    #[test]
    fn expired_keys_are_not_there_and_are_removed_by_whoever_asks() {
        for (command, reply) in
            [("EXISTS k", ":0"), ("TOUCH k", ":0"), ("TYPE k", "+none"), ("DEL k", ":0")]
        {
            let mut t = TestServer::new();
            t.check_all(&[("SET k 1", "+OK"), ("PEXPIRE k 10", ":1")]);
            t.advance_ms(20);
            assert_eq!((t.events().len(), t.propagated().len()), (2, 2));
            t.check_all(&[("DBSIZE", ":1"), (command, reply), ("DBSIZE", ":0")]);
            assert_eq!(t.events(), ["expired k"], "{command}");
            assert_eq!(t.propagated(), ["DEL k"], "{command}");
        }
    }

    #[test]
    fn expired_keys_are_replicated_as_unlink_if_that_is_configured() {
        let mut t = TestServer::with_config(&[("lazyfree-lazy-expire", "yes")]);
        t.check_all(&[("SET k 1", "+OK"), ("PEXPIRE k 10", ":1")]);
        t.advance_ms(20);
        t.propagated();
        t.check("SET k 2", "+OK");
        assert_eq!(t.propagated(), ["UNLINK k", "SET k 2"]);
    }

    #[test]
    fn keys_that_nobody_names_may_be_left_to_expire_outside_of_transactions() {
        for (value, in_exec) in [("yes", &["DEL k"][..]), ("no", &[])] {
            let mut t = TestServer::with_config(&[("lazyexpire-nested-arbitrary-keys", value)]);
            t.check_all(&[("SET k 1", "+OK"), ("PEXPIRE k 10", ":1")]);
            t.advance_ms(20);
            t.propagated();
            t.check_all(&[
                ("MULTI", "+OK"),
                ("SCAN 0", "+QUEUED"),
                ("EXEC", "[[\"0\", []]]"),
                ("EVAL 'return redis.call(\"SCAN\", 0)' 0", "[\"0\", []]"),
            ]);
            assert_eq!(t.propagated(), in_exec, "{value}");
            t.check("SCAN 0", "[\"0\", []]");
            assert_eq!(t.propagated().len(), 1 - in_exec.len(), "{value}");
        }
    }

    #[test]
    fn removal_is_a_change_for_watchers_but_not_of_a_key_that_had_expired() {
        let mut t = TestServer::new();
        let mut other = t.client();
        t.check_all(&[("SET k 1", "+OK"), ("WATCH k", "+OK"), ("MULTI", "+OK")]);
        t.run_as(&mut other, "DEL k");
        t.check_all(&[("EXEC", "nil"), ("SET k 1", "+OK"), ("PEXPIRE k 10", ":1")]);
        t.advance_ms(20);
        t.check_all(&[("WATCH k", "+OK"), ("MULTI", "+OK")]);
        assert_eq!(t.run_as(&mut other, "DEL k"), ":0");
        t.check("EXEC", "[]");
    }
}
