//! What speaks for and against a migration, from what the servers say about themselves. Nothing is
//! changed.

use super::arguments::Options;
use super::client::{Client, Info, number, text};
use crate::error::MigrateError;
use crabcache_resp::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// Keys of each database whose types are looked at.
const N_TYPES_SAMPLED: usize = 10_000;
/// Types of all servers of the line, with a command that a server has if it has the type.
const TYPES: [(&str, &str); 7] = [
    ("string", "get"),
    ("list", "lpush"),
    ("set", "sadd"),
    ("zset", "zadd"),
    ("hash", "hset"),
    ("stream", "xadd"),
    ("vectorset", "vadd"),
];
/// Parameters that are of one server: they say nothing about another one's.
const OWN_PARAMETERS: [&str; 31] = [
    "aclfile",
    "appenddirname",
    "appendfilename",
    "availability-zone",
    "bind",
    "bind-source-addr",
    "bio-cpulist",
    "bgsave-cpulist",
    "aof-rewrite-cpulist",
    "server-cpulist",
    "daemonize",
    "dbfilename",
    "dir",
    "io-threads",
    "logfile",
    "loglevel",
    "masterauth",
    "masteruser",
    "oom-score-adj",
    "pidfile",
    "port",
    "replica-announce-ip",
    "replica-announce-port",
    "replicaof",
    "slave-announce-ip",
    "slave-announce-port",
    "slaveof",
    "supervised",
    "syslog-ident",
    "unixsocket",
    "unixsocketperm",
];

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Report {
    lines: Vec<(Rank, String)>,
}

/// How much a line of the report weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rank {
    Fine,
    Note,
    Problem,
}

impl Report {
    fn fine(&mut self, line: impl Into<String>) {
        self.lines.push((Rank::Fine, line.into()));
    }

    fn note(&mut self, line: impl Into<String>) {
        self.lines.push((Rank::Note, line.into()));
    }

    fn problem(&mut self, line: impl Into<String>) {
        self.lines.push((Rank::Problem, line.into()));
    }

    /// Whether something speaks against it.
    pub(super) fn has_problems(&self) -> bool {
        self.lines.iter().any(|(rank, _)| *rank == Rank::Problem)
    }

    /// Prints a line for each finding.
    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        for (rank, line) in &self.lines {
            let mark = match rank {
                Rank::Fine => "ok     ",
                Rank::Note => "note   ",
                Rank::Problem => "PROBLEM",
            };
            writeln!(out, "{mark}  {line}")?;
        }
        Ok(())
    }
}

/// What is known of the two servers before anything is looked at.
struct Pair<'c> {
    source: &'c mut Client,
    target: &'c mut Client,
    source_info: Info,
    target_info: Info,
}

/// Looks for all that speaks against it.
pub(super) fn check(
    source: &mut Client,
    target: &mut Client,
    options: &Options,
) -> Result<Report, MigrateError> {
    let (source_info, target_info) = (source.info("all")?, target.info("all")?);
    let mut pair = Pair { source, target, source_info, target_info };
    let mut report = Report::default();
    report.fine(format!("source {}", describe(pair.source, &pair.source_info)));
    report.fine(format!("target {}", describe(pair.target, &pair.target_info)));
    check_roles(&pair, options, &mut report);
    check_tls(&mut pair, options, &mut report)?;
    check_modules(&mut pair, &mut report)?;
    check_commands(&mut pair, &mut report)?;
    check_types(&mut pair, &mut report)?;
    check_parameters(&mut pair, &mut report)?;
    check_users(&mut pair, &mut report)?;
    Ok(report)
}

/// Whoever is to follow by TLS must be able to.
fn check_tls(
    pair: &mut Pair<'_>,
    options: &Options,
    report: &mut Report,
) -> Result<(), MigrateError> {
    let Options { source, target, promote, .. } = options;
    let followers = [
        ("target", &mut *pair.target, source.is_tls),
        ("source", pair.source, target.is_tls && *promote),
    ];
    for (name, server, _) in followers.into_iter().filter(|(.., is_meant)| *is_meant) {
        let mut lacks = |parameter: &str| -> Result<bool, MigrateError> {
            Ok(server.parameter(parameter)?.is_none_or(|value| value.is_empty()))
        };
        if lacks("tls-cert-file")? || (lacks("tls-ca-cert-file")? && lacks("tls-ca-cert-dir")?) {
            report.problem(format!(
                "the {name} cannot follow by TLS: it has no tls-cert-file or no tls-ca-cert-file"
            ));
        }
    }
    Ok(())
}

fn describe(server: &Client, info: &Info) -> String {
    let version = info.get("redis_version").map_or("?", String::as_str);
    let product = match info.get("crabcache_version") {
        Some(own) => format!("CrabCache {own} (as Redis {version})"),
        None => match info.get("valkey_version") {
            Some(own) => format!("Valkey {own}"),
            None => format!("Redis {version}"),
        },
    };
    let memory = info.get("used_memory_human").map_or("?", String::as_str);
    format!("{}: {product}, {} keys, {memory}", server.name(), n_keys(info))
}

/// Number and keys of each database that has some.
pub(super) fn databases(info: &Info) -> BTreeMap<usize, u64> {
    let database = |(name, value): (&String, &String)| {
        let number = name.strip_prefix("db")?.parse().ok()?;
        let keys = value.strip_prefix("keys=")?.split(',').next()?;
        Some((number, keys.parse().ok()?))
    };
    info.iter().filter_map(database).collect()
}

fn n_keys(info: &Info) -> u64 {
    databases(info).values().sum()
}

/// Whether a server is a replica of the address.
pub(super) fn follows(info: &Info, host: &str, port: u16) -> bool {
    info.get("master_host").is_some_and(|own| own == host)
        && number(info, "master_port") == u64::from(port)
}

fn check_roles(pair: &Pair<'_>, options: &Options, report: &mut Report) {
    let is_set = |info: &Info, field: &str| info.get(field).is_some_and(|value| value == "1");
    for (server, info) in [(&pair.source, &pair.source_info), (&pair.target, &pair.target_info)] {
        if is_set(info, "cluster_enabled") {
            report
                .problem(format!("{}: a node of a cluster: nodes are not migrated", server.name()));
        }
        if is_set(info, "loading") {
            report.problem(format!("{}: still loads its data", server.name()));
        }
    }
    let is_replica = |info: &Info| info.contains_key("master_host");
    if follows(&pair.target_info, &options.source.host, options.source.port) {
        report.fine("the target follows the source already");
    } else {
        if is_replica(&pair.target_info) {
            report.problem("the target is a replica of another server");
        }
        let n_lost = n_keys(&pair.target_info);
        if n_lost > 0 && options.replace {
            report.note(format!("{n_lost} keys of the target will be lost"));
        } else if n_lost > 0 {
            report.problem(format!(
                "the target has {n_lost} keys: allow with --replace that they go"
            ));
        }
    }
    if is_replica(&pair.source_info) {
        report.note("the source is a replica itself: the target will follow it, not its primary");
        if options.promote {
            report.problem("a replica cannot be promoted away from: migrate from its primary");
        }
    }
    let (limit, used) =
        (number(&pair.target_info, "maxmemory"), number(&pair.source_info, "used_memory"));
    if limit > 0 && limit < used {
        report.problem(format!("the source uses {used} bytes, the target's maxmemory is {limit}"));
    }
}

/// The names in a reply of MODULE LIST.
fn modules(server: &mut Client) -> Result<BTreeSet<String>, MigrateError> {
    let Value::Array(modules) = server.call(&["MODULE", "LIST"])? else {
        return Err(server.unexpected("MODULE"));
    };
    let name = |module: &Value| match module {
        Value::Array(fields) => {
            let pairs = fields.chunks_exact(2);
            let mut names = pairs.filter(|pair| text(&pair[0]).as_deref() == Some("name"));
            names.next().and_then(|pair| text(&pair[1]))
        }
        _ => None,
    };
    Ok(modules.iter().filter_map(name).collect())
}

fn check_modules(pair: &mut Pair<'_>, report: &mut Report) -> Result<(), MigrateError> {
    let (source, target) = (modules(pair.source)?, modules(pair.target)?);
    // Vector sets are a data type like any other: their keys are looked at.
    let missing: Vec<_> =
        source.difference(&target).filter(|name| *name != "vectorset").cloned().collect();
    if missing.is_empty() {
        report.fine("modules: none that the target lacks");
    } else {
        report.problem(format!("the target lacks modules: {}", missing.join(", ")));
    }
    Ok(())
}

/// Which of the commands the target does not have.
fn unknown(target: &mut Client, commands: &[String]) -> Result<Vec<String>, MigrateError> {
    let mut words = vec!["COMMAND", "INFO"];
    words.extend(commands.iter().map(String::as_str));
    let Value::Array(rows) = target.call(&words)? else { return Err(target.unexpected("COMMAND")) };
    let is_unknown = |row: &Value| match row {
        Value::Array(fields) => fields.is_empty(),
        _ => true,
    };
    let unknown = rows.iter().zip(commands).filter(|(row, _)| is_unknown(row));
    Ok(unknown.map(|(_, name)| name.clone()).collect())
}

/// The commands that have worked on the source at least once.
fn commands_used(info: &Info) -> Vec<String> {
    let used = |(field, value): (&String, &String)| {
        let name = field.strip_prefix("cmdstat_")?;
        let count = |name: &str| -> u64 {
            let counts = value.split(',').filter_map(|part| part.split_once('='));
            let mut counts = counts.filter(|(own, _)| *own == name);
            counts.next().and_then(|(_, count)| count.parse().ok()).unwrap_or(0)
        };
        (count("calls") > count("failed_calls")).then(|| name.to_ascii_lowercase())
    };
    let mut names: Vec<String> = info.iter().filter_map(used).collect();
    names.sort();
    names
}

fn check_commands(pair: &mut Pair<'_>, report: &mut Report) -> Result<(), MigrateError> {
    let used = commands_used(&pair.source_info);
    let missing = if used.is_empty() { Vec::new() } else { unknown(pair.target, &used)? };
    if missing.is_empty() {
        report.fine(format!("commands: the target has all {} that were used", used.len()));
    } else {
        report.problem(format!("the target lacks commands that were used: {}", missing.join(", ")));
    }
    Ok(())
}

fn check_types(pair: &mut Pair<'_>, report: &mut Report) -> Result<(), MigrateError> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let databases = databases(&pair.source_info);
    for database in databases.keys() {
        for name in types_of(pair.source, *database)? {
            *counts.entry(name).or_default() += 1;
        }
    }
    for (name, n_keys) in &counts {
        let known = TYPES.iter().find(|(own, _)| own == name);
        let is_missing = match known {
            Some((_, command)) => !unknown(pair.target, &[(*command).to_string()])?.is_empty(),
            None => true,
        };
        if is_missing {
            report.problem(format!("the target does not have the type of {n_keys} keys: {name}"));
        }
    }
    let found: Vec<_> = counts.iter().map(|(name, n_keys)| format!("{n_keys} {name}")).collect();
    report.fine(format!("types of the keys looked at: {}", found.join(", ")));
    let n_databases: usize = match pair.target.parameters()?.get("databases") {
        Some(value) => value.parse().unwrap_or(16),
        None => 16,
    };
    if databases.keys().any(|number| *number >= n_databases) {
        report.problem(format!("the target has {n_databases} databases, the source uses more"));
    }
    Ok(())
}

/// The types of some keys of a database.
fn types_of(source: &mut Client, database: usize) -> Result<Vec<String>, MigrateError> {
    source.call(&["SELECT", &database.to_string()])?;
    let (mut cursor, mut types) = ("0".to_string(), Vec::new());
    loop {
        let reply = source.call(&["SCAN", &cursor, "COUNT", "1000"])?;
        let Value::Array(parts) = reply else { return Err(source.unexpected("SCAN")) };
        let [next, Value::Array(keys)] = &parts[..] else { return Err(source.unexpected("SCAN")) };
        let mut requests: Vec<Vec<&[u8]>> = Vec::with_capacity(keys.len());
        for key in keys {
            if let Value::Bulk(key) = key {
                requests.push(vec![b"TYPE", key]);
            }
        }
        let names = source.call_all(&requests)?;
        // A key that has gone has no type.
        types.extend(names.iter().filter_map(text).filter(|name| name != "none"));
        cursor = text(next).unwrap_or_default();
        if cursor == "0" || cursor.is_empty() || types.len() >= N_TYPES_SAMPLED {
            return Ok(types);
        }
    }
}

fn check_parameters(pair: &mut Pair<'_>, report: &mut Report) -> Result<(), MigrateError> {
    let (source, target) = (pair.source.parameters()?, pair.target.parameters()?);
    let is_own = |name: &str| OWN_PARAMETERS.contains(&name) || name.starts_with("tls-");
    let names: BTreeSet<&String> = source.keys().filter(|name| !is_own(name)).collect();
    for name in names {
        // Passwords are not shown.
        let shown = |value: &String| match name.as_str() {
            "requirepass" if !value.is_empty() => "(set)".to_string(),
            _ => format!("\"{value}\""),
        };
        match target.get(name) {
            Some(value) if *value == source[name] => {}
            Some(value) => report.note(format!(
                "parameter {name}: {} at the source, {} at the target",
                shown(&source[name]),
                shown(value)
            )),
            None => report.note(format!(
                "parameter {name} ({}) is unknown to the target",
                shown(&source[name])
            )),
        }
    }
    Ok(())
}

fn check_users(pair: &mut Pair<'_>, report: &mut Report) -> Result<(), MigrateError> {
    let Value::Array(users) = pair.source.call(&["ACL", "USERS"])? else {
        return Err(pair.source.unexpected("ACL"));
    };
    if users.len() > 1 {
        report.note(format!(
            "{} users are known to the source: they are not replicated, take the aclfile along",
            users.len()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(fields: &[(&str, &str)]) -> Info {
        fields.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn databases_are_read() {
        let info =
            info(&[("db0", "keys=3,expires=1,avg_ttl=0"), ("db12", "keys=4"), ("dbx", "keys=1")]);
        assert_eq!(databases(&info), BTreeMap::from([(0, 3), (12, 4)]));
        assert_eq!(n_keys(&info), 7);
    }

    #[test]
    fn commands_that_never_worked_do_not_count() {
        let info = info(&[
            ("cmdstat_get", "calls=3,usec=1,usec_per_call=0.3,rejected_calls=0,failed_calls=0"),
            ("cmdstat_config|get", "calls=1,usec=1,rejected_calls=0,failed_calls=0"),
            ("cmdstat_cluster|info", "calls=2,usec=1,rejected_calls=0,failed_calls=2"),
        ]);
        assert_eq!(commands_used(&info), ["config|get", "get"]);
    }
}
