//! INFO: a table of sections, each with the function that writes it.
//!
//! Names, order and form of the fields are the reference's. What we do not have is a true zero.
//! Values come from counters and from single passes over clients and workers; only what is asked
//! for by name goes through the keyspace.

mod clients;
mod commands;
mod keyspace;
pub(crate) mod memory;
mod persistence;
mod replication;
mod server;
mod stats;

use crate::commands::VECTOR_SETS;
use crate::config::Config;
use crate::server::Server;
use crabcache_store::{Entry, Walk};
use std::fmt::{Display, Write};
use std::sync::Arc;

/// When a section is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// By INFO alone.
    ByDefault,
    /// If it is named, or all are asked for.
    WithAll,
    /// If it is named.
    IfNamed,
}

struct Section {
    /// What it is asked for by.
    names: &'static [&'static str],
    title: &'static str,
    shown: Shown,
    write: fn(&mut Fields),
}

const fn section(
    names: &'static [&'static str],
    title: &'static str,
    shown: Shown,
    write: fn(&mut Fields),
) -> Section {
    Section { names, title, shown, write }
}

/// The module that the reference always has.
fn modules(fields: &mut Fields) {
    let version = "ver=1,api=1,filters=0,usedby=[],using=[]";
    let options = "options=[handle-io-errors|handle-repl-async-load]";
    fields.add("module", format_args!("name={VECTOR_SETS},{version},{options}"));
}

/// All sections, in the order in which they are shown.
const SECTIONS: &[Section] = &[
    section(&["server"], "Server", Shown::ByDefault, server::server),
    section(&["clients"], "Clients", Shown::ByDefault, clients::clients),
    section(&["memory"], "Memory", Shown::ByDefault, memory::memory),
    section(&["persistence"], "Persistence", Shown::ByDefault, persistence::persistence),
    section(&["threads"], "Threads", Shown::ByDefault, stats::threads),
    section(&["stats"], "Stats", Shown::ByDefault, stats::stats),
    section(&["replication"], "Replication", Shown::ByDefault, replication::replication),
    section(&["cpu"], "CPU", Shown::ByDefault, server::cpu),
    section(&["module_list", "modules"], "Modules", Shown::ByDefault, modules),
    section(&["commandstats"], "Commandstats", Shown::WithAll, commands::commandstats),
    section(&["errorstats"], "Errorstats", Shown::ByDefault, commands::errorstats),
    section(&["latencystats"], "Latencystats", Shown::WithAll, commands::latencystats),
    section(&["cluster"], "Cluster", Shown::ByDefault, server::cluster),
    section(&["keyspace"], "Keyspace", Shown::ByDefault, keyspace::keyspace),
    // Compat: the reference counts sizes with every change, and shows this by default.
    section(&["keysizes"], "Keysizes", Shown::IfNamed, keyspace::keysizes),
    section(&["debug"], "Debug", Shown::IfNamed, stats::debug),
];

/// Calls a function with each entry of a database.
type Entries<'s> = &'s mut dyn FnMut(usize, &mut dyn FnMut(&Entry));

/// What a section's function writes into.
pub(crate) struct Fields<'s> {
    pub(crate) server: &'s Server,
    pub(crate) config: Arc<Config>,
    /// Shows all entries of a database.
    entries: Entries<'s>,
    text: String,
}

impl Fields<'_> {
    /// Adds a field.
    pub(crate) fn add(&mut self, name: &str, value: impl Display) {
        // Writing to a `String` does not fail.
        let _ = write!(self.text, "{name}:{value}\r\n");
    }

    /// Adds fields that are 0: what we do not have, or do not have yet.
    pub(crate) fn add_zeros(&mut self, names: &[&str]) {
        names.iter().for_each(|name| self.add(name, 0));
    }
}

/// The text of the sections that are asked for, in any letter case; without any, the default ones.
pub fn report(server: &Server, walk: &mut Walk<'_, '_>, names: &[&[u8]]) -> String {
    let is_named = |name: &str| names.iter().any(|own| own.eq_ignore_ascii_case(name.as_bytes()));
    let wants_all = is_named("all") || is_named("everything");
    let wants_default = names.is_empty() || is_named("default");
    let is_wanted = |section: &&Section| {
        let is_general = match section.shown {
            Shown::ByDefault => wants_all || wants_default,
            Shown::WithAll => wants_all,
            Shown::IfNamed => false,
        };
        is_general || section.names.iter().any(|name| is_named(name))
    };
    let mut entries = |db, visit: &mut dyn FnMut(&Entry)| walk.each(db, None, visit);
    let config = server.config.get();
    let mut fields = Fields { server, config, entries: &mut entries, text: String::new() };
    for section in SECTIONS.iter().filter(is_wanted) {
        let gap = if fields.text.is_empty() { "" } else { "\r\n" };
        // Writing to a `String` does not fail.
        let _ = write!(fields.text, "{gap}# {}\r\n", section.title);
        (section.write)(&mut fields);
    }
    fields.text
}

#[cfg(test)]
mod tests {
    use crate::testing::TestServer;

    fn info(t: &mut TestServer, sections: &str) -> String {
        t.run(&format!("INFO {sections}")).trim_matches('"').replace("\\r\\n", "\n")
    }

    fn titles(t: &mut TestServer, sections: &str) -> Vec<String> {
        let text = info(t, sections);
        text.lines().filter_map(|line| line.strip_prefix("# ")).map(str::to_string).collect()
    }

    /// The value of a field; empty if there is no such field.
    fn field(t: &mut TestServer, sections: &str, name: &str) -> String {
        let text = info(t, sections);
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        found.unwrap_or("").to_string()
    }

    #[test]
    fn sections_are_chosen_by_name() {
        let mut t = TestServer::new();
        let default = titles(&mut t, "");
        assert!(default.len() > 10 && !default.contains(&"Commandstats".to_string()));
        assert_eq!(titles(&mut t, "Default"), default);
        let all = titles(&mut t, "cpu ALL");
        assert!(all.len() > default.len() && !all.contains(&"Debug".to_string()));
        assert_eq!(titles(&mut t, "everything"), all);
        assert_eq!(titles(&mut t, "nosuch KEYSPACE server cpu"), ["Server", "CPU", "Keyspace"]);
        assert_eq!(titles(&mut t, "default debug").len(), default.len() + 1);
        assert_eq!(titles(&mut t, "modules"), ["Modules"]);
        t.check("INFO nosuch", "\"\"");
        assert!(info(&mut t, "cpu cluster").contains("\n\n# Cluster\ncluster_enabled:0\n"));
    }

    #[test]
    fn every_line_is_a_field() {
        let mut t = TestServer::new();
        for line in ["SET k v", "GET k", "GET no", "SET", "nosuch", "WATCH a b"] {
            t.run(line);
        }
        for line in info(&mut t, "everything debug").lines() {
            let is_field = line.split_once(':').is_some_and(|(name, value)| {
                !name.is_empty() && (!value.is_empty() || name == "config_file")
            });
            assert!(line.is_empty() || line.starts_with("# ") || is_field, "{line}");
        }
    }

    #[test]
    fn counters_are_shown_and_reset() {
        let mut t = TestServer::new();
        for line in ["SET k v", "GET k", "GET k", "GET no", "SET", "GET", "nosuch", "WATCH a b"] {
            t.run(line);
        }
        let expected = [
            ("keyspace", "db0", "keys=1,expires=0,avg_ttl=0,subexpiry=0"),
            ("clients", "connected_clients", "1"),
            ("clients", "watching_clients", "1"),
            ("clients", "total_watched_keys", "2"),
            ("stats", "keyspace_hits", "2"),
            ("stats", "keyspace_misses", "1"),
            ("stats", "total_error_replies", "3"),
            ("persistence", "rdb_changes_since_last_save", "1"),
            ("errorstats", "errorstat_ERR", "count=3"),
        ];
        for (section, name, value) in expected {
            assert_eq!(field(&mut t, section, name), value, "{name}");
        }
        let set = field(&mut t, "commandstats", "cmdstat_set");
        assert!(set.starts_with("calls=1,usec="), "{set}");
        assert!(set.ends_with(",rejected_calls=1,failed_calls=0"), "{set}");
        let get = field(&mut t, "latencystats", "latency_percentiles_usec_get");
        assert!(get.starts_with("p50=") && get.contains(",p99=") && get.contains(",p99.9="));
        t.check("CONFIG RESETSTAT", "+OK");
        for (section, name, value) in expected {
            let is_kept = ["keyspace", "clients", "persistence"].contains(&section);
            let value = if is_kept { value } else { "0" };
            let value = if section == "errorstats" { "" } else { value };
            assert_eq!(field(&mut t, section, name), value, "{name}");
        }
        assert_eq!(field(&mut t, "commandstats", "cmdstat_set"), "");
        assert_eq!(field(&mut t, "latencystats", "latency_percentiles_usec_set"), "");
    }

    #[test]
    fn latencies_may_be_left_out() {
        let config = [("latency-tracking-info-percentiles", "0 100")];
        let mut t = TestServer::with_config(&config);
        t.run("PING");
        let ping = field(&mut t, "latencystats", "latency_percentiles_usec_ping");
        assert!(ping.starts_with("p0=") && ping.contains(",p100="), "{ping}");
        let mut t = TestServer::with_config(&[("latency-tracking", "no")]);
        t.run("PING");
        assert_eq!(info(&mut t, "latencystats"), "# Latencystats\n");
    }
}
