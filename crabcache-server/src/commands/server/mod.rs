//! The server group: one file for each container or theme; the rows stand here.
//!
//! A container's file exports its rows as `SUBCOMMANDS`.

mod command;
pub(super) mod keyspace;
mod latency;
mod slowlog;
mod time;

use crate::command::{Command, Flags, container, server};

pub(super) const COMMANDS: &[Command] = &[
    command::COMMAND,
    container("latency", latency::SUBCOMMANDS).doc(
        "2.8.13",
        "Depends on subcommand.",
        "",
        "Tells of slow events.",
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
