//! OBJECT: what the server knows about a key beside its value.

use crate::command::{
    Args, Categories, Command, CommandResult, Ctx, Flags, KeySpec, container, help, read, server,
};
use crate::error::CommandError;
use crabcache_store::{Lookup, ReadDb};

pub(in crate::commands) const COMMANDS: &[Command] = &[container("object", OBJECT_SUBCOMMANDS)
    .doc("2.2.3", "Depends on the subcommand.", "", "Tells what the server knows about a key.")];

const OBJECT_SUBCOMMANDS: &[Command] = &[
    read("encoding", object_encoding)
        .arity(3)
        .categories(Categories::KEYSPACE)
        .keys(&[KeySpec::at(2).ro()])
        .tips(&["nondeterministic_output"])
        .doc("2.2.3", "O(1)", "key", "Tells how a value is kept."),
    read("freq", object_freq)
        .arity(3)
        .categories(Categories::KEYSPACE)
        .keys(&[KeySpec::at(2).ro()])
        .tips(&["nondeterministic_output"])
        .doc("4.0.0", "O(1)", "key", "Tells how often a key is used, on a logarithmic scale."),
    server("help", object_help)
        .arity(2)
        .flags(Flags::LOADING.union(Flags::STALE))
        .categories(Categories::KEYSPACE)
        .doc("6.2.0", "O(1)", "", "Tells what the subcommands are."),
    read("idletime", object_idletime)
        .arity(3)
        .categories(Categories::KEYSPACE)
        .keys(&[KeySpec::at(2).ro()])
        .tips(&["nondeterministic_output"])
        .doc("2.2.3", "O(1)", "key", "Tells how many seconds ago a key was used."),
    read("refcount", object_refcount)
        .arity(3)
        .categories(Categories::KEYSPACE)
        .keys(&[KeySpec::at(2).ro()])
        .tips(&["nondeterministic_output"])
        .doc("2.2.3", "O(1)", "key", "Tells how many references a value has: always one."),
];

/// OBJECT ENCODING key
fn object_encoding(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    match db.get(&ctx.key(args.get(2)), Lookup::Inspect) {
        Some(entry) => ctx.reply.bulk(entry.encoding().as_bytes()),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// OBJECT FREQ key
fn object_freq(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    match db.get(&ctx.key(args.get(2)), Lookup::Inspect) {
        Some(_) if !ctx.config.maxmemory_policy.is_lfu() => return Err(CommandError::NoFrequency),
        Some(entry) => ctx.reply.int(ctx.env.access.frequency(entry.clock()).into()),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// OBJECT IDLETIME key
fn object_idletime(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    match db.get(&ctx.key(args.get(2)), Lookup::Inspect) {
        Some(_) if ctx.config.maxmemory_policy.is_lfu() => return Err(CommandError::NoIdleTime),
        Some(entry) => ctx.reply.int(ctx.env.access.idle_s(entry.clock()).into()),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// OBJECT REFCOUNT key
fn object_refcount(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    match db.get(&ctx.key(args.get(2)), Lookup::Inspect) {
        Some(_) => ctx.reply.int(1),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// OBJECT HELP
fn object_help(ctx: &mut Ctx, _: Args) -> CommandResult {
    help(
        ctx,
        &[
            ("ENCODING <key>", "How the value of <key> is kept."),
            (
                "FREQ <key>",
                "How often <key> is used, on a logarithmic scale\n(only with an LFU policy).",
            ),
            ("IDLETIME <key>", "Seconds since <key> was used last (not with an LFU policy)."),
            ("REFCOUNT <key>", "How many references the value of <key> has."),
        ],
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::TestServer;

    #[test]
    fn what_is_known_about_a_key() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("SET k v", "+OK"),
            ("SET n 12", "+OK"),
            ("OBJECT ENCODING k", "\"embstr\""),
            ("OBJECT encoding n", "\"int\""),
            ("OBJECT REFCOUNT k", ":1"),
            ("OBJECT IDLETIME k", ":0"),
        ]);
        t.advance_ms(10_000);
        t.check_all(&[("OBJECT IDLETIME k", ":10"), ("EXISTS k", ":1"), ("TTL k", ":-1")]);
        t.check_all(&[("TYPE k", "+string"), ("OBJECT IDLETIME k", ":10"), ("TOUCH k", ":1")]);
        t.check("OBJECT IDLETIME k", ":0");
        for subcommand in ["ENCODING", "FREQ", "IDLETIME", "REFCOUNT"] {
            t.check(&format!("OBJECT {subcommand} missing"), "nil");
        }
        assert_eq!(t.events(), ["set k", "set n"]);
    }

    #[test]
    fn errors() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("SET k v", "+OK"),
            ("OBJECT", "-ERR wrong number of arguments for 'object' command"),
            ("OBJECT foo", "-ERR unknown subcommand 'foo'. Try OBJECT HELP."),
            ("OBJECT ENCODING", "-ERR wrong number of arguments for 'object|encoding' command"),
        ]);
        assert!(t.run("OBJECT FREQ k").starts_with("-ERR An LFU maxmemory policy is not selected"));
        let help = t.run("OBJECT HELP");
        assert!(help.contains("+ENCODING <key>") && help.ends_with("+    Print this help.]"));
    }

    #[test]
    fn uses_are_counted_under_lfu() {
        let mut t = TestServer::with_config(&[("maxmemory-policy", "allkeys-lfu")]);
        t.check_all(&[("SET k v", "+OK"), ("OBJECT FREQ k", ":5"), ("GET k", "\"v\"")]);
        t.check_all(&[("OBJECT FREQ k", ":6"), ("OBJECT FREQ k", ":6")]);
        assert!(t.run("OBJECT IDLETIME k").starts_with("-ERR An LFU maxmemory policy is selected"));
        t.advance_ms(3 * 60_000);
        t.check("OBJECT FREQ k", ":3");
        // A renamed key and a copy begin anew.
        t.check_all(&[("RENAME k l", "+OK"), ("OBJECT FREQ l", ":5")]);
        t.check_all(&[("GET l", "\"v\""), ("COPY l m", ":1"), ("OBJECT FREQ m", ":5")]);
    }

    #[test]
    fn expired_keys_are_not_there() {
        let mut t = TestServer::new();
        t.check_all(&[("SET k v", "+OK"), ("PEXPIRE k 5", ":1")]);
        t.advance_ms(10);
        t.check_all(&[("OBJECT ENCODING k", "nil"), ("DBSIZE", ":0")]);
    }

    #[test]
    fn clients_that_leave_no_trace_do_so_with_touch_alone() {
        use crate::client::ClientFlags;
        let mut t = TestServer::new();
        let mut shy = t.client();
        shy.client.set_flag(ClientFlags::NO_TOUCH, true);
        t.check("SET k v", "+OK");
        t.advance_ms(10_000);
        t.run_as(&mut shy, "GET k");
        t.check("OBJECT IDLETIME k", ":10");
        t.run_as(&mut shy, "TOUCH k");
        t.check("OBJECT IDLETIME k", ":0");
    }
}
