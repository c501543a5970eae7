//! ZRANDMEMBER.

use super::reply_member;
use crate::command::{Args, CommandResult, Ctx};
use crate::commands::drawn::reply_drawn;
use crate::error::CommandError;
use crabcache_store::ReadDb;
use crabcache_store::types::zset::ZSet;

/// ZRANDMEMBER key [count [WITHSCORES]]
pub(super) fn zrandmember(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    if args.len() == 2 {
        let set = db.get_as::<ZSet>(&ctx.key(args.get(1)))?;
        match set.and_then(|set| set.get(rand::random_range(0..set.len()))) {
            Some((member, _)) => reply_member(&mut ctx.reply, member),
            None => ctx.reply.null(),
        }
        return Ok(());
    }
    let count = args.int(2)?;
    if count == i64::MIN {
        return Err(CommandError::OutsideRange(-i64::MAX, i64::MAX));
    }
    let with_scores = match args.len() {
        3 => false,
        4 if args.is(3, "WITHSCORES") => true,
        _ => return Err(CommandError::Syntax),
    };
    if with_scores && !(-i64::MAX / 2..=i64::MAX / 2).contains(&count) {
        return Err(CommandError::OutOfRange);
    }
    let Some(set) = db.get_as::<ZSet>(&ctx.key(args.get(1)))? else {
        ctx.reply.array(0);
        return Ok(());
    };
    let n_wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count >= 0 {
        let n_drawn = n_wanted.min(set.len());
        begin(ctx, n_drawn, with_scores);
        if n_drawn == set.len() {
            set.iter(0..n_drawn, false).for_each(|element| tell(ctx, element, with_scores));
        } else {
            let ranks = rand::seq::index::sample(&mut rand::rng(), set.len(), n_drawn);
            let drawn = ranks.into_iter().filter_map(|rank| set.get(rank));
            drawn.for_each(|element| tell(ctx, element, with_scores));
        }
        return Ok(());
    }
    let begin = |ctx: &mut Ctx| begin(ctx, n_wanted, with_scores);
    reply_drawn(ctx, n_wanted, begin, |ctx| {
        if let Some(element) = set.get(rand::random_range(0..set.len())) {
            tell(ctx, element, with_scores);
        }
    })
}

fn begin(ctx: &mut Ctx, len: usize, with_scores: bool) {
    if with_scores { ctx.reply.pairs(len) } else { ctx.reply.array(len) }
}

fn tell(ctx: &mut Ctx, (member, score): (crabcache_store::StrRef<'_>, f64), with_scores: bool) {
    if with_scores {
        ctx.reply.nested_pair();
    }
    reply_member(&mut ctx.reply, member);
    if with_scores {
        ctx.reply.double(score);
    }
}
