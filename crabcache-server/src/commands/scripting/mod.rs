//! The scripting group.

mod function;
mod script;

use crate::command::{Command, Flags, KeySpec, container, script};
use crate::scripting::{run, run_function};

const FLAGS: Flags =
    Flags::NOSCRIPT.union(Flags::STALE).union(Flags::SKIP_MONITOR).union(Flags::NO_MANDATORY_KEYS);
const MAY_WRITE: Flags = FLAGS.union(Flags::MAY_REPLICATE);
const READER: Flags = FLAGS.union(Flags::READONLY);

const MAY_BE_CHANGED: &str =
    "We cannot tell how the keys will be used so we assume the worst, RW and UPDATE";
const MAY_BE_READ: &str =
    "We cannot tell how the keys will be used so we assume the worst, RO and ACCESS";
const COST: &str = "Depends on the script";
const SCRIPT: &str = "script numkeys:int [key...] [arg...]";
const FUNCTION: &str = "function numkeys:int [key...] [arg...]";
const SHA: &str = "sha1 numkeys:int [key...] [arg...]";

pub(super) const COMMANDS: &[Command] = &[
    // EVAL script numkeys [key [key ...]] [arg [arg ...]]
    script("eval", run)
        .arity(-3)
        .flags(MAY_WRITE)
        .keys(&[KeySpec::at(2).counted(0, 1).rw().access().update().notes(MAY_BE_CHANGED)])
        .doc("2.6.0", COST, SCRIPT, "Runs a script."),
    // EVAL_RO script numkeys [key [key ...]] [arg [arg ...]]
    script("eval_ro", run)
        .arity(-3)
        .flags(READER)
        .keys(&[KeySpec::at(2).counted(0, 1).ro().access().notes(MAY_BE_READ)])
        .doc("7.0.0", COST, SCRIPT, "Runs a script that writes nothing."),
    // EVALSHA sha1 numkeys [key [key ...]] [arg [arg ...]]
    script("evalsha", run)
        .arity(-3)
        .flags(MAY_WRITE)
        .keys(&[KeySpec::at(2).counted(0, 1).rw().access().update()])
        .doc("2.6.0", COST, SHA, "Runs a cached script."),
    // EVALSHA_RO sha1 numkeys [key [key ...]] [arg [arg ...]]
    script("evalsha_ro", run)
        .arity(-3)
        .flags(READER)
        .keys(&[KeySpec::at(2).counted(0, 1).ro().access()])
        .doc("7.0.0", COST, SHA, "Runs a cached script that writes nothing."),
    // FCALL function numkeys [key [key ...]] [arg [arg ...]]
    script("fcall", run_function)
        .arity(-3)
        .flags(MAY_WRITE)
        .keys(&[KeySpec::at(2).counted(0, 1).rw().access().update().notes(MAY_BE_CHANGED)])
        .doc("7.0.0", "Depends on the function", FUNCTION, "Calls a function."),
    // FCALL_RO function numkeys [key [key ...]] [arg [arg ...]]
    script("fcall_ro", run_function)
        .arity(-3)
        .flags(READER)
        .keys(&[KeySpec::at(2).counted(0, 1).ro().access().notes(MAY_BE_READ)])
        .doc("7.0.0", "Depends on the function", FUNCTION, "Calls a function that writes nothing."),
    container("function", function::SUBCOMMANDS).doc(
        "7.0.0",
        "Depends on subcommand.",
        "",
        "Commands about functions.",
    ),
    container("script", script::SUBCOMMANDS).doc(
        "2.6.0",
        "Depends on subcommand.",
        "",
        "Commands about the script cache.",
    ),
];

#[cfg(test)]
mod tests;
