//! The server group: one file for each container or theme; the rows stand here.
//!
//! A container's file exports its rows as `SUBCOMMANDS`.

mod command;
mod time;

use crate::command::{Command, Flags, server};

pub(super) const COMMANDS: &[Command] = &[
    command::COMMAND,
    server("time", time::time)
        .arity(1)
        .fast()
        .flags(Flags::LOADING.union(Flags::STALE))
        .tips(&["nondeterministic_output"])
        .doc("2.6.0", "O(1)", "", "Tells the server's time."),
];
