//! Entries deleted and acknowledged by their ids: XACK, XACKDEL, XDEL, XDELEX.

use super::add::references;
use super::ids;
use super::reply::edit;
use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crate::notify::Event;
use crabcache_resp::number::parse_i64;
use crabcache_store::types::stream::{References, Stream, StreamId};
use crabcache_store::{Key, Lookup, WriteDb};

/// XACK key group id [id ...]
pub(super) fn xack(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(1));
    let stream = db.get_as::<Stream>(&key, Lookup::Use)?;
    if stream.is_none_or(|stream| stream.groups.get(args.get(2)).is_none()) {
        ctx.reply.int(0);
        return Ok(());
    }
    let ids = ids::parse_all(args.iter().skip(3))?;
    let n_acknowledged = edit(db, &key, |stream| {
        let mut group = stream.groups.get_mut(args.get(2));
        let mut acknowledge = |id| group.as_mut().is_some_and(|group| group.acknowledge(id));
        Ok(ids.iter().filter(|id| acknowledge(**id)).count())
    })?;
    let n_acknowledged = n_acknowledged.unwrap_or(0);
    ctx.effects.n_dirty += n_acknowledged as u64;
    ctx.reply.count(n_acknowledged);
    Ok(())
}

/// XDEL key id [id ...]
pub(super) fn xdel(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(1));
    let n_deleted = edit(db, &key, |stream| {
        let ids = ids::parse_all(args.iter().skip(2))?;
        Ok(ids.iter().filter(|id| stream.log.delete(**id)).count())
    })?;
    let n_deleted = n_deleted.unwrap_or(0);
    tell_deleted(ctx, &key, n_deleted, n_deleted);
    ctx.reply.count(n_deleted);
    Ok(())
}

/// What became of one id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    NotFound = -1,
    Deleted = 1,
    StillReferenced = 2,
}

/// XDELEX key [KEEPREF | DELREF | ACKED] IDS numids id [id ...]
pub(super) fn xdelex(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(1));
    let is_there = db.get_as::<Stream>(&key, Lookup::Write)?.is_some();
    let (references, ids) = parse_options(args, 2)?;
    if !is_there {
        reply_not_found(ctx, ids.len());
        return Ok(());
    }
    let ids = ids::parse_all(ids.iter())?;
    let fates = edit(db, &key, |stream| {
        let fate = |id: &StreamId| match stream.delete(*id, references) {
            (false, _) => Fate::StillReferenced,
            (true, true) => Fate::Deleted,
            (true, false) => Fate::NotFound,
        };
        Ok(ids.iter().map(fate).collect::<Vec<Fate>>())
    })?;
    let fates = fates.unwrap_or_default();
    let n_deleted = fates.iter().filter(|fate| **fate == Fate::Deleted).count();
    tell_deleted(ctx, &key, n_deleted, n_deleted);
    reply_fates(ctx, &fates);
    Ok(())
}

/// XACKDEL key group [KEEPREF | DELREF | ACKED] IDS numids id [id ...]
pub(super) fn xackdel(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(1));
    let stream = db.get_as::<Stream>(&key, Lookup::Use)?;
    let has_group = stream.is_some_and(|stream| stream.groups.get(args.get(2)).is_some());
    let (references, ids) = parse_options(args, 3)?;
    if !has_group {
        reply_not_found(ctx, ids.len());
        return Ok(());
    }
    let ids = ids::parse_all(ids.iter())?;
    let (mut n_acknowledged, mut n_deleted) = (0, 0);
    let fates = edit(db, &key, |stream| {
        let mut fate = |id: &StreamId| {
            let group = stream.groups.get_mut(args.get(2));
            if !group.is_some_and(|mut group| group.acknowledge(*id)) {
                return Fate::NotFound;
            }
            n_acknowledged += 1;
            let (may_go, is_deleted) = stream.delete(*id, references);
            n_deleted += usize::from(is_deleted);
            // What is pending but in the stream no more counts as deleted.
            if may_go { Fate::Deleted } else { Fate::StillReferenced }
        };
        Ok(ids.iter().map(&mut fate).collect::<Vec<Fate>>())
    })?;
    tell_deleted(ctx, &key, n_deleted, n_acknowledged);
    reply_fates(ctx, &fates.unwrap_or_default());
    Ok(())
}

/// Tells that entries were deleted; `n_dirty` is what counts as changes.
fn tell_deleted(ctx: &mut Ctx, key: &Key<'_>, n_deleted: usize, n_dirty: usize) {
    if n_deleted > 0 {
        ctx.changed(key.bytes, Event::XDEL);
        ctx.effects.n_dirty -= 1;
    }
    ctx.effects.n_dirty += n_dirty as u64;
}

fn reply_not_found(ctx: &mut Ctx, n_ids: usize) {
    ctx.reply.array(n_ids);
    (0..n_ids).for_each(|_| ctx.reply.int(Fate::NotFound as i64));
}

fn reply_fates(ctx: &mut Ctx, fates: &[Fate]) {
    ctx.reply.array(fates.len());
    fates.iter().for_each(|fate| ctx.reply.int(*fate as i64));
}

/// `[KEEPREF | DELREF | ACKED] IDS numids id ...` from word `start` on. Returns the ids as words.
fn parse_options(args: Args<'_>, start: usize) -> Result<(References, Args<'_>), CommandError> {
    let (mut chosen, mut ids, mut at) = (None, None, start);
    while at < args.len() {
        if let Some(references) = references(args, at)
            && chosen.is_none()
        {
            chosen = Some(references);
            at += 1;
        } else if args.is(at, "IDS") && at + 1 < args.len() {
            let n_ids = parse_i64(args.get(at + 1)).and_then(|n_ids| usize::try_from(n_ids).ok());
            let n_ids = n_ids.filter(|n_ids| *n_ids > 0).ok_or(CommandError::NumIdsNotPositive)?;
            at += 2;
            if n_ids > args.len() - at {
                return Err(CommandError::NumIdsMismatch);
            }
            ids = Some(args.skip(at).first(n_ids));
            at += n_ids;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok((chosen.unwrap_or_default(), ids.ok_or(CommandError::IdsRequired)?))
}
