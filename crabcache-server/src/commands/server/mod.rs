//! The server group: one file for each container or theme; the rows stand here.
//!
//! A container's file exports its rows as `SUBCOMMANDS`.

mod acl;
mod command;
mod config;
mod debug;
mod info;
pub(super) mod keyspace;
mod latency;
mod lolwut;
mod memory;
mod module;
mod monitor;
mod replication;
mod save;
mod shutdown;
mod slowlog;
mod time;

use super::generic::dump;
use crate::command::{Categories, Command, Flags, container, exclusive, gated, server, walk};
pub(crate) use module::VECTOR_SETS;

/// REPLICAOF by this name.
const fn replicaof(name: &'static str, since: &'static str) -> Command {
    let flags =
        Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::STALE).union(Flags::NO_ASYNC_LOADING);
    exclusive(name, replication::replicaof).without(Flags::WRITE).arity(3).flags(flags).doc(
        since,
        "O(1)",
        "args:{host-port:(host port:int) | no-one:(NO ONE)}",
        "Makes the server a replica of another one, or a primary.",
    )
}

const SYNC_FLAGS: Flags =
    Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::NO_ASYNC_LOADING).union(Flags::NO_MULTI);

pub(super) const COMMANDS: &[Command] = &[
    exclusive("bgrewriteaof", save::bgrewriteaof)
        .without(Flags::WRITE)
        .arity(1)
        .flags(Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::NO_ASYNC_LOADING))
        .doc("1.0.0", "O(1)", "", "Replaces the append-only file by one of the data as they are."),
    exclusive("bgsave", save::bgsave)
        .without(Flags::WRITE)
        .arity(-1)
        .flags(Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::NO_ASYNC_LOADING))
        .doc("1.0.0", "O(1)", "[SCHEDULE@3.2.2]", "Makes a snapshot in the background."),
    container("acl", acl::SUBCOMMANDS).doc(
        "6.0.0",
        "Depends on subcommand.",
        "",
        "Tells and changes who may do what.",
    ),
    command::COMMAND,
    container("config", config::SUBCOMMANDS).doc(
        "2.0.0",
        "Depends on subcommand.",
        "",
        "Reads and changes parameters.",
    ),
    debug::DEBUG,
    dump::RESTORE_ASKING,
    walk("info", info::info)
        .without(Flags::READONLY)
        .arity(-1)
        .flags(Flags::LOADING.union(Flags::STALE))
        .categories(Categories::DANGEROUS)
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
        .doc("1.0.0", "O(1)", "[section...]", "Tells of the server's state."),
    server("lastsave", save::lastsave)
        .arity(1)
        .fast()
        .flags(Flags::LOADING.union(Flags::STALE))
        .categories(Categories::ADMIN.union(Categories::DANGEROUS))
        .tips(&["nondeterministic_output"])
        .doc("1.0.0", "O(1)", "", "Tells when the last snapshot was made."),
    container("latency", latency::SUBCOMMANDS).doc(
        "2.8.13",
        "Depends on subcommand.",
        "",
        "Tells of slow events.",
    ),
    lolwut::LOLWUT,
    container("memory", memory::SUBCOMMANDS).doc(
        "4.0.0",
        "Depends on subcommand.",
        "",
        "Tells of memory.",
    ),
    server("monitor", monitor::monitor)
        .arity(1)
        .flags(Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::LOADING).union(Flags::STALE))
        .doc("1.0.0", "", "", "Shows all commands that run."),
    exclusive("failover", replication::failover)
        .without(Flags::WRITE)
        .arity(-1)
        .flags(Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::STALE))
        .doc(
            "6.2.0",
            "O(1)",
            "[TO=target:(host port:int [FORCE])] [ABORT] [TIMEOUT=milliseconds:int]",
            "Has a replica take the primary's place, and the primary its.",
        ),
    server("role", replication::role)
        .arity(1)
        .fast()
        .flags(Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE))
        .categories(Categories::ADMIN.union(Categories::DANGEROUS))
        .doc("2.8.12", "O(1)", "", "Tells the server's part in replication."),
    exclusive("psync", replication::psync).without(Flags::WRITE).arity(-3).flags(SYNC_FLAGS).doc(
        "2.8.0",
        "",
        "replicationid offset:int",
        "Becomes a replica that goes on.",
    ),
    server("replconf", replication::replconf)
        .arity(-1)
        .flags(
            Flags::ADMIN
                .union(Flags::NOSCRIPT)
                .union(Flags::LOADING)
                .union(Flags::STALE)
                .union(Flags::ALLOW_BUSY)
                .union(Flags::SYSCMD),
        )
        .doc("3.0.0", "O(1)", "", "Tells what a replica can do and has got."),
    replicaof("replicaof", "5.0.0"),
    replicaof("slaveof", "1.0.0").deprecated("5.0.0", "`REPLICAOF`"),
    server("sync", replication::sync).arity(1).flags(SYNC_FLAGS).doc(
        "1.0.0",
        "",
        "",
        "Becomes a replica.",
    ),
    gated("save", save::save)
        .arity(1)
        .flags(
            Flags::ADMIN
                .union(Flags::NOSCRIPT)
                .union(Flags::NO_ASYNC_LOADING)
                .union(Flags::NO_MULTI),
        )
        .doc("1.0.0", "O(n), n: all keys", "", "Makes a snapshot and waits for it."),
    gated("shutdown", shutdown::shutdown)
        .arity(-1)
        .flags(
            Flags::ADMIN
                .union(Flags::NOSCRIPT)
                .union(Flags::LOADING)
                .union(Flags::STALE)
                .union(Flags::NO_MULTI)
                .union(Flags::ALLOW_BUSY),
        )
        .doc(
            "1.0.0",
            "O(1)",
            "[save-selector:{NOSAVE | SAVE}] [NOW@7.0.0] [FORCE@7.0.0] [ABORT@7.0.0]",
            "Ends the server.",
        ),
    container("module", module::SUBCOMMANDS).doc(
        "4.0.0",
        "Depends on subcommand.",
        "",
        "Commands about modules, of which none can be loaded.",
    ),
    container("slowlog", slowlog::SUBCOMMANDS).doc(
        "2.2.12",
        "Depends on subcommand.",
        "",
        "Tells of slow commands.",
    ),
    server("time", time::time)
        .arity(1)
        .fast()
        .flags(Flags::LOADING.union(Flags::STALE))
        .tips(&["nondeterministic_output"])
        .doc("2.6.0", "O(1)", "", "Tells the server's time."),
];
