//! VRANDMEMBER.

use super::check_arity;
use crate::command::{Args, CommandResult, Ctx};
use crate::commands::drawn::reply_drawn;
use crate::error::VectorSetError;
use crabcache_resp::number::parse_i64;
use crabcache_store::ReadDb;
use crabcache_store::types::vector_set::VectorSet;

/// VRANDMEMBER key [count]
pub(super) fn vrandmember(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    check_arity(ctx, matches!(args.len(), 2 | 3))?;
    if args.len() == 2 {
        match db.get_as::<VectorSet>(&ctx.key(args.get(1)))? {
            Some(set) => ctx.reply.bulk(set.name(drawn(set))),
            None => ctx.reply.null(),
        }
        return Ok(());
    }
    let count = parse_i64(args.get(2)).ok_or(VectorSetError::CountNotInteger)?;
    if count == 0 {
        ctx.reply.array(0);
        return Ok(());
    }
    let Some(set) = db.get_as::<VectorSet>(&ctx.key(args.get(1)))? else {
        ctx.reply.array(0);
        return Ok(());
    };
    let n_wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count > 0 {
        let n_drawn = n_wanted.min(set.len());
        ctx.reply.array(n_drawn);
        let nodes = rand::seq::index::sample(&mut rand::rng(), set.len(), n_drawn);
        nodes.into_iter().for_each(|node| ctx.reply.bulk(set.name(node as u32)));
        return Ok(());
    }
    let begin = |ctx: &mut Ctx| ctx.reply.array(n_wanted);
    reply_drawn(ctx, n_wanted, begin, |ctx| ctx.reply.bulk(set.name(drawn(set))))
}

fn drawn(set: &VectorSet) -> u32 {
    rand::random_range(0..set.len()) as u32
}
