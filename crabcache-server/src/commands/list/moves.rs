//! Moving elements between lists.

use super::Positions;
use super::ends::{pushed_event, tell_popped};
use crate::command::{Args, CommandResult, Ctx};
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
