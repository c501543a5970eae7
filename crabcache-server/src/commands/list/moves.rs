//! Moving elements between lists.

use super::ends::{pushed_event, tell_popped};
use super::{Positions, wait_for_lists};
use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crabcache_store::types::list::{End, List};
use crabcache_store::{Key, Lookup, WriteDb};

/// LMOVE source destination LEFT | RIGHT LEFT | RIGHT
pub(super) fn lmove(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let (from, to) = (args.end(3)?, args.end(4)?);
    move_or_null(db, ctx, args, from, to)
}

/// RPOPLPUSH source destination
pub(super) fn rpoplpush(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    move_or_null(db, ctx, args, End::Back, End::Front)
}

fn move_or_null(db: &mut WriteDb, ctx: &mut Ctx, args: Args, from: End, to: End) -> CommandResult {
    let source = ctx.key(args.get(1));
    if db.get_as::<List>(&source, Lookup::Write)?.is_none() {
        ctx.reply.null();
        return Ok(());
    }
    let destination = ctx.key(args.get(2));
    move_element(db, ctx, (&source, from), (&destination, to))
}

/// BLMOVE source destination LEFT | RIGHT LEFT | RIGHT timeout
pub(super) fn blmove(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let (from, to) = (args.end(3)?, args.end(4)?);
    let deadline_ms = args.deadline_ms_of_seconds(5, ctx.env.now_ms)?;
    if move_or_wait(db, ctx, args, (from, to), deadline_ms)? {
        ctx.effects.propagate([b"LMOVE", args.get(1), args.get(2), args.get(3), args.get(4)]);
    }
    Ok(())
}

/// BRPOPLPUSH source destination timeout
pub(super) fn brpoplpush(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let deadline_ms = args.deadline_ms_of_seconds(3, ctx.env.now_ms)?;
    if move_or_wait(db, ctx, args, (End::Back, End::Front), deadline_ms)? {
        ctx.effects.propagate([b"RPOPLPUSH", args.get(1), args.get(2)]);
    }
    Ok(())
}

/// Whether there was an element to be moved.
fn move_or_wait(
    db: &mut WriteDb,
    ctx: &mut Ctx,
    args: Args,
    (from, to): (End, End),
    deadline_ms: Option<i64>,
) -> Result<bool, CommandError> {
    let source = ctx.key(args.get(1));
    if db.get_as::<List>(&source, Lookup::Write)?.is_some() {
        let destination = ctx.key(args.get(2));
        move_element(db, ctx, (&source, from), (&destination, to))?;
        return Ok(true);
    }
    if ctx.may_block() {
        wait_for_lists(ctx, [source.bytes].into_iter(), deadline_ms);
    } else {
        ctx.reply.null();
    }
    Ok(false)
}

/// Moves an element from an end of a list that is there to an end of another, or of the same, and
/// replies with it.
pub(super) fn move_element(
    db: &mut WriteDb,
    ctx: &mut Ctx,
    (source, from): (&Key<'_>, End),
    (destination, to): (&Key<'_>, End),
) -> CommandResult {
    db.get_as::<List>(destination, Lookup::Write)?;
    let limits = ctx.config.limits();
    let is_one_list = source.bytes == destination.bytes;
    let popped = db.edit(source, |list: &mut List| {
        let element = list.pop(from, |element| element.to_vec())?;
        if is_one_list {
            list.push(to, &element, &limits);
        }
        list.shrink(&limits);
        Some(element)
    })?;
    let Some((Some(element), is_emptied)) = popped.map(|popped| (popped.result, popped.is_emptied))
    else {
        ctx.reply.null();
        return Ok(());
    };
    if !is_one_list {
        db.edit_or_new(destination, |list: &mut List| list.push(to, &element, &limits))?;
    }
    ctx.reply.bulk(&element);
    ctx.effects.touched(db.number(), destination.bytes);
    ctx.event(destination.bytes, pushed_event(to));
    tell_popped(ctx, source, from, 1, is_emptied);
    Ok(())
}
