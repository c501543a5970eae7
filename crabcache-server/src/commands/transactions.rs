//! The transactions group.

use crate::command::{Args, Command, CommandResult, Ctx, Flags, KeySpec, gated, server};
use crate::error::CommandError;
use crate::transaction;
use crabcache_store::{Pass, Trace};

const FLAGS: Flags =
    Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE).union(Flags::ALLOW_BUSY);

pub(super) const COMMANDS: &[Command] = &[
    server("discard", discard).arity(1).fast().flags(FLAGS.union(Flags::NOT_QUEUED)).doc(
        "2.0.0",
        "O(N), N being the queued commands",
        "",
        "Forgets the transaction.",
    ),
    gated("exec", exec)
        .arity(1)
        .flags(Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE).union(Flags::SKIP_SLOWLOG))
        .doc("1.2.0", "Depends on the commands", "", "Runs the queued commands as one."),
    server("multi", multi).arity(1).fast().flags(FLAGS.union(Flags::NOT_QUEUED)).doc(
        "1.2.0",
        "O(1)",
        "",
        "Begins a transaction.",
    ),
    server("unwatch", unwatch).arity(1).fast().flags(FLAGS).doc(
        "2.2.0",
        "O(1)",
        "",
        "Forgets all watched keys.",
    ),
    gated("watch", watch)
        .arity(-2)
        .fast()
        .flags(FLAGS)
        .keys(&[KeySpec::at(1).range(-1, 1).ro()])
        .doc("2.2.0", "O(1) per key", "key...", "Watches keys for the next transaction."),
];

/// DISCARD
fn discard(ctx: &mut Ctx, _: Args) -> CommandResult {
    if transaction::end(ctx).is_none() {
        return Err(CommandError::DiscardWithoutMulti);
    }
    ctx.client.forget_watches();
    ctx.reply.ok();
    Ok(())
}

/// EXEC
fn exec(pass: &mut Pass, ctx: &mut Ctx, args: Args, trace: &Trace) -> CommandResult {
    transaction::exec(pass, ctx, args, trace)
}

/// MULTI
fn multi(ctx: &mut Ctx, _: Args) -> CommandResult {
    if ctx.client.multi.is_some() {
        return Err(CommandError::NestedMulti);
    }
    transaction::begin(ctx);
    ctx.reply.ok();
    Ok(())
}

/// UNWATCH
fn unwatch(ctx: &mut Ctx, _: Args) -> CommandResult {
    ctx.client.forget_watches();
    ctx.reply.ok();
    Ok(())
}

/// WATCH key [key ...]
fn watch(pass: &mut Pass, ctx: &mut Ctx, args: Args, _: &Trace) -> CommandResult {
    if ctx.client.multi.is_some() {
        return Err(CommandError::WatchInsideMulti);
    }
    transaction::watch(pass, ctx, args)?;
    ctx.reply.ok();
    Ok(())
}
