//! Members that go: ZREM and the commands that pop.

use super::reply_member;
use crate::command::{Args, CommandResult, Ctx};
use crate::commands::multi_pop::MultiPop;
use crate::error::CommandError;
use crate::notify::Event;
use crabcache_resp::Reply;
use crabcache_resp::number::parse_i64;
use crabcache_store::types::zset::ZSet;
use crabcache_store::{Key, Lookup, WriteDb};

/// ZREM key member [member ...]
pub(super) fn zrem(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(1));
    let edited =
        db.edit(&key, |set: &mut ZSet| args.from(2).filter(|member| set.remove(member)).count())?;
    let n_removed = edited.map_or(0, |edited| edited.result);
    if let Some(edited) = edited
        && n_removed > 0
    {
        ctx.shrunk(key.bytes, Event::ZREM, edited.is_emptied);
        ctx.effects.n_dirty += n_removed as u64 - 1;
    }
    ctx.reply.count(n_removed);
    Ok(())
}

/// The end that members are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The lowest scores.
    Min,
    /// The highest scores.
    Max,
}

/// The names of the ends.
pub(super) const ENDS: [(&str, End); 2] = [("MIN", End::Min), ("MAX", End::Max)];

impl End {
    fn event(self) -> Event {
        match self {
            End::Min => Event::ZPOPMIN,
            End::Max => Event::ZPOPMAX,
        }
    }

    /// The command that does the same to one key.
    pub(super) fn command(self) -> &'static [u8] {
        match self {
            End::Min => b"ZPOPMIN",
            End::Max => b"ZPOPMAX",
        }
    }
}

/// ZPOPMIN key [count]
pub(super) fn zpopmin(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    pop(db, ctx, args, End::Min)
}

/// ZPOPMAX key [count]
pub(super) fn zpopmax(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    pop(db, ctx, args, End::Max)
}

fn pop(db: &mut WriteDb, ctx: &mut Ctx, args: Args, end: End) -> CommandResult {
    let count = match args.len() {
        2 => None,
        3 => {
            let count = parse_i64(args.get(2)).and_then(|count| usize::try_from(count).ok());
            Some(count.ok_or(CommandError::NotPositive)?)
        }
        _ => return Err(CommandError::Syntax),
    };
    let key = ctx.key(args.get(1));
    let len = db.get_as::<ZSet>(&key, Lookup::Write)?.map_or(0, ZSet::len);
    let n_popped = count.unwrap_or(1).min(len);
    if count.is_some() {
        ctx.reply.pairs(n_popped);
    } else {
        ctx.reply.array(n_popped * 2);
    }
    take(db, ctx, &key, end, n_popped, |reply| {
        if count.is_some() {
            reply.nested_pair();
        }
    })
}

/// Pops `n` members, not more than there are, and writes each with its score, after what
/// `begin_pair` writes.
pub(super) fn take(
    db: &mut WriteDb,
    ctx: &mut Ctx,
    key: &Key<'_>,
    end: End,
    n: usize,
    begin_pair: impl Fn(&mut Reply<'_>),
) -> CommandResult {
    if n == 0 {
        return Ok(());
    }
    let edited = db.edit(key, |set: &mut ZSet| {
        let ranks = if end == End::Min { 0..n } else { set.len() - n..set.len() };
        for (member, score) in set.iter(ranks.clone(), end == End::Max) {
            begin_pair(&mut ctx.reply);
            reply_member(&mut ctx.reply, member);
            ctx.reply.double(score);
        }
        set.remove_ranks(ranks);
    })?;
    ctx.shrunk(key.bytes, end.event(), edited.is_some_and(|edited| edited.is_emptied));
    ctx.effects.n_dirty += n as u64 - 1;
    Ok(())
}

/// ZMPOP numkeys key [key ...] MIN | MAX [COUNT count]
// Compat: replicated as what it did to one key.
pub(super) fn zmpop(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let request = MultiPop::parse(args, 1, ENDS)?;
    if !pop_first(db, ctx, &request)? {
        ctx.reply.null_array();
    }
    Ok(())
}

/// Pops from the first key that there is, and answers. Whether there is one.
pub(super) fn pop_first(
    db: &mut WriteDb,
    ctx: &mut Ctx,
    request: &MultiPop<End>,
) -> Result<bool, CommandError> {
    for word in request.keys.iter() {
        let key = ctx.key(word);
        let Some(set) = db.get_as::<ZSet>(&key, Lookup::Write)? else { continue };
        let n_popped = request.count.min(set.len());
        ctx.reply.array(2);
        ctx.reply.bulk(word);
        ctx.reply.array(n_popped);
        take(db, ctx, &key, request.end, n_popped, |reply| reply.array(2))?;
        let mut count = itoa::Buffer::new();
        let count = count.format(n_popped).as_bytes();
        ctx.effects.propagate([request.end.command(), word, count]);
        return Ok(true);
    }
    Ok(false)
}
