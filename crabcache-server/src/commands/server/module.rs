//! MODULE: there are no modules to be loaded. What the reference has as a module that is always
//! there (vector sets) is told of as such: tools ask for it.

use crate::command::{Args, Command, CommandResult, Ctx, Flags, help, server};
use crate::error::ModuleError;

const CHANGES: Flags =
    Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::NO_ASYNC_LOADING).union(Flags::PROTECTED);

/// The module of vector sets.
pub(crate) const VECTOR_SETS: &str = "vectorset";

pub(super) const SUBCOMMANDS: &[Command] = &[
    server("help", module_help).arity(2).flags(Flags::LOADING.union(Flags::STALE)).doc(
        "5.0.0",
        "O(1)",
        "",
        "Tells of the subcommands.",
    ),
    server("list", module_list)
        .arity(2)
        .flags(Flags::ADMIN.union(Flags::NOSCRIPT))
        .tips(&["nondeterministic_output_order"])
        .doc("4.0.0", "O(1)", "", "Tells of the modules."),
    server("load", module_load).arity(-3).flags(CHANGES).doc(
        "4.0.0",
        "O(1)",
        "path [arg...]",
        "Fails: there are no modules to be loaded.",
    ),
    server("loadex", module_load).arity(-3).flags(CHANGES).doc(
        "7.0.0",
        "O(1)",
        "path [CONFIG=configs:(name value)...!] [ARGS=args...]",
        "Fails: there are no modules to be loaded.",
    ),
    server("unload", module_unload).arity(3).flags(CHANGES).doc(
        "4.0.0",
        "O(1)",
        "name",
        "Fails: there are no modules that could go.",
    ),
];

/// MODULE LIST
fn module_list(ctx: &mut Ctx, _: Args) -> CommandResult {
    let reply = &mut ctx.reply;
    reply.array(1);
    reply.map(4);
    reply.bulk(b"name");
    reply.bulk(VECTOR_SETS.as_bytes());
    reply.bulk(b"ver");
    reply.int(1);
    reply.bulk(b"path");
    reply.bulk(b"");
    reply.bulk(b"args");
    reply.array(0);
    Ok(())
}

/// MODULE LOAD path [arg ...], MODULE LOADEX path [CONFIG name value ...] [ARGS ...]
fn module_load(_: &mut Ctx, args: Args) -> CommandResult {
    let path = String::from_utf8_lossy(args.get(2)).into_owned();
    tracing::warn!("Module {path} failed to load: modules are not supported");
    Err(ModuleError::Load.into())
}

/// MODULE UNLOAD name
fn module_unload(_: &mut Ctx, args: Args) -> CommandResult {
    let is_known = args.get(2) == VECTOR_SETS.as_bytes();
    Err(if is_known { ModuleError::InUse } else { ModuleError::NotFound }.into())
}

/// MODULE HELP
fn module_help(ctx: &mut Ctx, _: Args) -> CommandResult {
    help(
        ctx,
        &[
            ("LIST", "Tell of the modules."),
            ("LOAD <path> [<arg> ...]", "Load a module, which fails: there are none."),
            (
                "LOADEX <path> [CONFIG <name> <value> ...] [ARGS <arg> ...]",
                "Load a module with parameters, which fails: there are none.",
            ),
            ("UNLOAD <name>", "Remove a module, which fails: those that are here stay."),
        ],
    )
}
