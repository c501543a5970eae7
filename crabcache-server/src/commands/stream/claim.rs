//! Pending entries that change hands: XCLAIM and XAUTOCLAIM.

use super::ids;
use super::read::{propagate_last_id, seen_consumer};
use super::reply::{edit, no_key_or_group, reply_entry, reply_id, text};
use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crabcache_resp::number::parse_i64;
use crabcache_store::types::stream::{Group, GroupMut, Log, Parts, Pending, Stream, StreamId};
use crabcache_store::{Lookup, WriteDb};

/// XCLAIM key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds]
/// [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid]
pub(super) fn xclaim(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    check_group(db, ctx, args)?;
    let min_idle_ms = parse_min_idle(args, "XCLAIM")?;
    let ids: Vec<StreamId> =
        args.iter().skip(5).map_while(|word| ids::parse(word, 0).ok()).collect();
    let options = ClaimOptions::parse(args, 5 + ids.len(), ctx.env.now_ms)?;
    ctx.effects.propagate_only();
    let key = ctx.key(args.get(1));
    let names = (args.get(1), args.get(2));
    edit(db, &key, |stream| {
        let Parts { log, groups } = &mut **stream;
        let Some(mut group) = groups.get_mut(args.get(2)) else { return Ok(()) };
        let mut moves_last_id = options.last_id > group.last_id();
        if moves_last_id {
            group.set_last_id(options.last_id);
        }
        let consumer = seen_consumer(ctx, &mut group, &key, args.get(3)).id;
        let array = ctx.reply.deferred();
        let mut n_claimed = 0;
        for (index, &id) in ids.iter().enumerate() {
            let old = group.pending().get(&id).copied();
            let word = args.get(5 + index);
            let Some(entry) = log.range(id, id).next() else {
                if let Some(old) = old {
                    forget_deleted(ctx, names, &mut group, &old, (id, word));
                    moves_last_id = false;
                }
                continue;
            };
            let is_due = |old: &Pending| is_idle(old, ctx.env.now_ms, min_idle_ms);
            if !old.as_ref().map_or(options.is_forced, is_due) {
                continue;
            }
            let n_deliveries = old.map_or(1, |old| old.n_deliveries);
            let n_deliveries = match options.n_deliveries {
                Some(given) => given,
                None if options.only_ids => n_deliveries,
                None => n_deliveries.saturating_add(1),
            };
            let delivered_at_ms = options.delivered_at_ms;
            let pending = Pending { consumer, delivered_at_ms, n_deliveries };
            group.assign(id, pending);
            group.consumer_mut(consumer).active_at_ms = Some(ctx.env.now_ms);
            if options.only_ids {
                reply_id(&mut ctx.reply, id);
            } else {
                reply_entry(&mut ctx.reply, entry);
            }
            n_claimed += 1;
            propagate_claim(ctx, names, &group, &pending, word);
            ctx.effects.n_dirty += 1;
            moves_last_id = false;
        }
        if moves_last_id {
            propagate_last_id(ctx, names, &group);
            ctx.effects.n_dirty += 1;
        }
        ctx.reply.end_array(array, n_claimed);
        Ok(())
    })?;
    Ok(())
}

/// XAUTOCLAIM key group consumer min-idle-time start [COUNT count] [JUSTID]
pub(super) fn xautoclaim(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(1));
    let min_idle_ms = parse_min_idle(args, "XAUTOCLAIM")?;
    let start = ids::parse_start(args.get(5))?;
    let (count, only_ids) = parse_autoclaim_options(args)?;
    check_group(db, ctx, args)?;
    ctx.effects.propagate_only();
    let names = (args.get(1), args.get(2));
    edit(db, &key, |stream| {
        let Parts { log, groups } = &mut **stream;
        let Some(mut group) = groups.get_mut(args.get(2)) else { return Ok(()) };
        let consumer = seen_consumer(ctx, &mut group, &key, args.get(3)).id;
        let found = Found::look(log, &group, start, count, min_idle_ms, ctx.env.now_ms);
        for &id in &found.deleted {
            if let Some(old) = group.pending().get(&id).copied() {
                forget_deleted(ctx, names, &mut group, &old, (id, id.text().as_bytes()));
            }
        }
        ctx.reply.array(3);
        reply_id(&mut ctx.reply, found.next.unwrap_or(StreamId::MIN));
        ctx.reply.array(found.claimed.len());
        for (id, old) in found.claimed {
            let n_deliveries = old.n_deliveries.saturating_add(u64::from(!only_ids));
            let delivered_at_ms = ctx.env.now_ms;
            let pending = Pending { consumer, delivered_at_ms, n_deliveries };
            group.assign(id, pending);
            group.consumer_mut(consumer).active_at_ms = Some(delivered_at_ms);
            match log.range(id, id).next().filter(|_| !only_ids) {
                Some(entry) => reply_entry(&mut ctx.reply, entry),
                None => reply_id(&mut ctx.reply, id),
            }
            propagate_claim(ctx, names, &group, &pending, id.text().as_bytes());
            ctx.effects.n_dirty += 1;
        }
        ctx.reply.array(found.deleted.len());
        found.deleted.iter().for_each(|id| reply_id(&mut ctx.reply, *id));
        Ok(())
    })?;
    Ok(())
}

/// What XAUTOCLAIM has found.
struct Found {
    claimed: Vec<(StreamId, Pending)>,
    /// Pending, but in the stream no more.
    deleted: Vec<StreamId>,
    /// Where the next look begins, if anything is left.
    next: Option<StreamId>,
}

impl Found {
    fn look(
        log: &Log,
        group: &Group,
        start: StreamId,
        count: usize,
        min_idle_ms: i64,
        now_ms: i64,
    ) -> Found {
        /// So many entries are looked at for each that is asked for.
        const ATTEMPTS_PER_ENTRY: usize = 10;
        let mut found = Found { claimed: Vec::new(), deleted: Vec::new(), next: None };
        let mut attempts = count.saturating_mul(ATTEMPTS_PER_ENTRY);
        for (&id, pending) in group.pending().range(start..) {
            if attempts == 0 || found.claimed.len() + found.deleted.len() == count {
                found.next = Some(id);
                break;
            }
            attempts -= 1;
            if !log.contains(id) {
                found.deleted.push(id);
            } else if is_idle(pending, now_ms, min_idle_ms) {
                found.claimed.push((id, *pending));
            }
        }
        found
    }
}

fn parse_autoclaim_options(args: Args) -> Result<(usize, bool), CommandError> {
    /// What the reference would need an array of.
    const COUNT_MAX: i64 = i64::MAX / 16;
    let (mut count, mut only_ids) = (100, false);
    let mut words = args.from(6);
    while words.remaining() > 0 {
        if words.remaining() > 1 && words.accept("COUNT") {
            let value = parse_i64(words.word()?).filter(|count| (1..=COUNT_MAX).contains(count));
            count = value.ok_or(CommandError::CountBelowOne)? as usize;
        } else if words.accept("JUSTID") {
            only_ids = true;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok((count, only_ids))
}

/// The options of XCLAIM.
#[derive(Debug)]
struct ClaimOptions {
    delivered_at_ms: i64,
    n_deliveries: Option<u64>,
    is_forced: bool,
    only_ids: bool,
    last_id: StreamId,
}

impl ClaimOptions {
    fn parse(args: Args, start: usize, now_ms: i64) -> Result<ClaimOptions, CommandError> {
        let mut options = ClaimOptions {
            delivered_at_ms: now_ms,
            n_deliveries: None,
            is_forced: false,
            only_ids: false,
            last_id: StreamId::MIN,
        };
        let mut words = args.from(start);
        while words.remaining() > 0 {
            let has_value = words.remaining() > 1;
            let int = |word: Option<&[u8]>, name| {
                word.and_then(parse_i64).ok_or(CommandError::InvalidClaimValue(name))
            };
            if words.accept("FORCE") {
                options.is_forced = true;
            } else if words.accept("JUSTID") {
                options.only_ids = true;
            } else if has_value && words.accept("IDLE") {
                options.delivered_at_ms = now_ms.saturating_sub(int(words.next(), "IDLE")?);
            } else if has_value && words.accept("TIME") {
                options.delivered_at_ms = int(words.next(), "TIME")?;
            } else if has_value && words.accept("RETRYCOUNT") {
                options.n_deliveries = u64::try_from(int(words.next(), "RETRYCOUNT")?).ok();
            } else if has_value && words.accept("LASTID") {
                options.last_id = ids::parse(words.word()?, 0)?;
            } else {
                return Err(CommandError::UnknownClaimOption(text(words.word()?)));
            }
        }
        // Clients may compute with clocks that are not ours.
        if !(0..=now_ms).contains(&options.delivered_at_ms) {
            options.delivered_at_ms = now_ms;
        }
        Ok(options)
    }
}

/// Whether the stream and the group of a request are there.
fn check_group(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let stream = db.get_as::<Stream>(&ctx.key(args.get(1)), Lookup::Use)?;
    match stream.and_then(|stream| stream.groups.get(args.get(2))) {
        Some(_) => Ok(()),
        None => Err(no_key_or_group(args.get(1), args.get(2))),
    }
}

fn parse_min_idle(args: Args, command: &'static str) -> Result<i64, CommandError> {
    let min_idle_ms = parse_i64(args.get(4)).ok_or(CommandError::InvalidMinIdle(command))?;
    Ok(min_idle_ms.max(0))
}

fn is_idle(pending: &Pending, now_ms: i64, min_idle_ms: i64) -> bool {
    min_idle_ms == 0 || now_ms.saturating_sub(pending.delivered_at_ms) >= min_idle_ms
}

/// An entry that is pending but in the stream no more is forgotten. `word` is its id as it is
/// replicated.
fn forget_deleted(
    ctx: &mut Ctx,
    names: (&[u8], &[u8]),
    group: &mut GroupMut<'_>,
    old: &Pending,
    (id, word): (StreamId, &[u8]),
) {
    propagate_claim(ctx, names, group, old, word);
    ctx.effects.n_dirty += 1;
    group.acknowledge(id);
}

/// Replicates that an entry is pending now: in a form that gives the same whatever the state is.
pub(super) fn propagate_claim(
    ctx: &mut Ctx,
    (key, name): (&[u8], &[u8]),
    group: &GroupMut<'_>,
    pending: &Pending,
    id: &[u8],
) {
    if !ctx.effects.wants_propagation() {
        return;
    }
    let (mut time, mut count) = (itoa::Buffer::new(), itoa::Buffer::new());
    let last_id = group.last_id().text();
    let command: [&[u8]; 14] = [
        b"XCLAIM",
        key,
        name,
        group.consumer(pending.consumer).name(),
        b"0",
        id,
        b"TIME",
        time.format(pending.delivered_at_ms).as_bytes(),
        b"RETRYCOUNT",
        count.format(pending.n_deliveries).as_bytes(),
        b"FORCE",
        b"JUSTID",
        b"LASTID",
        last_id.as_bytes(),
    ];
    ctx.effects.propagate(command);
}
