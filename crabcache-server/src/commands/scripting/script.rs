//! SCRIPT: the script cache, and the script under way.

use crate::command::{Args, Command, CommandResult, Ctx, Flags, help, server};
use crate::error::CommandError;
use crate::scripting::running::Kill;
use crate::scripting::{Script, compile};
use std::sync::Arc;

pub(super) const SUBCOMMANDS: &[Command] = &[
    server("debug", script_debug).arity(3).flags(Flags::NOSCRIPT).doc(
        "3.2.0",
        "O(1)",
        "mode:{YES | SYNC | NO}",
        "Sets whether scripts are debugged.",
    ),
    server("exists", script_exists)
        .arity(-3)
        .flags(Flags::NOSCRIPT)
        .tips(&["request_policy:all_shards", "response_policy:agg_logical_and"])
        .doc("2.6.0", "O(N), N being the scripts", "sha1...", "Tells which scripts are cached."),
    server("flush", script_flush)
        .arity(-2)
        .flags(Flags::NOSCRIPT)
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .doc(
            "2.6.0",
            "O(N), N being the cached scripts",
            "[flush-type:{ASYNC | SYNC}@6.2.0]",
            "Forgets all cached scripts.",
        ),
    server("help", script_help).arity(2).flags(Flags::LOADING.union(Flags::STALE)).doc(
        "5.0.0",
        "O(1)",
        "",
        "Tells of the subcommands.",
    ),
    server("kill", script_kill)
        .arity(2)
        .flags(Flags::NOSCRIPT.union(Flags::ALLOW_BUSY))
        .tips(&["request_policy:all_shards", "response_policy:one_succeeded"])
        .doc("2.6.0", "O(1)", "", "Ends a script that is over its time."),
    server("load", script_load)
        .arity(3)
        .flags(Flags::NOSCRIPT.union(Flags::STALE))
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .doc("2.6.0", "O(N), N being the script's length", "script", "Caches a script."),
];

/// SCRIPT DEBUG YES | SYNC | NO
fn script_debug(ctx: &mut Ctx, args: Args) -> CommandResult {
    if args.is(2, "no") {
        ctx.reply.ok();
        return Ok(());
    }
    let is_mode = args.is(2, "yes") || args.is(2, "sync");
    Err(if is_mode { CommandError::NoDebugger } else { CommandError::ScriptDebugOption })
}

/// SCRIPT EXISTS sha1 [sha1 ...]
fn script_exists(ctx: &mut Ctx, args: Args) -> CommandResult {
    ctx.reply.array(args.len() - 2);
    for sha in args.iter().skip(2) {
        let exists = ctx.server.scripting.cache.find(sha).is_some();
        ctx.reply.int(exists.into());
    }
    Ok(())
}

/// SCRIPT FLUSH [ASYNC | SYNC]
fn script_flush(ctx: &mut Ctx, args: Args) -> CommandResult {
    let is_known = match args.len() {
        2 => true,
        3 => args.is(2, "sync") || args.is(2, "async"),
        _ => false,
    };
    if !is_known {
        return Err(CommandError::ScriptFlushOption);
    }
    ctx.server.scripting.cache.flush();
    ctx.reply.ok();
    Ok(())
}

/// SCRIPT KILL
fn script_kill(ctx: &mut Ctx, _: Args) -> CommandResult {
    match ctx.server.scripting.running.kill(false) {
        Kill::Killed => {
            ctx.reply.ok();
            Ok(())
        }
        Kill::NotBusy => Err(CommandError::NotBusy),
        Kill::Unkillable => Err(CommandError::Unkillable),
        Kill::OtherKind => Err(CommandError::BusyFunction),
    }
}

/// SCRIPT LOAD script
fn script_load(ctx: &mut Ctx, args: Args) -> CommandResult {
    let script = Arc::new(Script::new(args.get(2), &ctx.server.commands)?);
    compile(ctx.server, &script)?;
    let script = ctx.server.scripting.cache.add(script, false);
    ctx.reply.bulk(&script.sha);
    Ok(())
}

/// SCRIPT HELP
fn script_help(ctx: &mut Ctx, _: Args) -> CommandResult {
    help(
        ctx,
        &[
            ("DEBUG (YES|SYNC|NO)", "Set whether scripts are debugged. There is no debugger."),
            ("EXISTS <sha1> [<sha1> ...]", "Tell for each script whether it is cached."),
            (
                "FLUSH [ASYNC|SYNC]",
                "Forget all cached scripts.\n\
                 Without a mode, lazyfree-lazy-user-flush decides how their memory is freed.",
            ),
            ("KILL", "End a script that is over its time and has written nothing."),
            ("LOAD <script>", "Cache a script without running it."),
        ],
    )
}
