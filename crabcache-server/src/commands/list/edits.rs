//! Changing lists in the middle.

use super::reads::range;
use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crate::notify::Event;
use crabcache_store::types::list::{End, List};
use crabcache_store::{Lookup, WriteDb};

/// LINSERT key BEFORE | AFTER pivot element
pub(super) fn linsert(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let is_behind = args.is(2, "AFTER");
    if !is_behind && !args.is(2, "BEFORE") {
        return Err(CommandError::Syntax);
    }
    let (key, limits) = (ctx.key(args.get(1)), ctx.config.limits());
    let inserted = db.edit(&key, |list: &mut List| {
        list.insert(args.get(3), args.get(4), is_behind, &limits).then(|| list.len())
    })?;
    match inserted.map(|inserted| inserted.result) {
        None => ctx.reply.int(0),
        Some(None) => ctx.reply.int(-1),
        Some(Some(len)) => {
            ctx.changed(key.bytes, Event::LINSERT);
            ctx.reply.count(len);
        }
    }
    Ok(())
}

/// LSET key index element
pub(super) fn lset(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let (key, limits) = (ctx.key(args.get(1)), ctx.config.limits());
    db.get_as::<List>(&key, Lookup::Write)?.ok_or(CommandError::NoSuchKey)?;
    let index = args.int(2)?;
    let set = db.edit(&key, |list: &mut List| list.set(index, args.get(3), &limits))?;
    if !set.is_some_and(|set| set.result) {
        return Err(CommandError::IndexOutOfRange);
    }
    ctx.changed(key.bytes, Event::LSET);
    ctx.reply.ok();
    Ok(())
}

/// LREM key count element
pub(super) fn lrem(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let count = args.int(2)?;
    if count == i64::MIN {
        return Err(CommandError::OutsideRange(-i64::MAX, i64::MAX));
    }
    let end = if count < 0 { End::Back } else { End::Front };
    let n_max = match count.unsigned_abs() {
        0 => usize::MAX,
        n_max => usize::try_from(n_max).unwrap_or(usize::MAX),
    };
    let (key, limits) = (ctx.key(args.get(1)), ctx.config.limits());
    let removed =
        db.edit(&key, |list: &mut List| list.remove_matching(args.get(3), end, n_max, &limits))?;
    let n_removed = removed.map_or(0, |removed| removed.result);
    if n_removed > 0 {
        ctx.shrunk(key.bytes, Event::LREM, removed.is_some_and(|removed| removed.is_emptied));
        ctx.effects.n_dirty += n_removed as u64 - 1;
    }
    ctx.reply.count(n_removed);
    Ok(())
}

/// LTRIM key start stop
pub(super) fn ltrim(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let (start, stop) = (args.int(2)?, args.int(3)?);
    let (key, limits) = (ctx.key(args.get(1)), ctx.config.limits());
    let trimmed = db.edit(&key, |list: &mut List| {
        let len = list.len();
        let kept = range(len, start, stop);
        list.trim(kept.start, kept.len(), &limits);
        len - kept.len()
    })?;
    if let Some(trimmed) = trimmed {
        // There is an event even if nothing was removed.
        ctx.shrunk(key.bytes, Event::LTRIM, trimmed.is_emptied);
        ctx.effects.n_dirty += trimmed.result as u64;
        ctx.effects.n_dirty -= 1;
    }
    ctx.reply.ok();
    Ok(())
}
