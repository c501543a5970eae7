//! XPENDING: what was delivered and not acknowledged.

use super::ids;
use super::reply::{no_key_or_group, reply_id};
use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crabcache_resp::number::parse_i64;
use crabcache_store::ReadDb;
use crabcache_store::types::stream::{Group, Stream, StreamId};

/// XPENDING key group [[IDLE min-idle-time] start end count [consumer]]
pub(super) fn xpending(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let filter = Filter::parse(args)?;
    let stream = db.get_as::<Stream>(&ctx.key(args.get(1)))?;
    let group = stream.and_then(|stream| stream.groups.get(args.get(2)));
    let group = group.ok_or_else(|| no_key_or_group(args.get(1), args.get(2)))?;
    match filter {
        None => reply_summary(ctx, group),
        Some(filter) => reply_filtered(ctx, group, &filter),
    }
    Ok(())
}

/// Which pending entries to show.
struct Filter<'a> {
    min_idle_ms: i64,
    start: StreamId,
    end: StreamId,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Filter<'a> {
    //
    // Compat: words behind the consumer are ignored, up to nine in all.
    fn parse(args: Args<'a>) -> Result<Option<Filter<'a>>, CommandError> {
        if args.len() == 3 {
            return Ok(None);
        }
        if !(6..=9).contains(&args.len()) {
            return Err(CommandError::Syntax);
        }
        let (mut start_at, mut min_idle_ms) = (3, 0);
        if args.is(3, "IDLE") {
            min_idle_ms = args.int(4)?;
            if args.len() < 8 {
                return Err(CommandError::Syntax);
            }
            start_at = 5;
        }
        let count = parse_i64(args.get(start_at + 2)).ok_or(CommandError::NotInteger)?;
        Ok(Some(Filter {
            min_idle_ms,
            start: ids::parse_start(args.get(start_at))?,
            end: ids::parse_end(args.get(start_at + 1))?,
            count: usize::try_from(count).unwrap_or(0),
            consumer: (start_at + 3 < args.len()).then(|| args.get(start_at + 3)),
        }))
    }
}

fn reply_summary(ctx: &mut Ctx, group: &Group) {
    let pending = group.pending();
    ctx.reply.array(4);
    ctx.reply.count(pending.len());
    let ends = pending.first_key_value().zip(pending.last_key_value());
    let Some(((first, _), (last, _))) = ends else {
        ctx.reply.null();
        ctx.reply.null();
        ctx.reply.null_array();
        return;
    };
    reply_id(&mut ctx.reply, *first);
    reply_id(&mut ctx.reply, *last);
    let busy = || group.consumers().filter(|consumer| !consumer.pending().is_empty());
    ctx.reply.array(busy().count());
    for consumer in busy() {
        ctx.reply.array(2);
        ctx.reply.bulk(consumer.name());
        ctx.reply.bulk_int(consumer.pending().len() as i64);
    }
}

fn reply_filtered(ctx: &mut Ctx, group: &Group, filter: &Filter) {
    let now_ms = ctx.env.now_ms;
    let consumer = filter.consumer.map(|name| group.find_consumer(name));
    let range = filter.start..=filter.end;
    let ids: Box<dyn Iterator<Item = &StreamId>> = match consumer {
        _ if filter.start > filter.end => Box::new(std::iter::empty()),
        Some(None) => Box::new(std::iter::empty()),
        Some(Some(id)) => Box::new(group.consumer(id).pending().range(range)),
        None => Box::new(group.pending().range(range).map(|(id, _)| id)),
    };
    let pending = ids.filter_map(|id| Some((*id, group.pending().get(id)?)));
    let is_idle = |delivered_at_ms: i64| {
        filter.min_idle_ms == 0 || now_ms.saturating_sub(delivered_at_ms) >= filter.min_idle_ms
    };
    let array = ctx.reply.deferred();
    let mut n_shown = 0;
    for (id, pending) in
        pending.filter(|(_, pending)| is_idle(pending.delivered_at_ms)).take(filter.count)
    {
        ctx.reply.array(4);
        reply_id(&mut ctx.reply, id);
        ctx.reply.bulk(group.consumer(pending.consumer).name());
        ctx.reply.int(now_ms.saturating_sub(pending.delivered_at_ms).max(0));
        ctx.reply.int(pending.n_deliveries as i64);
        n_shown += 1;
    }
    ctx.reply.end_array(array, n_shown);
}
