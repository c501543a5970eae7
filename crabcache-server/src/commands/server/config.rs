//! CONFIG: the parameters at run time.

use crate::command::{Args, Command, CommandResult, Ctx, Flags, help, server};
use crate::config::rewrite::{Extent, rewrite};
use crate::config::{PARAMS, Param, ParamFlags, set};
use crate::error::CommandError;
use crabcache_store::algorithms::glob::{self, Case};

const FLAGS: Flags = Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::LOADING).union(Flags::STALE);
const TIPS: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];

pub(super) const SUBCOMMANDS: &[Command] = &[
    server("get", config_get).arity(-3).flags(FLAGS).doc(
        "2.0.0",
        "O(N), N being the names and patterns",
        "parameter...",
        "Returns the values of parameters.",
    ),
    server("help", config_help).arity(2).flags(Flags::LOADING.union(Flags::STALE)).doc(
        "5.0.0",
        "O(1)",
        "",
        "Tells what the subcommands are.",
    ),
    server("resetstat", config_resetstat).arity(2).flags(FLAGS).tips(TIPS).doc(
        "2.0.0",
        "O(1)",
        "",
