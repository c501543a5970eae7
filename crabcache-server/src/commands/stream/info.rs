//! XINFO: what there is to know about a stream, its groups and their consumers.

use super::reply::{reply_entries, reply_entry, reply_id, reply_known, text};
use crate::command::{Args, CommandResult, Ctx, help};
use crate::error::CommandError;
use crabcache_store::ReadDb;
use crabcache_store::types::stream::{Consumer, Group, Log, Stream, StreamId};

/// The stream of a request, which must be there.
fn stream_of<'a>(db: &ReadDb<'a>, ctx: &Ctx, args: Args) -> Result<&'a Stream, CommandError> {
    db.get_as::<Stream>(&ctx.key(args.get(2)))?.ok_or(CommandError::NoSuchKey)
}

/// XINFO CONSUMERS key group
pub(super) fn xinfo_consumers(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let stream = stream_of(db, ctx, args)?;
    let missing = || CommandError::NoGroup(text(args.get(3)), text(args.get(2)));
    let group = stream.groups.get(args.get(3)).ok_or_else(missing)?;
    let now_ms = ctx.env.now_ms;
    let reply = &mut ctx.reply;
    reply.array(group.n_consumers());
    for consumer in group.consumers() {
        reply.map(4);
        reply.bulk(b"name");
        reply.bulk(consumer.name());
        reply.bulk(b"pending");
        reply.count(consumer.pending().len());
        reply.bulk(b"idle");
        reply.int(now_ms.saturating_sub(consumer.seen_at_ms).max(0));
        reply.bulk(b"inactive");
        reply.int(consumer.active_at_ms.map_or(-1, |at_ms| now_ms.saturating_sub(at_ms)));
    }
    Ok(())
}

/// XINFO GROUPS key
pub(super) fn xinfo_groups(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let stream = stream_of(db, ctx, args)?;
    let reply = &mut ctx.reply;
    reply.array(stream.groups.len());
    for (name, group) in stream.groups.iter() {
        reply.map(6);
        reply.bulk(b"name");
        reply.bulk(name);
        reply.bulk(b"consumers");
        reply.count(group.n_consumers());
        reply.bulk(b"pending");
        reply.count(group.pending().len());
        reply.bulk(b"last-delivered-id");
        reply_id(reply, group.last_id());
        reply.bulk(b"entries-read");
        reply_known(reply, group.entries_read);
        reply.bulk(b"lag");
        reply_known(reply, group.lag(&stream.log));
    }
    Ok(())
}

/// XINFO STREAM key [FULL [COUNT count]]
pub(super) fn xinfo_stream(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let stream = stream_of(db, ctx, args)?;
    let count = parse_full(args)?;
    ctx.reply.map(if count.is_some() { 9 } else { 10 });
    reply_log(ctx, &stream.log);
    match count {
        None => reply_ends(ctx, stream),
        Some(count) => {
            ctx.reply.bulk(b"entries");
            reply_entries(&mut ctx.reply, stream.log.iter(), count);
            ctx.reply.bulk(b"groups");
            ctx.reply.array(stream.groups.len());
            for (name, group) in stream.groups.iter() {
                reply_group(ctx, &stream.log, name, group, count);
            }
        }
    }
    Ok(())
}

/// `[FULL [COUNT count]]`: how many of everything to show; 0: all.
fn parse_full(args: Args) -> Result<Option<usize>, CommandError> {
    const DEFAULT_COUNT: usize = 10;
    let is_known = match args.len() {
        3 => return Ok(None),
        4 => args.is(3, "FULL"),
        6 => args.is(3, "FULL") && args.is(4, "COUNT"),
        _ => false,
    };
    if !is_known {
        return Err(CommandError::subcommand_syntax(args, "XINFO"));
    }
    if args.len() == 4 {
        return Ok(Some(DEFAULT_COUNT));
    }
    Ok(Some(usize::try_from(args.int(5)?).unwrap_or(DEFAULT_COUNT)))
}

fn reply_log(ctx: &mut Ctx, log: &Log) {
    let reply = &mut ctx.reply;
    reply.bulk(b"length");
    reply.int(log.len() as i64);
    reply.bulk(b"radix-tree-keys");
    reply.count(log.n_nodes());
    reply.bulk(b"radix-tree-nodes");
    reply.count(log.n_radix_nodes());
    reply.bulk(b"last-generated-id");
    reply_id(reply, log.last_id());
    reply.bulk(b"max-deleted-entry-id");
    reply_id(reply, log.max_deleted_id());
    reply.bulk(b"entries-added");
    reply.int(log.entries_added() as i64);
    reply.bulk(b"recorded-first-entry-id");
    reply_id(reply, log.first_id());
}

/// What a short answer ends with: the first and the last entry.
fn reply_ends(ctx: &mut Ctx, stream: &Stream) {
    let (log, reply) = (&stream.log, &mut ctx.reply);
    reply.bulk(b"groups");
    reply.count(stream.groups.len());
    let first = log.iter().next();
    let last = log.range_backwards(StreamId::MIN, StreamId::MAX).next();
    for (name, entry) in [(&b"first-entry"[..], first), (b"last-entry", last)] {
        reply.bulk(name);
        match entry {
            Some(entry) => reply_entry(reply, entry),
            None => reply.null(),
        }
    }
}

fn reply_group(ctx: &mut Ctx, log: &Log, name: &[u8], group: &Group, count: usize) {
    let shown = if count == 0 { usize::MAX } else { count };
    let reply = &mut ctx.reply;
    reply.map(7);
    reply.bulk(b"name");
    reply.bulk(name);
    reply.bulk(b"last-delivered-id");
    reply_id(reply, group.last_id());
    reply.bulk(b"entries-read");
    reply_known(reply, group.entries_read);
    reply.bulk(b"lag");
    reply_known(reply, group.lag(log));
    reply.bulk(b"pel-count");
    reply.count(group.pending().len());
    reply.bulk(b"pending");
    reply.array(group.pending().len().min(shown));
    for (id, pending) in group.pending().iter().take(shown) {
        reply.array(4);
        reply_id(reply, *id);
        reply.bulk(group.consumer(pending.consumer).name());
        reply.int(pending.delivered_at_ms);
        reply.int(pending.n_deliveries as i64);
    }
    reply.bulk(b"consumers");
    reply.array(group.n_consumers());
    for consumer in group.consumers() {
        reply_consumer(ctx, group, consumer, shown);
    }
}

fn reply_consumer(ctx: &mut Ctx, group: &Group, consumer: &Consumer, shown: usize) {
    let reply = &mut ctx.reply;
    reply.map(5);
    reply.bulk(b"name");
    reply.bulk(consumer.name());
    reply.bulk(b"seen-time");
    reply.int(consumer.seen_at_ms);
    reply.bulk(b"active-time");
    reply.int(consumer.active_at_ms.unwrap_or(-1));
    reply.bulk(b"pel-count");
    reply.count(consumer.pending().len());
    reply.bulk(b"pending");
    reply.array(consumer.pending().len().min(shown));
    for id in consumer.pending().iter().take(shown) {
        let pending = group.pending().get(id).copied();
        reply.array(3);
        reply_id(reply, *id);
        reply.int(pending.map_or(0, |pending| pending.delivered_at_ms));
        reply.int(pending.map_or(0, |pending| pending.n_deliveries as i64));
    }
}

/// XINFO HELP
pub(super) fn xinfo_help(ctx: &mut Ctx, _: Args) -> CommandResult {
    help(
        ctx,
        &[
            ("CONSUMERS <key> <group>", "The consumers of a group."),
            ("GROUPS <key>", "The groups of a stream."),
            ("STREAM <key> [FULL [COUNT <count>]]", "The stream, with FULL also what it holds."),
        ],
    )
}
