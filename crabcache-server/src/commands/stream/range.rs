//! Looking at entries: XLEN, XRANGE, XREVRANGE.

use super::ids;
use super::reply::reply_entries;
use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crabcache_store::ReadDb;
use crabcache_store::types::stream::Stream;

/// XLEN key
pub(super) fn xlen(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let stream = db.get_as::<Stream>(&ctx.key(args.get(1)))?;
    ctx.reply.int(stream.map_or(0, |stream| stream.log.len() as i64));
    Ok(())
}

/// XRANGE key start end [COUNT count]
pub(super) fn xrange(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    reply_range(db, ctx, args, false)
}

/// XREVRANGE key end start [COUNT count]
pub(super) fn xrevrange(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    reply_range(db, ctx, args, true)
}

fn reply_range(db: &ReadDb, ctx: &mut Ctx, args: Args, is_backwards: bool) -> CommandResult {
    let (start_at, end_at) = if is_backwards { (3, 2) } else { (2, 3) };
    let start = ids::parse_start(args.get(start_at))?;
    let end = ids::parse_end(args.get(end_at))?;
    let mut count = None;
    let mut options = args.from(4);
    while options.remaining() > 0 {
        if options.remaining() < 2 || !options.accept("COUNT") {
            return Err(CommandError::Syntax);
        }
        count = Some(ids::parse_count(&mut options)?);
    }
    match db.get_as::<Stream>(&ctx.key(args.get(1)))? {
        None => ctx.reply.array(0),
        // Compat: nothing asked for is no array.
        Some(_) if count == Some(0) => ctx.reply.null_array(),
        Some(stream) => {
            let (log, count) = (&stream.log, count.unwrap_or(0));
            if is_backwards {
                reply_entries(&mut ctx.reply, log.range_backwards(start, end), count);
            } else {
                reply_entries(&mut ctx.reply, log.range(start, end), count);
            }
        }
    }
    Ok(())
}
