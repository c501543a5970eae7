//! FUNCTION: libraries of functions.

use crate::command::{Args, Command, CommandResult, Ctx, Flags, exclusive, help, server};
use crate::error::{CommandError, FunctionError};
use crate::scripting::ScriptFlags;
use crate::scripting::functions::{self, Library, RestorePolicy};
use crate::scripting::running::Kill;
use crabcache_store::WriteDb;
use crabcache_store::algorithms::glob::{self, Case};

pub(super) const SUBCOMMANDS: &[Command] = &[
    exclusive("delete", function_delete)
        .arity(3)
        .flags(Flags::NOSCRIPT)
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .doc("7.0.0", "O(1)", "library-name", "Removes a library."),
    server("dump", function_dump).arity(2).flags(Flags::NOSCRIPT).doc(
        "7.0.0",
        "O(N), N being the functions",
        "",
        "Returns all libraries in a form that can be restored.",
    ),
    exclusive("flush", function_flush)
        .arity(-2)
        .flags(Flags::NOSCRIPT)
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .doc(
            "7.0.0",
            "O(N), N being the functions",
            "[flush-type:{ASYNC | SYNC}]",
            "Removes all libraries.",
        ),
    server("help", function_help).arity(2).flags(Flags::LOADING.union(Flags::STALE)).doc(
        "7.0.0",
        "O(1)",
        "",
        "Tells of the subcommands.",
    ),
    server("kill", function_kill)
        .arity(2)
        .flags(Flags::NOSCRIPT.union(Flags::ALLOW_BUSY))
        .tips(&["request_policy:all_shards", "response_policy:one_succeeded"])
        .doc("7.0.0", "O(1)", "", "Ends a function that is over its time."),
    server("list", function_list)
        .arity(-2)
        .flags(Flags::NOSCRIPT)
        .tips(&["nondeterministic_output_order"])
        .doc(
            "7.0.0",
            "O(N), N being the functions",
            "[LIBRARYNAME=library-name-pattern] [WITHCODE]",
            "Tells of the libraries.",
        ),
    exclusive("load", function_load)
        .arity(-3)
        .flags(Flags::DENYOOM.union(Flags::NOSCRIPT))
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .doc(
            "7.0.0",
            "O(1) and what the library does",
            "[REPLACE] function-code",
            "Loads a library.",
        ),
    exclusive("restore", function_restore)
        .arity(-3)
        .flags(Flags::DENYOOM.union(Flags::NOSCRIPT))
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .doc(
            "7.0.0",
            "O(N), N being the functions",
            "serialized-value [policy:{FLUSH | APPEND | REPLACE}]",
            "Restores libraries.",
        ),
    server("stats", function_stats)
        .arity(2)
        .flags(Flags::NOSCRIPT.union(Flags::ALLOW_BUSY))
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
        .doc("7.0.0", "O(1)", "", "Tells of the function under way, and how many there are."),
];

/// FUNCTION LOAD [REPLACE] function-code
fn function_load(_: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let last = args.len() - 1;
    let mut replaces = false;
    for index in 2..last {
        if !args.is(index, "replace") {
            return Err(FunctionError::UnknownLoadOption(text(args.get(index))).into());
        }
        replaces = true;
    }
    let name = functions::load(ctx.server, args.get(last), replaces)?;
    ctx.effects.n_dirty += 1;
    ctx.reply.bulk(name.as_bytes());
    Ok(())
}

/// FUNCTION DELETE library-name
fn function_delete(_: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    ctx.server.scripting.functions.delete(args.get(2))?;
    ctx.effects.n_dirty += 1;
    ctx.reply.ok();
    Ok(())
}

/// FUNCTION FLUSH [ASYNC | SYNC]
fn function_flush(_: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    if args.len() > 3 {
        return Err(CommandError::subcommand_syntax(args, "FUNCTION"));
    }
    if args.len() == 3 && !args.is(2, "sync") && !args.is(2, "async") {
        return Err(CommandError::Function(FunctionError::FunctionFlushOption));
    }
    ctx.server.scripting.functions.flush();
    ctx.effects.n_dirty += 1;
    ctx.reply.ok();
    Ok(())
}

/// FUNCTION DUMP
fn function_dump(ctx: &mut Ctx, _: Args) -> CommandResult {
    let libraries = ctx.server.scripting.functions.get();
    let payload = functions::dump(&libraries, ctx.config.rdbcompression);
    ctx.reply.bulk(&payload);
    Ok(())
}

/// FUNCTION RESTORE serialized-value [FLUSH | APPEND | REPLACE]
fn function_restore(_: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let policy = match args.len() {
        3 => RestorePolicy::Append,
        4 if args.is(3, "append") => RestorePolicy::Append,
        4 if args.is(3, "replace") => RestorePolicy::Replace,
        4 if args.is(3, "flush") => RestorePolicy::Flush,
        4 => return Err(CommandError::Function(FunctionError::RestorePolicy)),
        _ => return Err(CommandError::subcommand_syntax(args, "FUNCTION")),
    };
    functions::restore(ctx.server, args.get(2), policy)?;
    ctx.effects.n_dirty += 1;
    ctx.reply.ok();
    Ok(())
}

/// FUNCTION LIST [LIBRARYNAME library-name-pattern] [WITHCODE]
fn function_list(ctx: &mut Ctx, args: Args) -> CommandResult {
    let (mut pattern, mut with_code) = (None, false);
    let mut words = args.from(2);
    while words.remaining() > 0 {
        if !with_code && words.accept("withcode") {
            with_code = true;
        } else if pattern.is_none() && words.accept("libraryname") {
            pattern = Some(
                words.word().map_err(|_| CommandError::Function(FunctionError::NoLibraryName))?,
            );
        } else {
            return Err(FunctionError::UnknownListArgument(text(words.word()?)).into());
        }
    }
    let libraries = ctx.server.scripting.functions.get();
    let is_wanted = |library: &Library| {
        pattern.is_none_or(|pattern| {
            glob::matches(pattern, library.name.as_bytes(), Case::Insensitive)
        })
    };
    let wanted: Vec<_> = libraries.all().filter(|library| is_wanted(library)).collect();
    ctx.reply.array(wanted.len());
    for library in wanted {
        list_library(ctx, library, with_code);
    }
    Ok(())
}

fn list_library(ctx: &mut Ctx, library: &Library, with_code: bool) {
    let reply = &mut ctx.reply;
    reply.map(if with_code { 4 } else { 3 });
    reply.bulk(b"library_name");
    reply.bulk(library.name.as_bytes());
    reply.bulk(b"engine");
    reply.bulk(b"LUA");
    reply.bulk(b"functions");
    reply.array(library.functions.len());
    for function in &library.functions {
        reply.map(3);
        reply.bulk(b"name");
        reply.bulk(function.name.as_bytes());
        reply.bulk(b"description");
        match &function.description {
            Some(description) => reply.bulk(description),
            None => reply.null(),
        }
        reply.bulk(b"flags");
        let flags = ScriptFlags::NAMES.iter().filter(|(flag, _)| function.flags.contains(*flag));
        reply.set(flags.clone().count());
        flags.for_each(|(_, name)| reply.status(name));
    }
    if with_code {
        reply.bulk(b"library_code");
        reply.bulk(&library.code);
    }
}

/// FUNCTION STATS
fn function_stats(ctx: &mut Ctx, _: Args) -> CommandResult {
    let call = ctx.server.scripting.running.overtime_call();
    if call.as_ref().is_some_and(|call| !call.is_function) {
        return Err(CommandError::BusyScript);
    }
    let libraries = ctx.server.scripting.functions.get();
    let now_ns = ctx.server.clock.elapsed_ns();
    let reply = &mut ctx.reply;
    reply.map(2);
    reply.bulk(b"running_script");
    match call {
        None => reply.null(),
        Some(call) => {
            reply.map(3);
            reply.bulk(b"name");
            reply.bulk(call.name.as_bytes());
            reply.bulk(b"command");
            reply.array(call.words.len());
            call.words.iter().for_each(|word| reply.bulk(word));
            reply.bulk(b"duration_ms");
            reply.int((now_ns.saturating_sub(call.began_ns) / 1_000_000).cast_signed());
        }
    }
    reply.bulk(b"engines");
    reply.map(1);
    reply.bulk(b"LUA");
    reply.map(2);
    reply.bulk(b"libraries_count");
    reply.count(libraries.len());
    reply.bulk(b"functions_count");
    reply.count(libraries.n_functions());
    Ok(())
}

/// FUNCTION KILL
fn function_kill(ctx: &mut Ctx, _: Args) -> CommandResult {
    match ctx.server.scripting.running.kill(true) {
        Kill::Killed => {
            ctx.reply.ok();
            Ok(())
        }
        Kill::NotBusy => Err(CommandError::NotBusy),
        Kill::Unkillable => Err(CommandError::Unkillable),
        Kill::OtherKind => Err(CommandError::BusyScript),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// FUNCTION HELP
fn function_help(ctx: &mut Ctx, _: Args) -> CommandResult {
    help(
        ctx,
        &[
            ("LOAD [REPLACE] <FUNCTION CODE>", "Load a library; its first line names it."),
            ("DELETE <LIBRARY NAME>", "Remove a library."),
            (
                "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
                "Tell of the libraries: name, engine, functions, and their code if asked for.",
            ),
            ("STATS", "Tell of the function under way, and how many functions there are."),
            ("KILL", "End a function that is over its time and has written nothing."),
            ("FLUSH [ASYNC|SYNC]", "Remove all libraries."),
            ("DUMP", "Return all libraries in a form that RESTORE takes."),
            (
                "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
                "Restore libraries. Those that are there go (FLUSH), must have other names\n\
                 (APPEND, the default), or go if they have the same names (REPLACE).",
            ),
        ],
    )
}

#[cfg(test)]
mod tests;
