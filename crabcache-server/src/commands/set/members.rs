//! Members one by one.

use super::reply_member;
use crate::command::{Args, CommandResult, Ctx};
use crate::notify::Event;
use crabcache_store::types::set::Set;
use crabcache_store::{Edited, Lookup, ReadDb, WriteDb};

/// SADD key member [member ...]
pub(super) fn sadd(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(1));
    let limits = ctx.config.limits();
    let n_given = args.len() - 2;
    let edited = db.edit_or_new(&key, |set: &mut Set| {
        if set.is_empty() {
            *set = Set::for_members(args.get(2), n_given, &limits);
        } else {
            set.expect(n_given, &limits);
        }
        args.iter().skip(2).filter(|member| set.add(member, &limits)).count()
    })?;
    let n_added = edited.result;
    if n_added > 0 {
        ctx.changed(key.bytes, Event::SADD);
        ctx.effects.n_dirty += n_added as u64 - 1;
    }
    ctx.reply.count(n_added);
    Ok(())
}

/// SREM key member [member ...]
pub(super) fn srem(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(1));
    let edited = db.edit(&key, |set: &mut Set| {
        args.iter().skip(2).filter(|member| set.remove(member)).count()
    })?;
    let (n_removed, is_emptied) = edited.map_or((0, false), |e| (e.result, e.is_emptied));
    if n_removed > 0 {
        ctx.shrunk(key.bytes, Event::SREM, is_emptied);
        ctx.effects.n_dirty += n_removed as u64 - 1;
    }
    ctx.reply.count(n_removed);
    Ok(())
}

/// SISMEMBER key member
pub(super) fn sismember(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let set = db.get_as::<Set>(&ctx.key(args.get(1)))?;
    ctx.reply.int(i64::from(set.is_some_and(|set| set.contains(args.get(2)))));
    Ok(())
}

/// SMISMEMBER key member [member ...]
pub(super) fn smismember(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let set = db.get_as::<Set>(&ctx.key(args.get(1)))?;
    ctx.reply.array(args.len() - 2);
    for member in args.iter().skip(2) {
        ctx.reply.int(i64::from(set.is_some_and(|set| set.contains(member))));
    }
    Ok(())
}

/// SCARD key
pub(super) fn scard(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let set = db.get_as::<Set>(&ctx.key(args.get(1)))?;
    ctx.reply.count(set.map_or(0, Set::len));
    Ok(())
}

/// SMEMBERS key
pub(super) fn smembers(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let set = db.get_as::<Set>(&ctx.key(args.get(1)))?;
    ctx.reply.set(set.map_or(0, Set::len));
    if let Some(set) = set {
        set.for_each(|member| reply_member(&mut ctx.reply, member));
    }
    Ok(())
}

/// SMOVE source destination member
pub(super) fn smove(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let (source, target) = (ctx.key(args.get(1)), ctx.key(args.get(2)));
    let member = args.get(3);
    // Both are looked up before anything is said about either.
    let found = db.get_as::<Set>(&source, Lookup::Write).map(|set| set.map(|s| s.contains(member)));
    let target_fits = db.get_as::<Set>(&target, Lookup::Write).map(drop);
    let Some(is_member) = found? else {
        ctx.reply.int(0);
        return Ok(());
    };
    target_fits?;
    if is_member && source.bytes != target.bytes {
        let removed = db.edit(&source, |set: &mut Set| set.remove(member))?;
        let is_emptied = removed.is_some_and(|Edited { is_emptied, .. }| is_emptied);
        ctx.shrunk(source.bytes, Event::SREM, is_emptied);
        let limits = ctx.config.limits();
        let added = db.edit_or_new(&target, |set: &mut Set| {
            if set.is_empty() {
                *set = Set::for_members(member, 1, &limits);
            }
            set.add(member, &limits)
        })?;
        if added.result {
            ctx.changed(target.bytes, Event::SADD);
        }
    }
    ctx.reply.int(i64::from(is_member));
    Ok(())
}
