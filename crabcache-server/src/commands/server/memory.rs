//! MEMORY and its subcommands.

use crate::command::{Args, Command, CommandResult, Ctx, Flags, KeySpec, help, read, server, walk};
use crate::error::CommandError;
use crate::info::memory::{Buffers, Uses};
use crate::memory::{self, Usage};
use crabcache_store::{Lookup, ReadDb, Walk};

const TIPS: &[&str] =
    &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"];

pub(super) const SUBCOMMANDS: &[Command] = &[
    server("doctor", doctor).arity(2).tips(TIPS).doc(
        "4.0.0",
        "O(N), N being the clients",
        "",
        "Reports on memory in words.",
    ),
    server("help", memory_help).arity(2).flags(Flags::LOADING.union(Flags::STALE)).doc(
        "4.0.0",
        "O(1)",
        "",
        "Lists the subcommands of MEMORY.",
    ),
    server("malloc-stats", malloc_stats).arity(2).tips(TIPS).doc(
        "4.0.0",
        "O(N), N being the allocator's arenas and size classes",
        "",
        "Returns the allocator's report.",
    ),
    server("purge", purge)
        .arity(2)
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .doc("4.0.0", "O(N), N being the unused pages", "", "Gives unused memory back."),
    walk("stats", stats).without(Flags::READONLY).arity(2).tips(TIPS).doc(
        "4.0.0",
        "O(N), N being the clients and databases",
        "",
        "Returns what memory is used for.",
    ),
    read("usage", usage).arity(-3).keys(&[KeySpec::at(2).ro()]).doc(
        "4.0.0",
        "O(N), N being the elements of the value",
        "key [SAMPLES=count:int]",
        "Returns the bytes that a key and its value take.",
    ),
];

/// MEMORY DOCTOR
fn doctor(ctx: &mut Ctx, _: Args) -> CommandResult {
    let report = report(&Uses::of(ctx.server));
    ctx.reply.verbatim("txt", report.as_bytes());
    Ok(())
}

/// Below this there is nothing to be said.
const WORTH_A_LOOK_BYTES: usize = 5 << 20;
/// Less than this is not worth a word.
const WASTE_BYTES_MIN: i64 = 10 << 20;
/// More for each client is much.
const CLIENT_BYTES_MAX: usize = 200 << 10;

/// What is to be said about memory; the limits are the reference's.
fn report(uses: &Uses) -> String {
    let usage = &uses.usage;
    if usage.used < WORTH_A_LOOK_BYTES {
        return "There is hardly any data: too little to say something about memory.\n".into();
    }
    let is_wasted = |part: usize, whole: usize, ratio_max: f64| {
        Usage::ratio(part, whole) > ratio_max && Usage::beyond(part, whole) > WASTE_BYTES_MIN
    };
    let findings = [
        (
            Usage::ratio(usage.peak, usage.used) > 1.5,
            "Peak: once there was more than one and a half times as much data as now. The allocator \
             keeps some of that memory for data to come; MEMORY PURGE gives back what it can.",
        ),
        (
            is_wasted(usage.rss, usage.used, 1.4),
            "Resident memory: the process holds more than 1.4 times what it uses. After a peak that \
             is to be expected; otherwise the sizes of values have changed over time.",
        ),
        (
            is_wasted(usage.active, usage.allocated, 1.1),
            "Fragmentation: pages of the allocator are filled by less than nine tenths.",
        ),
        (
            is_wasted(usage.resident, usage.active, 1.1),
            "Allocator: it holds more than 1.1 times the pages that it uses. MEMORY PURGE gives \
             back what it can.",
        ),
        (
            is_wasted(usage.rss, usage.resident, 1.1),
            "Process: it holds more than 1.1 times the memory of its allocator.",
        ),
        (
            uses.clients / uses.n_clients.max(1) > CLIENT_BYTES_MAX,
            "Clients: they take more than 200 KB each on average. CLIENT LIST tells which of them \
             do not read their replies, or send long requests.",
        ),
    ];
    let found: Vec<String> = findings
        .iter()
        .filter(|(is_so, _)| *is_so)
        .map(|(_, text)| format!(" * {text}\n"))
        .collect();
    if found.is_empty() {
        "Nothing is wrong with memory.\n".into()
    } else {
        format!("Some things about memory are worth a look:\n\n{}", found.join("\n"))
    }
}

/// MEMORY HELP
fn memory_help(ctx: &mut Ctx, _: Args) -> CommandResult {
    help(
        ctx,
        &[
            ("DOCTOR", "Report on memory in words."),
            ("MALLOC-STATS", "Return the allocator's report."),
            ("PURGE", "Give unused memory back to the system."),
            ("STATS", "Return what memory is used for."),
            (
                "USAGE <key> [SAMPLES <count>]",
                "Return the bytes that <key> and its value take. They are counted, not estimated\n\
                 from samples.",
            ),
        ],
    )
}

/// MEMORY MALLOC-STATS
fn malloc_stats(ctx: &mut Ctx, _: Args) -> CommandResult {
    ctx.reply.verbatim("txt", &memory::allocator_report());
    Ok(())
}

/// MEMORY PURGE
fn purge(ctx: &mut Ctx, _: Args) -> CommandResult {
    memory::purge();
    ctx.reply.ok();
    Ok(())
}

/// MEMORY STATS
fn stats(walk: &mut Walk, ctx: &mut Ctx, _: Args) -> CommandResult {
    let server = ctx.server;
    let used = (0..server.keyspace.n_databases()).filter(|db| server.keyspace.size(*db).n_keys > 0);
    let tables: Vec<(usize, usize)> = used.map(|db| (db, walk.tables(db).mem_bytes)).collect();
    let tables_bytes = tables.iter().map(|(_, bytes)| bytes).sum();
    server.memory.note_tables(tables_bytes);
    let uses = Uses::of(server);
    let usage = &uses.usage;
    let n_keys = tables.iter().map(|(db, _)| server.keyspace.size(*db).n_keys).sum::<usize>();

    let map = ctx.reply.deferred();
    let mut out = Stats { ctx, n_fields: 0 };
    out.count("peak.allocated", usage.peak);
    out.count("total.allocated", usage.used);
    out.count("startup.allocated", usage.startup);
    let log = Buffers::of(server);
    let scripting = &server.scripting;
    out.count("replication.backlog", log.backlog);
    out.zeros(&["replica.fullsync.buffer"]);
    out.count("clients.slaves", log.for_replicas);
    out.count("clients.normal", uses.clients);
    out.zeros(&["cluster.links"]);
    out.count("aof.buffer", log.for_aof);
    out.count("lua.caches", scripting.cache.mem_bytes());
    out.count("functions.caches", scripting.functions.get().mem_bytes());
    out.count("script.VMs", scripting.vm_bytes());
    for (db, bytes) in tables {
        out.name(&format!("db.{db}"));
        out.ctx.reply.map(2);
        write_count(out.ctx, "overhead.hashtable.main", bytes);
        // Expiries stand in the entries.
        write_count(out.ctx, "overhead.hashtable.expires", 0);
    }
    out.count("overhead.db.hashtable.lut", tables_bytes);
    out.zeros(&["overhead.db.hashtable.rehashing"]);
    out.count("overhead.total", uses.overhead);
    out.zeros(&["db.dict.rehashing.count"]);
    out.count("keys.count", n_keys);
    out.count("keys.bytes-per-key", uses.since_startup.checked_div(n_keys).unwrap_or(0));
    out.count("dataset.bytes", uses.dataset);
    out.double("dataset.percentage", Usage::ratio(uses.dataset, uses.since_startup) * 100.0);
    out.double("peak.percentage", Usage::ratio(usage.used, usage.peak) * 100.0);
    out.count("allocator.allocated", usage.allocated);
    out.count("allocator.active", usage.active);
    out.count("allocator.resident", usage.resident);
    out.zeros(&["allocator.muzzy"]);
    out.ratio("allocator-fragmentation.ratio", usage.active, usage.allocated);
    out.beyond("allocator-fragmentation.bytes", usage.active, usage.allocated);
    out.ratio("allocator-rss.ratio", usage.resident, usage.active);
    out.beyond("allocator-rss.bytes", usage.resident, usage.active);
    out.ratio("rss-overhead.ratio", usage.rss, usage.resident);
    out.beyond("rss-overhead.bytes", usage.rss, usage.resident);
    out.ratio("fragmentation", usage.rss, usage.allocated);
    out.beyond("fragmentation.bytes", usage.rss, usage.allocated);
    let n_fields = out.n_fields;
    ctx.reply.end_map(map, n_fields);
    Ok(())
}

/// The fields of MEMORY STATS as they are written.
struct Stats<'a, 'c> {
    ctx: &'a mut Ctx<'c>,
    n_fields: usize,
}

impl Stats<'_, '_> {
    fn name(&mut self, name: &str) {
        self.ctx.reply.bulk(name.as_bytes());
        self.n_fields += 1;
    }

    fn count(&mut self, name: &str, value: usize) {
        self.name(name);
        self.ctx.reply.count(value);
    }

    /// What we do not have.
    fn zeros(&mut self, names: &[&str]) {
        names.iter().for_each(|name| self.count(name, 0));
    }

    fn double(&mut self, name: &str, value: f64) {
        self.name(name);
        self.ctx.reply.double(value);
    }

    fn ratio(&mut self, name: &str, part: usize, whole: usize) {
        self.double(name, Usage::ratio(part, whole));
    }

    fn beyond(&mut self, name: &str, part: usize, whole: usize) {
        self.name(name);
        self.ctx.reply.int(Usage::beyond(part, whole));
    }
}

fn write_count(ctx: &mut Ctx, name: &str, value: usize) {
    ctx.reply.bulk(name.as_bytes());
    ctx.reply.count(value);
}

/// MEMORY USAGE key [SAMPLES count]
fn usage(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let mut options = args.from(3);
    while options.remaining() > 0 {
        // Nothing is estimated, so the number of samples does not matter.
        if !options.accept("SAMPLES") || options.int()? < 0 {
            return Err(CommandError::Syntax);
        }
    }
    match db.get(&ctx.key(args.get(2)), Lookup::Peek) {
        Some(entry) => ctx.reply.count(entry.mem_bytes()),
        None => ctx.reply.null(),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestServer;

    #[test]
    fn usage_counts_key_and_value() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("SET k v", "+OK"),
            ("MEMORY USAGE k", ":16"),
            ("MEMORY USAGE k samples 0 SAMPLES 7", ":16"),
            ("MEMORY USAGE missing", "nil"),
            ("MEMORY USAGE k SAMPLES", "-ERR syntax error"),
            ("MEMORY USAGE k SAMPLES -1", "-ERR syntax error"),
            ("MEMORY USAGE k SAMPLES x", "-ERR value is not an integer or out of range"),
            ("MEMORY USAGE k FOO", "-ERR syntax error"),
            ("MEMORY USAGE", "-ERR wrong number of arguments for 'memory|usage' command"),
            ("MEMORY NOSUCH", "-ERR unknown subcommand 'NOSUCH'. Try MEMORY HELP."),
        ]);
        t.check(&format!("SET k {}", "a".repeat(10_000)), "+OK");
        let bytes: usize = t.run("MEMORY USAGE k")[1..].parse().unwrap();
        assert!((10_000..11_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn stats_know_the_databases_that_are_used() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("SET a 1", "+OK"),
            ("SELECT 3", "+OK"),
            ("SET b 1", "+OK"),
            ("SET c 1", "+OK"),
        ]);
        let stats = t.run("MEMORY STATS");
        assert!(stats.contains("\"db.0\", [\"overhead.hashtable.main\", :"), "{stats}");
        assert!(stats.contains("\"db.3\", [") && !stats.contains("\"db.1\""), "{stats}");
        assert!(stats.contains("\"keys.count\", :3, "), "{stats}");
        t.check_all(&[("MULTI", "+OK"), ("MEMORY STATS", "+QUEUED")]);
        assert!(t.run("EXEC").contains("\"keys.count\", :3, "));
    }

    #[test]
    fn purge_and_reports() {
        let mut t = TestServer::new();
        t.check("MEMORY PURGE", "+OK");
        assert!(t.run("MEMORY MALLOC-STATS").contains("jemalloc"));
        assert!(t.run("MEMORY DOCTOR").len() > 20);
        assert!(t.run("MEMORY HELP").contains("+USAGE <key> [SAMPLES <count>]"));
    }

    #[test]
    fn the_doctor_tells_what_is_out_of_order() {
        let report_of = |peak: usize, rss: usize, clients: usize| {
            let m = 1 << 20;
            let usage = Usage {
                used: 50 * m,
                allocated: 50 * m,
                active: 52 * m,
                resident: 54 * m,
                rss: rss * m,
                peak: peak * m,
                ..Usage::default()
            };
            let clients = clients * m;
            report(&Uses {
                usage,
                n_clients: 2,
                clients,
                overhead: 0,
                dataset: 0,
                since_startup: 0,
            })
        };
        assert_eq!(report_of(50, 56, 0), "Nothing is wrong with memory.\n");
        let report = report_of(100, 90, 1);
        let found: Vec<&str> =
            report.lines().filter_map(|line| line.strip_prefix(" * ")?.split(':').next()).collect();
        assert_eq!(found, ["Peak", "Resident memory", "Process", "Clients"]);
    }
}
