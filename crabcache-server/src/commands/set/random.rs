//! Members drawn at random. Replicated as what was removed, not as the draw.

use super::reply_member;
use crate::command::{Args, CommandResult, Ctx};
use crate::commands::drawn::reply_drawn;
use crate::error::CommandError;
use crate::notify::Event;
use crabcache_resp::number::parse_i64;
use crabcache_store::types::set::Set;
use crabcache_store::{Edited, Lookup, ReadDb, WriteDb};

/// Members that one replicated SREM names.
const REPLICATED_MEMBERS_MAX: usize = 1024;

fn below(end: usize) -> usize {
    rand::random_range(0..end)
}

/// SPOP key [count]
pub(super) fn spop(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    match args.len() {
        2 => pop_one(db, ctx, args.get(1)),
        3 => {
            let count = parse_i64(args.get(2)).and_then(|count| usize::try_from(count).ok());
            pop_many(db, ctx, args.get(1), count.ok_or(CommandError::NotPositive)?)
        }
        _ => Err(CommandError::Syntax),
    }
}

fn pop_one(db: &mut WriteDb, ctx: &mut Ctx, word: &[u8]) -> CommandResult {
    let key = ctx.key(word);
    let edited = db.edit(&key, |set: &mut Set| set.pop(below))?;
    let Some(Edited { result: Some(member), is_emptied }) = edited else {
        ctx.reply.null();
        return Ok(());
    };
    ctx.shrunk(key.bytes, Event::SPOP, is_emptied);
    ctx.effects.propagate([b"SREM", key.bytes, &member]);
    ctx.reply.bulk(&member);
    Ok(())
}

fn pop_many(db: &mut WriteDb, ctx: &mut Ctx, word: &[u8], count: usize) -> CommandResult {
    let key = ctx.key(word);
    let set = db.get_as::<Set>(&key, Lookup::Write)?;
    let len = set.map_or(0, Set::len);
    let n_popped = count.min(len);
    ctx.reply.set(n_popped);
    if n_popped == 0 {
        return Ok(());
    }
    ctx.changed(key.bytes, Event::SPOP);
    ctx.effects.n_dirty += n_popped as u64 - 1;
    if let Some(set) = set
        && n_popped == len
    {
        set.for_each(|member| reply_member(&mut ctx.reply, member));
        db.delete(&key);
        ctx.event(key.bytes, Event::DEL);
        let is_lazy = ctx.config.lazyfree_lazy_server_del;
        let command: &[u8] = if is_lazy { b"UNLINK" } else { b"DEL" };
        ctx.effects.propagate([command, key.bytes]);
        return Ok(());
    }
    let limits = ctx.config.limits();
    let mut popped = Vec::with_capacity(n_popped);
    db.edit(&key, |set: &mut Set| {
        set.take(n_popped, &limits, below, |member| {
            reply_member(&mut ctx.reply, member);
            popped.push(member.to_vec());
        });
    })?;
    for members in popped.chunks(REPLICATED_MEMBERS_MAX) {
        let command: [&[u8]; 2] = [b"SREM", key.bytes];
        ctx.effects.propagate(command.into_iter().chain(members.iter().map(Vec::as_slice)));
    }
    Ok(())
}

/// SRANDMEMBER key [count]
pub(super) fn srandmember(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(1));
    match args.len() {
        2 => {
            match db.get_as::<Set>(&key)?.and_then(|set| set.random(below)) {
                Some(member) => reply_member(&mut ctx.reply, member),
                None => ctx.reply.null(),
            }
            return Ok(());
        }
        3 => {}
        _ => return Err(CommandError::Syntax),
    }
    let count = args.int(2)?;
    if count == i64::MIN {
        return Err(CommandError::OutsideRange(-i64::MAX, i64::MAX));
    }
    let Some(set) = db.get_as::<Set>(&key)? else {
        ctx.reply.array(0);
        return Ok(());
    };
    let n_wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count >= 0 {
        let n_drawn = n_wanted.min(set.len());
        ctx.reply.array(n_drawn);
        set.sample(n_drawn, below, |member| reply_member(&mut ctx.reply, member));
        return Ok(());
    }
    let begin = |ctx: &mut Ctx| ctx.reply.array(n_wanted);
    reply_drawn(ctx, n_wanted, begin, |ctx| {
        if let Some(member) = set.random(below) {
            reply_member(&mut ctx.reply, member);
        }
    })
}
