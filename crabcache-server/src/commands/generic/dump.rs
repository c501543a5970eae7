//! Values as bytes that another server can take: DUMP, RESTORE.

use crate::command::{Args, Categories, Command, CommandResult, Ctx, Flags, KeySpec, read, write};
use crate::error::CommandError;
use crate::notify::Event;
use crate::persistence::rdb::payload;
use crabcache_store::{Expiry, Lookup, ReadDb, WriteDb};

pub(in crate::commands) const COMMANDS: &[Command] = &[
    read("dump", dump)
        .arity(2)
        .categories(Categories::KEYSPACE)
        .keys(&[KeySpec::at(1).ro().access()])
        .tips(&["nondeterministic_output"])
        .doc(
            "2.6.0",
            "O(1) and O(N) for a value of N bytes",
            "key",
            "Returns a value in the format of snapshots.",
        ),
    write("restore", restore)
        .arity(-4)
        .flags(Flags::DENYOOM)
        .categories(Categories::DANGEROUS.union(Categories::KEYSPACE))
        .keys(&[KeySpec::at(1).ow().update()])
        .doc(
            "2.6.0",
            "O(1) and O(N) for a value of N bytes",
            "key ttl:int serialized-value [REPLACE@3.0.0] [ABSTTL@5.0.0] \
             [IDLETIME=seconds:int@5.0.0] [FREQ=frequency:int@5.0.0]",
            "Makes a key of what DUMP returned.",
        ),
];

/// What cluster nodes send each other. It is the server group's.
pub(in crate::commands) const RESTORE_ASKING: Command = write("restore-asking", restore)
    .arity(-4)
    .flags(Flags::DENYOOM.union(Flags::ASKING).union(Flags::SYSCMD))
    .categories(Categories::DANGEROUS.union(Categories::KEYSPACE))
    .keys(&[KeySpec::at(1).ow().update()])
    .doc(
        "3.0.0",
        "O(1) and O(N) for a value of N bytes",
        "key ttl:int serialized-value [REPLACE@3.0.0] [ABSTTL@5.0.0] \
         [IDLETIME=seconds:int@5.0.0] [FREQ=frequency:int@5.0.0]",
        "RESTORE between the nodes of a cluster.",
    );

/// DUMP key
fn dump(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    match db.get(&ctx.key(args.get(1)), Lookup::Use) {
        Some(entry) => ctx.reply.bulk(&payload::dump(&entry, ctx.config.rdbcompression)),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// The options of RESTORE.
#[derive(Default)]
struct Options {
    replaces: bool,
    is_absolute: bool,
    idle_s: Option<i64>,
    frequency: Option<u8>,
}

impl Options {
    fn parse(args: Args) -> Result<Options, CommandError> {
        let mut parsed = Options::default();
        let mut options = args.from(4);
        while options.remaining() > 0 {
            if options.accept("REPLACE") {
                parsed.replaces = true;
            } else if options.accept("ABSTTL") {
                parsed.is_absolute = true;
            } else if parsed.frequency.is_none() && options.accept("IDLETIME") {
                let idle_s = options.int()?;
                parsed.idle_s = Some(idle_s);
                if idle_s < 0 {
                    return Err(CommandError::InvalidIdleTime);
                }
            } else if parsed.idle_s.is_none() && options.accept("FREQ") {
                let frequency = options.int()?;
                let frequency = u8::try_from(frequency);
                parsed.frequency = Some(frequency.map_err(|_| CommandError::InvalidFrequency)?);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(parsed)
    }
}

/// RESTORE key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]
fn restore(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let options = Options::parse(args)?;
    let key = ctx.key(args.get(1));
    let old_kind = db.get(&key, Lookup::Write).map(|entry| entry.kind());
    if old_kind.is_some() && !options.replaces {
        return Err(CommandError::BusyKey);
    }
    let ttl = args.int(2)?;
    if ttl < 0 {
        return Err(CommandError::InvalidTtl);
    }
    // Compat: a TTL beyond the end of time wraps, and so lies in the past.
    let base_ms = if options.is_absolute { 0 } else { ctx.env.now_ms };
    let expire_at_ms = (ttl > 0).then(|| ttl.wrapping_add(base_ms));
    let value = payload::verify(args.get(3), ctx.server.persistence.skips_checksums())?;
    let restored = payload::restore(value, key.bytes, expire_at_ms, &ctx.config.limits());
    let entry = restored.inspect_err(|error| {
        tracing::warn!("Internal error in RDB reading offset 0 -> {error}");
    })?;

    ctx.reply.ok();
    let has_expired = expire_at_ms.is_some_and(|at_ms| at_ms <= ctx.env.now_ms);
    if has_expired && ctx.env.expiry == Expiry::Remove {
        let is_lazy = ctx.config.lazyfree_lazy_server_del;
        if let Some(old) = db.remove(&key) {
            ctx.server.lazyfree.free(old, is_lazy);
            ctx.effects.propagate([if is_lazy { &b"UNLINK"[..] } else { b"DEL" }, key.bytes]);
            ctx.changed(key.bytes, Event::DEL);
        }
        return Ok(());
    }
    let kind = entry.kind();
    db.put(&key, entry);
    if let (Some(at_ms), false) = (expire_at_ms, options.is_absolute) {
        let mut text = itoa::Buffer::new();
        let beginning = [&b"RESTORE"[..], key.bytes, text.format(at_ms).as_bytes()];
        ctx.effects.propagate(beginning.into_iter().chain(args.from(3)).chain([&b"ABSTTL"[..]]));
    }
    let clock = ctx.env.access.restored(options.idle_s, options.frequency);
    if let (Some(clock), Some(entry)) = (clock, db.get(&key, Lookup::Peek)) {
        entry.set_clock(clock);
    }
    ctx.changed(key.bytes, Event::RESTORE);
    if let Some(old_kind) = old_kind {
        ctx.effects.overwritten(db.number(), key.bytes, old_kind != kind);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::server::interest::Interest;
    use crate::testing::TestServer;
    use crabcache_resp::words::split_words;

    /// Runs a command line in which `%` stands for the payload.
    #[track_caller]
    fn check(t: &mut TestServer, line: &str, payload: &[u8], expected: &str) {
        let words = split_words(line.as_bytes()).unwrap();
        let words: Vec<&[u8]> =
            words.iter().map(|word| if word == b"%" { payload } else { &word[..] }).collect();
        assert_eq!(t.run_words(&words), expected, "{line}");
    }

    #[test]
    fn values_come_back() {
        let long = "to be or not to be, ".repeat(50);
        let mut t = TestServer::new();
        for value in ["v", "", "12", "-99999", "3000000000", "9223372036854775807", &long] {
            t.check(&format!("SET k '{value}'"), "+OK");
            let payload = t.dump("k");
            assert!(value.len() < 100 || payload.len() < 100);
            check(&mut t, "RESTORE l 0 % REPLACE", &payload, "+OK");
            t.check("GET l", &format!("\"{value}\""));
            let encoding = t.run("OBJECT ENCODING k");
            t.check("OBJECT ENCODING l", &encoding);
        }
        t.check("DUMP missing", "nil");
        t.check("TTL l", ":-1");
    }

    #[test]
    fn compression_can_be_turned_off() {
        let mut t = TestServer::with_config(&[("rdbcompression", "no")]);
        t.check(&format!("SET k {}", "a".repeat(100)), "+OK");
        assert_eq!(t.dump("k").len(), 1 + 2 + 100 + 10);
    }

    #[test]
    fn restore_checks_options_then_key_then_ttl_then_payload() {
        let mut t = TestServer::new();
        t.check("SET k v", "+OK");
        let good = t.dump("k");
        let mut bad = good.clone();
        bad[2] ^= 1;
        let cases = [
            ("RESTORE k x bad FOO", "-ERR syntax error"),
            ("RESTORE k x bad IDLETIME", "-ERR syntax error"),
            ("RESTORE k x bad IDLETIME -1", "-ERR Invalid IDLETIME value, must be >= 0"),
            ("RESTORE k x bad IDLETIME 1 FREQ 1", "-ERR syntax error"),
            ("RESTORE k x bad FREQ 1 IDLETIME 1", "-ERR syntax error"),
            ("RESTORE k x bad FREQ 256", "-ERR Invalid FREQ value, must be >= 0 and <= 255"),
            ("RESTORE k x bad FREQ -1", "-ERR Invalid FREQ value, must be >= 0 and <= 255"),
            ("RESTORE k x bad FREQ x", "-ERR value is not an integer or out of range"),
            ("RESTORE k x bad", "-BUSYKEY Target key name already exists."),
            ("RESTORE l x bad", "-ERR value is not an integer or out of range"),
            ("RESTORE l -1 bad", "-ERR Invalid TTL value, must be >= 0"),
            ("RESTORE l 0 bad", "-ERR DUMP payload version or checksum are wrong"),
            ("RESTORE l 0 %", "-ERR DUMP payload version or checksum are wrong"),
        ];
        for (line, expected) in cases {
            check(&mut t, line, &bad, expected);
        }
        check(&mut t, "RESTORE l 0 % replace absttl", &good, "+OK");
        t.check("GET l", "\"v\"");
        assert_eq!(t.events(), ["set k", "restore l"]);
    }

    #[test]
    fn restore_sets_the_time_to_live() {
        let mut t = TestServer::new();
        t.server.clock.freeze();
        t.check("SET k v", "+OK");
        let payload = t.dump("k");
        check(&mut t, "RESTORE a 5000 %", &payload, "+OK");
        t.check("PTTL a", ":5000");
        let at_ms = t.run("PEXPIRETIME a")[1..].to_string();
        let payload_text = payload.escape_ascii();
        let propagated = t.propagated();
        assert_eq!(propagated[1], format!("RESTORE a {at_ms} {payload_text} ABSTTL"));
        check(&mut t, "RESTORE b 99999999999999 % ABSTTL", &payload, "+OK");
        t.check("PEXPIRETIME b", ":99999999999999");
        assert_eq!(t.propagated(), [format!("RESTORE b 99999999999999 {payload_text} ABSTTL")]);
    }

    #[test]
    fn restore_of_what_has_expired_removes_the_old_key() {
        let mut t = TestServer::new();
        t.check("SET k v", "+OK");
        let payload = t.dump("k");
        check(&mut t, "RESTORE l 1 % ABSTTL", &payload, "+OK");
        check(&mut t, "RESTORE l 9223372036854775807 %", &payload, "+OK");
        t.check("EXISTS l", ":0");
        check(&mut t, "RESTORE k 1 % ABSTTL REPLACE", &payload, "+OK");
        t.check("EXISTS k", ":0");
        assert_eq!(t.events(), ["set k", "del k"]);
        assert_eq!(t.propagated(), ["SET k v", "DEL k"]);
    }

    #[test]
    fn restore_tells_that_it_replaced() {
        let mut t = TestServer::new();
        t.server.interests.set(Interest::FINE_EVENTS, true);
        t.check("SET k v", "+OK");
        let payload = t.dump("k");
        t.events();
        check(&mut t, "RESTORE k 0 % REPLACE", &payload, "+OK");
        assert_eq!(t.events(), ["new k", "restore k", "overwritten k"]);
    }

    #[test]
    fn access_clocks_are_restored() {
        let mut t = TestServer::new();
        t.check("SET k v", "+OK");
        let payload = t.dump("k");
        for (idle_s, expected) in
            [("0", ":0"), ("1000", ":1000"), ("16777214", ":16777214"), ("16777216", ":1")]
        {
            let line = format!("RESTORE l 0 % REPLACE IDLETIME {idle_s}");
            check(&mut t, &line, &payload, "+OK");
            t.check("OBJECT IDLETIME l", expected);
        }
        let mut t = TestServer::with_config(&[("maxmemory-policy", "volatile-lfu")]);
        check(&mut t, "RESTORE l 0 % FREQ 77", &payload, "+OK");
        t.check("OBJECT FREQ l", ":77");
        check(&mut t, "RESTORE m 0 % IDLETIME 77", &payload, "+OK");
        t.check("OBJECT FREQ m", ":5");
    }
}
