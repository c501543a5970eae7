//! Unions, intersections and differences, told or stored.

use super::reply_member;
use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crate::notify::Event;
use crabcache_resp::number::parse_i64;
use crabcache_store::types::set::{Set, Wanted, difference, intersect, intersection, union};
use crabcache_store::{Kind, Limits, Lookup, ReadDb, WriteDb};
use std::ops::ControlFlow;

/// The sets that the keys name; `None` where there is no key.
type Sets<'a> = Vec<Option<&'a Set>>;

/// SINTER key [key ...]
pub(super) fn sinter(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let sets = read_sets(db, ctx, args.iter().skip(1))?;
    let Some(mut sets) = all_there(&sets) else {
        ctx.reply.set(0);
        return Ok(());
    };
    let (mark, mut n_members) = (ctx.reply.deferred(), 0);
    intersect(&mut sets, |member| {
        reply_member(&mut ctx.reply, member);
        n_members += 1;
        ControlFlow::Continue(())
    });
    ctx.reply.end_set(mark, n_members);
    Ok(())
}

/// SINTERCARD numkeys key [key ...] [LIMIT limit]
pub(super) fn sintercard(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let n_keys = parse_i64(args.get(1)).filter(|n| *n > 0).ok_or(CommandError::NumKeys)?;
    let n_keys = usize::try_from(n_keys).unwrap_or(usize::MAX);
    if n_keys > args.len() - 2 {
        return Err(CommandError::TooManyKeysGiven);
    }
    let mut options = args.from(2 + n_keys);
    let mut limit = 0;
    while options.remaining() > 0 {
        if !options.accept("LIMIT") {
            return Err(CommandError::Syntax);
        }
        let value = parse_i64(options.word()?).and_then(|limit| usize::try_from(limit).ok());
        limit = value.ok_or(CommandError::NegativeOption("LIMIT"))?;
    }
    let sets = read_sets(db, ctx, args.iter().skip(2).take(n_keys))?;
    let mut n_members = 0;
    if let Some(mut sets) = all_there(&sets) {
        intersect(&mut sets, |_| {
            n_members += 1;
            if n_members == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    }
    ctx.reply.count(n_members);
    Ok(())
}

/// SINTERSTORE destination key [key ...]
pub(super) fn sinterstore(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    store(db, ctx, args, Event::SINTERSTORE, |sets, limits| match all_there(sets) {
        Some(mut sets) => intersection(&mut sets, limits),
        None => Set::default(),
    })
}

/// SUNION key [key ...]
pub(super) fn sunion(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let sets = read_sets(db, ctx, args.iter().skip(1))?;
    tell(ctx, &unite(&sets, Wanted::Told, &ctx.config.limits()));
    Ok(())
}

/// SUNIONSTORE destination key [key ...]
pub(super) fn sunionstore(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    store(db, ctx, args, Event::SUNIONSTORE, |sets, limits| unite(sets, Wanted::Stored, limits))
}

/// SDIFF key [key ...]
pub(super) fn sdiff(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let sets = read_sets(db, ctx, args.iter().skip(1))?;
    tell(ctx, &subtract(&sets, Wanted::Told, &ctx.config.limits()));
    Ok(())
}

/// SDIFFSTORE destination key [key ...]
pub(super) fn sdiffstore(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    store(db, ctx, args, Event::SDIFFSTORE, |sets, limits| subtract(sets, Wanted::Stored, limits))
}

fn read_sets<'a>(
    db: &ReadDb<'a>,
    ctx: &Ctx,
    words: impl Iterator<Item = &'a [u8]>,
) -> Result<Sets<'a>, CommandError> {
    words.map(|word| Ok(db.get_as::<Set>(&ctx.key(word))?)).collect()
}

/// The sets, if none is missing.
fn all_there<'a>(sets: &Sets<'a>) -> Option<Vec<&'a Set>> {
    sets.iter().copied().collect()
}

fn unite(sets: &Sets<'_>, wanted: Wanted, limits: &Limits) -> Set {
    let there: Vec<&Set> = sets.iter().copied().flatten().collect();
    union(&there, wanted, limits)
}

fn subtract(sets: &Sets<'_>, wanted: Wanted, limits: &Limits) -> Set {
    match sets.split_first() {
        Some((Some(first), others)) => {
            let others: Vec<&Set> = others.iter().copied().flatten().collect();
            difference(first, &others, wanted, limits)
        }
        _ => Set::default(),
    }
}

fn tell(ctx: &mut Ctx, set: &Set) {
    ctx.reply.set(set.len());
    set.for_each(|member| reply_member(&mut ctx.reply, member));
}

/// Puts what `compute` makes of the sets that the words after the destination name into the
/// destination.
fn store(
    db: &mut WriteDb,
    ctx: &mut Ctx,
    args: Args,
    event: Event,
    compute: impl FnOnce(&Sets<'_>, &Limits) -> Set,
) -> CommandResult {
    let target = ctx.key(args.get(1));
    for word in args.iter().skip(2) {
        db.get_as::<Set>(&ctx.key(word), Lookup::Use)?;
    }
    let limits = ctx.config.limits();
    let result = {
        let db = db.as_read();
        let find = |word| db.get(&ctx.key(word), Lookup::Peek)?.into_collection::<Set>();
        compute(&args.iter().skip(2).map(find).collect(), &limits)
    };
    let n_members = result.len();
    if n_members > 0 {
        let old = db.set_collection(&target, result);
        ctx.overwritten(target.bytes, old, Kind::Set);
        ctx.changed(target.bytes, event);
    } else if db.delete(&target) {
        ctx.changed(target.bytes, Event::DEL);
    }
    ctx.reply.count(n_members);
    Ok(())
}
