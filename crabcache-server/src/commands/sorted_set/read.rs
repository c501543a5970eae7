//! What is known about single members, and how many there are.

use super::{parse_lex_range, parse_score_range};
use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crabcache_store::ReadDb;
use crabcache_store::types::zset::ZSet;

/// ZCARD key
pub(super) fn zcard(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let set = db.get_as::<ZSet>(&ctx.key(args.get(1)))?;
    ctx.reply.count(set.map_or(0, ZSet::len));
    Ok(())
}

/// ZSCORE key member
pub(super) fn zscore(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let set = db.get_as::<ZSet>(&ctx.key(args.get(1)))?;
    match set.and_then(|set| set.score(args.get(2))) {
        Some(score) => ctx.reply.double(score),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// ZMSCORE key member [member ...]
pub(super) fn zmscore(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let set = db.get_as::<ZSet>(&ctx.key(args.get(1)))?;
    ctx.reply.array(args.len() - 2);
    for member in args.from(2) {
        match set.and_then(|set| set.score(member)) {
            Some(score) => ctx.reply.double(score),
            None => ctx.reply.null(),
        }
    }
    Ok(())
}

/// ZRANK key member [WITHSCORE]
pub(super) fn zrank(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    rank(db, ctx, args, |_, rank| rank)
}

/// ZREVRANK key member [WITHSCORE]
pub(super) fn zrevrank(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    rank(db, ctx, args, |len, rank| len - 1 - rank)
}

fn rank(
    db: &ReadDb,
    ctx: &mut Ctx,
    args: Args,
    counted: impl FnOnce(usize, usize) -> usize,
) -> CommandResult {
    if args.len() > 4 {
        return Err(CommandError::Arity(ctx.row.full_name.clone()));
    }
    let with_score = args.len() == 4;
    if with_score && !args.is(3, "WITHSCORE") {
        return Err(CommandError::Syntax);
    }
    let set = db.get_as::<ZSet>(&ctx.key(args.get(1)))?;
    let found = set.and_then(|set| Some((set.len(), set.rank(args.get(2))?)));
    match found {
        Some((len, (rank, score))) => {
            if with_score {
                ctx.reply.array(2);
            }
            ctx.reply.count(counted(len, rank));
            if with_score {
                ctx.reply.double(score);
            }
        }
        None if with_score => ctx.reply.null_array(),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// ZCOUNT key min max
pub(super) fn zcount(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let range = parse_score_range(args.get(2), args.get(3))?;
    let set = db.get_as::<ZSet>(&ctx.key(args.get(1)))?;
    ctx.reply.count(set.map_or(0, |set| set.score_ranks(&range).len()));
    Ok(())
}

/// ZLEXCOUNT key min max
pub(super) fn zlexcount(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let range = parse_lex_range(args.get(2), args.get(3))?;
    let set = db.get_as::<ZSet>(&ctx.key(args.get(1)))?;
    ctx.reply.count(set.map_or(0, |set| set.lex_ranks(&range, false).len()));
    Ok(())
}
