//! XREAD and XREADGROUP: entries that a client, or a group of them, has not seen.

use super::claim::propagate_claim;
use super::ids;
use super::reply::{edit, reply_entries, reply_entry, reply_id, text};
use crate::blocking::KeyWait;
use crate::command::args::OwnedArgs;
use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crate::notify::Event;
use crabcache_resp::number::parse_i64;
use crabcache_store::types::stream::{
    ConsumerId, GroupMut, IdText, Log, Parts, Pending, Stream, StreamId,
};
use crabcache_store::{Key, Kind, Lookup, ReadDb, Wanted, WriteDb};

/// XREAD [COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]
pub(super) fn xread(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let request = Request::parse(ctx, args, false)?;
    let mut positions = Vec::with_capacity(request.n_streams);
    for index in 0..request.n_streams {
        let stream = db.get_as::<Stream>(&ctx.key(request.key(index)))?;
        positions.push(parse_position(request.id(index), stream.map(|stream| &stream.log))?);
    }
    let streams = ctx.reply.deferred();
    let mut n_served = 0;
    for (index, &after) in positions.iter().enumerate() {
        let name = request.key(index);
        let Some(stream) = db.get_as::<Stream>(&ctx.key(name))? else { continue };
        let has_news = stream.log.last_present_id().is_some_and(|last| last > after);
        if has_news && let Some(start) = after.next() {
            n_served += 1;
            ctx.reply.pair();
            ctx.reply.bulk(name);
            let entries = stream.log.range(start, StreamId::MAX);
            reply_entries(&mut ctx.reply, entries, request.count);
        }
    }
    if n_served > 0 {
        ctx.reply.end_pairs(streams, n_served);
        return Ok(());
    }
    request.end_without_news(ctx, Some(&positions))
}

/// XREADGROUP GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK]
/// STREAMS key [key ...] id [id ...]
pub(super) fn xreadgroup(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let request = Request::parse(ctx, args, true)?;
    let (group, _) = request.group.ok_or(CommandError::MissingGroup)?;
    let mut positions = Vec::with_capacity(request.n_streams);
    for index in 0..request.n_streams {
        let stream = db.get_as::<Stream>(&ctx.key(request.key(index)), Lookup::Use)?;
        if stream.and_then(|stream| stream.groups.get(group)).is_none() {
            let option = " in XREADGROUP with GROUP option";
            let key = text(request.key(index));
            return Err(CommandError::NoKeyOrGroup(key, text(group), option));
        }
        positions.push(parse_group_position(request.id(index))?);
    }
    // What a read changes is replicated as commands that need not read.
    ctx.effects.propagate_only();
    let streams = ctx.reply.deferred();
    let mut n_served = 0;
    for (index, &position) in positions.iter().enumerate() {
        let key = ctx.key(request.key(index));
        let stream = db.get_as::<Stream>(&key, Lookup::Use)?;
        // A wait that goes on changes nothing, or it would wake those who wait beside it, and they
        // it, without end.
        if ctx.is_served
            && position == StreamId::MAX
            && !stream.is_some_and(|stream| has_news(stream, group))
        {
            continue;
        }
        let is_served =
            edit(db, &key, |stream| Ok(serve_group(ctx, &request, &key, stream, position)))?;
        n_served += usize::from(is_served == Some(true));
    }
    if n_served > 0 {
        ctx.reply.end_pairs(streams, n_served);
        return Ok(());
    }
    request.end_without_news(ctx, None)
}

/// Whether there are entries that a group has not read yet.
fn has_news(stream: &Stream, group: &[u8]) -> bool {
    let last_read = stream.groups.get(group).map(|group| group.last_id());
    last_read.is_some_and(|read| stream.log.last_present_id().is_some_and(|last| last > read))
}

/// A request of either command.
struct Request<'a> {
    args: Args<'a>,
    /// Entries of each stream; 0: all.
    count: usize,
    /// With BLOCK: when the wait ends at the latest.
    deadline_ms: Option<Option<i64>>,
    /// GROUP: the group and the consumer.
    group: Option<(&'a [u8], &'a [u8])>,
    /// NOACK
    is_acknowledged: bool,
    keys_at: usize,
    n_streams: usize,
}

impl<'a> Request<'a> {
    fn parse(ctx: &Ctx, args: Args<'a>, is_group: bool) -> Result<Request<'a>, CommandError> {
        let mut request = Request {
            args,
            count: 0,
            deadline_ms: None,
            group: None,
            is_acknowledged: false,
            keys_at: 0,
            n_streams: 0,
        };
        let mut at = 1;
        while at < args.len() && request.keys_at == 0 {
            let n_more = args.len() - at - 1;
            if n_more > 0 && args.is(at, "BLOCK") {
                request.deadline_ms = Some(args.deadline_ms(at + 1, ctx.env.now_ms)?);
                at += 2;
            } else if n_more > 0 && args.is(at, "COUNT") {
                let count = parse_i64(args.get(at + 1)).ok_or(CommandError::NotInteger)?;
                request.count = usize::try_from(count).unwrap_or(0);
                at += 2;
            } else if n_more > 0 && args.is(at, "STREAMS") {
                request.set_streams(at + 1, is_group)?;
            } else if n_more > 1 && args.is(at, "GROUP") {
                if !is_group {
                    return Err(CommandError::OnlyXreadgroup("GROUP"));
                }
                request.group = Some((args.get(at + 1), args.get(at + 2)));
                at += 3;
            } else if args.is(at, "NOACK") {
                if !is_group {
                    return Err(CommandError::OnlyXreadgroup("NOACK"));
                }
                request.is_acknowledged = true;
                at += 1;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if request.keys_at == 0 {
            return Err(CommandError::Syntax);
        }
        Ok(request)
    }

    fn set_streams(&mut self, keys_at: usize, is_group: bool) -> CommandResult {
        let n_words = self.args.len() - keys_at;
        if n_words % 2 == 1 {
            let (name, id) =
                if is_group { ("xreadgroup", "ID or '>'") } else { ("xread", "ID, '+', or '$'") };
            return Err(CommandError::UnbalancedStreams(name, id));
        }
        (self.keys_at, self.n_streams) = (keys_at, n_words / 2);
        Ok(())
    }

    fn key(&self, index: usize) -> &'a [u8] {
        self.args.get(self.keys_at + index)
    }

    fn id(&self, index: usize) -> &'a [u8] {
        self.args.get(self.keys_at + self.n_streams + index)
    }

    /// There is nothing to be told yet. XREAD waits for what comes behind the `positions`.
    fn end_without_news(&self, ctx: &mut Ctx, positions: Option<&[StreamId]>) -> CommandResult {
        match self.deadline_ms {
            Some(deadline_ms) if ctx.may_block() => {
                let keys = (0..self.n_streams).map(|index| self.key(index).into()).collect();
                // A group may go with its stream; that is an answer for those who read as its
                // consumers.
                let wanted = Wanted { kind: Kind::Stream, even_if_gone: self.group.is_some() };
                let request = positions.and_then(|positions| self.with_positions(positions));
                ctx.block_for_keys(KeyWait { wanted, keys, request }, deadline_ms);
            }
            _ => ctx.reply.null_array(),
        }
        Ok(())
    }

    /// The request with each `$` replaced by the id that it means at this moment; `None` if there is
    /// no `$`.
    fn with_positions(&self, positions: &[StreamId]) -> Option<OwnedArgs> {
        let ids_at = self.keys_at + self.n_streams;
        let is_last = |index: usize| index >= ids_at && self.args.get(index) == b"$";
        if !(0..self.args.len()).any(is_last) {
            return None;
        }
        let texts: Vec<IdText> = positions.iter().map(|id| id.text()).collect();
        let word =
            |(index, word)| if is_last(index) { texts[index - ids_at].as_bytes() } else { word };
        Some(OwnedArgs::new(self.args.iter().enumerate().map(word)))
    }
}

/// Behind which id XREAD is to read.
fn parse_position(word: &[u8], log: Option<&Log>) -> Result<StreamId, CommandError> {
    match word {
        b"$" => Ok(log.map_or(StreamId::MIN, Log::last_id)),
        // From the last entry on, which need not have the last id.
        b"+" => {
            let last = log.and_then(Log::last_present_id);
            Ok(last.and_then(StreamId::prev).unwrap_or(StreamId::MIN))
        }
        b">" => Err(CommandError::OnlyOfGroups),
        _ => ids::parse(word, 0),
    }
}

/// Behind which id XREADGROUP is to read what the consumer has got already; the largest id stands
/// for what nobody has got yet.
fn parse_group_position(word: &[u8]) -> Result<StreamId, CommandError> {
    match word {
        b"$" => Err(CommandError::MeaninglessId('$')),
        b"+" => Err(CommandError::MeaninglessId('+')),
        b">" => Ok(StreamId::MAX),
        _ => ids::parse(word, 0),
    }
}

/// Answers for one stream, if there is anything to be told.
fn serve_group(
    ctx: &mut Ctx,
    request: &Request<'_>,
    key: &Key<'_>,
    stream: &mut Stream,
    after: StreamId,
) -> bool {
    let Parts { log, groups } = &mut **stream;
    let Some((group_name, consumer_name)) = request.group else { return false };
    let Some(mut group) = groups.get_mut(group_name) else { return false };
    let consumer = seen_consumer(ctx, &mut group, key, consumer_name);
    if let Some(consumer) = consumer.created()
        && request.is_acknowledged
    {
        let name = group.consumer(consumer).name();
        let command: [&[u8]; 5] = [b"XGROUP", b"CREATECONSUMER", key.bytes, group_name, name];
        ctx.effects.propagate(command);
    }
    let consumer = consumer.id;
    if after != StreamId::MAX {
        begin_stream(ctx, key);
        reply_history(ctx, request, log, &mut group, consumer, after);
        return true;
    }
    let last_id = group.last_id();
    if log.last_present_id().is_none_or(|last| last <= last_id) {
        return false;
    }
    begin_stream(ctx, key);
    deliver(ctx, request, key, log, group, consumer);
    true
}

fn begin_stream(ctx: &mut Ctx, key: &Key<'_>) {
    ctx.reply.pair();
    ctx.reply.bulk(key.bytes);
}

/// A consumer that asks for entries.
pub(super) struct Seen {
    pub(super) id: ConsumerId,
    is_new: bool,
}

impl Seen {
    fn created(&self) -> Option<ConsumerId> {
        self.is_new.then_some(self.id)
    }
}

/// The consumer of this name, who is made if need be, and is seen now.
pub(super) fn seen_consumer(
    ctx: &mut Ctx,
    group: &mut GroupMut<'_>,
    key: &Key<'_>,
    name: &[u8],
) -> Seen {
    let now_ms = ctx.env.now_ms;
    if let Some(id) = group.create_consumer(name, now_ms) {
        ctx.changed_aside(key.bytes, Event::XGROUP_CREATECONSUMER);
        return Seen { id, is_new: true };
    }
    let id = group.find_consumer(name).expect("its name was taken");
    group.consumer_mut(id).seen_at_ms = now_ms;
    Seen { id, is_new: false }
}

/// Answers with entries that nobody of the group has got yet.
fn deliver(
    ctx: &mut Ctx,
    request: &Request<'_>,
    key: &Key<'_>,
    log: &Log,
    mut group: GroupMut<'_>,
    consumer: ConsumerId,
) {
    let Some((group_name, _)) = request.group else { return };
    let now_ms = ctx.env.now_ms;
    let count = if request.count == 0 { usize::MAX } else { request.count };
    let start = group.last_id().next().unwrap_or(StreamId::MAX);
    let array = ctx.reply.deferred();
    let (mut n_entries, mut is_read) = (0, false);
    for entry in log.range(start, StreamId::MAX).take(count) {
        is_read |= group.read(log, entry.id);
        reply_entry(&mut ctx.reply, entry);
        n_entries += 1;
        if !request.is_acknowledged {
            let pending = Pending { consumer, delivered_at_ms: now_ms, n_deliveries: 1 };
            group.assign(entry.id, pending);
            group.consumer_mut(consumer).active_at_ms = Some(now_ms);
            let id = entry.id.text();
            propagate_claim(ctx, (key.bytes, group_name), &group, &pending, id.as_bytes());
        }
    }
    ctx.reply.end_array(array, n_entries);
    if is_read {
        propagate_last_id(ctx, (key.bytes, group_name), &group);
    }
    ctx.effects.n_dirty += u64::from(is_read || (n_entries > 0 && !request.is_acknowledged));
}

/// Replicates up to where a group has read.
pub(super) fn propagate_last_id(ctx: &mut Ctx, (key, name): (&[u8], &[u8]), group: &GroupMut<'_>) {
    if !ctx.effects.wants_propagation() {
        return;
    }
    let id = group.last_id().text();
    let mut entries_read = itoa::Buffer::new();
    let entries_read = entries_read.format(group.entries_read.unwrap_or(-1)).as_bytes();
    let words: [&[u8]; 7] =
        [b"XGROUP", b"SETID", key, name, id.as_bytes(), b"ENTRIESREAD", entries_read];
    ctx.effects.propagate(words);
}

/// Answers with what the consumer has got before and not acknowledged.
fn reply_history(
    ctx: &mut Ctx,
    request: &Request<'_>,
    log: &Log,
    group: &mut GroupMut<'_>,
    consumer: ConsumerId,
    after: StreamId,
) {
    let count = if request.count == 0 { usize::MAX } else { request.count };
    let ids: Vec<StreamId> = match after.next() {
        Some(start) => {
            group.consumer(consumer).pending().range(start..).take(count).copied().collect()
        }
        None => Vec::new(),
    };
    ctx.reply.array(ids.len());
    for id in ids {
        match log.range(id, id).next() {
            Some(entry) => {
                reply_entry(&mut ctx.reply, entry);
                if let Some(pending) = group.pending_mut(id) {
                    pending.delivered_at_ms = ctx.env.now_ms;
                    pending.n_deliveries = pending.n_deliveries.saturating_add(1);
                }
            }
            // It was deleted from the stream.
            None => {
                ctx.reply.array(2);
                reply_id(&mut ctx.reply, id);
                ctx.reply.null_array();
            }
        }
    }
}
