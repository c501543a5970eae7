//! VRANDMEMBER.

use super::check_arity;
use crate::command::{Args, CommandResult, Ctx};
use crate::error::{CommandError, VectorSetError};
use crabcache_resp::number::parse_i64;
use crabcache_store::ReadDb;
use crabcache_store::types::vector_set::VectorSet;

/// Elements that are returned at most where one may be returned twice.
const DRAWN_MAX: u64 = 1 << 27;

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
    // Compat: the reference begins an answer of any length, which would not end.
    if count.unsigned_abs() > DRAWN_MAX {
        return Err(CommandError::OutsideRange(-(DRAWN_MAX as i64), i64::MAX));
    }
    ctx.reply.array(n_wanted);
    (0..n_wanted).for_each(|_| ctx.reply.bulk(set.name(drawn(set))));
    Ok(())
}

fn drawn(set: &VectorSet) -> u32 {
    rand::random_range(0..set.len()) as u32
}
