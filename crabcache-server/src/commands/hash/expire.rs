//! When fields expire: HEXPIRE and its siblings, and those that ask.

use super::expiration::{TimeUnit, is_past, named_fields};
use super::set::changed_fields;
use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crate::notify::Event;
use crabcache_store::types::hash::Hash;
use crabcache_store::{Key, Lookup, ReadDb, WriteDb};
use std::sync::atomic::Ordering;

/// There is no such field.
const NO_FIELD: i64 = -2;
/// The field does not expire.
const NO_EXPIRE: i64 = -1;

/// What became of a field whose expiry was to be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SetResult {
    NoField = NO_FIELD as isize,
    ConditionNotMet = 0,
    Set = 1,
    /// The time lies in the past.
    Deleted = 2,
}

/// Which fields get a new expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Any,
    /// That do not expire.
    Nx,
    /// That expire.
    Xx,
    /// That expire earlier.
    Gt,
    /// That expire later, or not.
    Lt,
}

const CONDITIONS: [(&str, Condition); 4] =
    [("NX", Condition::Nx), ("XX", Condition::Xx), ("GT", Condition::Gt), ("LT", Condition::Lt)];

impl Condition {
    fn is_met(self, old_ms: Option<i64>, at_ms: i64) -> bool {
        match (self, old_ms) {
            (Condition::Any, _) | (Condition::Nx | Condition::Lt, None) => true,
            (Condition::Nx, Some(_)) | (Condition::Xx | Condition::Gt, None) => false,
            (Condition::Xx, Some(_)) => true,
            (Condition::Gt, Some(old_ms)) => old_ms < at_ms,
            (Condition::Lt, Some(old_ms)) => old_ms > at_ms,
        }
    }
}

/// Sets the expiry of a field, or removes it if `is_past`.
// Compat: a field that has expired and was not removed yet is as good as any other.
pub(super) fn set_expire(
    hash: &mut Hash,
    name: &[u8],
    at_ms: i64,
    is_past: bool,
    condition: Condition,
) -> SetResult {
    let Some(field) = hash.get(name) else { return SetResult::NoField };
    if !condition.is_met(field.expire_at_ms, at_ms) {
        return SetResult::ConditionNotMet;
    }
    if is_past {
        hash.remove(name);
        return SetResult::Deleted;
    }
    hash.set_expire(name, Some(at_ms));
    SetResult::Set
}

/// HEXPIRE key seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]
pub(super) fn hexpire(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    expire(db, ctx, args, TimeUnit::Seconds)
}

/// HPEXPIRE key milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]
pub(super) fn hpexpire(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    expire(db, ctx, args, TimeUnit::Milliseconds)
}

/// HEXPIREAT key unix-time-seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]
pub(super) fn hexpireat(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    expire(db, ctx, args, TimeUnit::UnixSeconds)
}

/// HPEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]
pub(super) fn hpexpireat(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    expire(db, ctx, args, TimeUnit::UnixMilliseconds)
}

fn expire(db: &mut WriteDb, ctx: &mut Ctx, args: Args, unit: TimeUnit) -> CommandResult {
    let key = ctx.key(args.get(1));
    let exists = db.get_as::<Hash>(&key, Lookup::Peek)?.is_some();
    let at_ms = unit.at_ms(args.get(2), ctx)?;
    let condition = CONDITIONS.iter().find(|(name, _)| args.is(3, name)).map(|(_, it)| *it);
    let fields_at = if condition.is_some() { 4 } else { 3 };
    let names = named_fields(args, fields_at, CommandError::ExpireFieldCountNotPositive)?;
    ctx.reply.array(names.remaining());
    if !exists {
        names.for_each(|_| ctx.reply.int(NO_FIELD));
        return Ok(());
    }
    let is_past = is_past(&ctx.env, at_ms);
    let mut changed: Vec<&[u8]> = Vec::new();
    let edited = db.edit(&key, |hash: &mut Hash| {
        hash.hold_times();
        for name in names {
            let condition = condition.unwrap_or(Condition::Any);
            let result = set_expire(hash, name, at_ms, is_past, condition);
            if matches!(result, SetResult::Set | SetResult::Deleted) {
                changed.push(name);
            }
            ctx.reply.int(result as i64);
        }
    })?;
    if changed.is_empty() {
        return Ok(());
    }
    let event = if is_past { Event::HDEL } else { Event::HEXPIRE };
    changed_fields(ctx, key.bytes, event, changed.len());
    if edited.is_some_and(|edited| edited.is_emptied) {
        ctx.event(key.bytes, Event::DEL);
    }
    if is_past {
        propagate_deleted(ctx, &key, changed);
    } else {
        let condition = condition.map(|_| args.get(3));
        propagate_expire(ctx, &key, at_ms, condition, &changed);
    }
    Ok(())
}

/// Replicates that fields were removed because they got an expiry of the past.
pub(super) fn propagate_deleted<'n>(
    ctx: &mut Ctx,
    key: &Key<'_>,
    names: impl IntoIterator<Item = &'n [u8]>,
) {
    for name in names {
        ctx.server.stats.expired_subkeys.fetch_add(1, Ordering::Relaxed);
        ctx.effects.propagate([b"HDEL", key.bytes, name]);
    }
}

/// Replicates that fields got an expiry.
pub(super) fn propagate_expire(
    ctx: &mut Ctx,
    key: &Key<'_>,
    at_ms: i64,
    condition: Option<&[u8]>,
    names: &[&[u8]],
) {
    let (mut time, mut count) = (itoa::Buffer::new(), itoa::Buffer::new());
    let beginning = [&b"HPEXPIREAT"[..], key.bytes, time.format(at_ms).as_bytes()];
    let counted = [&b"FIELDS"[..], count.format(names.len()).as_bytes()];
    let command = beginning.into_iter().chain(condition).chain(counted);
    ctx.effects.propagate(command.chain(names.iter().copied()));
}

/// HTTL key FIELDS numfields field [field ...]
pub(super) fn httl(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    reply_times(db, ctx, args, |at_ms, now_ms| seconds(at_ms - now_ms))
}

/// HPTTL key FIELDS numfields field [field ...]
pub(super) fn hpttl(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    reply_times(db, ctx, args, |at_ms, now_ms| at_ms - now_ms)
}

/// HEXPIRETIME key FIELDS numfields field [field ...]
pub(super) fn hexpiretime(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    reply_times(db, ctx, args, |at_ms, _| seconds(at_ms))
}

/// HPEXPIRETIME key FIELDS numfields field [field ...]
pub(super) fn hpexpiretime(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    reply_times(db, ctx, args, |at_ms, _| at_ms)
}

/// Milliseconds in seconds, rounded up.
fn seconds(ms: i64) -> i64 {
    ms.saturating_add(999) / 1000
}

fn reply_times(db: &ReadDb, ctx: &mut Ctx, args: Args, time: fn(i64, i64) -> i64) -> CommandResult {
    let hash = db.get_as::<Hash>(&ctx.key(args.get(1)))?;
    let names = named_fields(args, 2, CommandError::FieldCountNotPositive)?;
    ctx.reply.array(names.remaining());
    for name in names {
        let answer = match hash.and_then(|hash| hash.get(name)).map(|field| field.expire_at_ms) {
            None => NO_FIELD,
            Some(at_ms) if ctx.env.has_passed(at_ms) => NO_FIELD,
            Some(None) => NO_EXPIRE,
            Some(Some(at_ms)) => time(at_ms, ctx.env.now_ms),
        };
        ctx.reply.int(answer);
    }
    Ok(())
}

/// HPERSIST key FIELDS numfields field [field ...]
pub(super) fn hpersist(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(1));
    let exists = db.get_as::<Hash>(&key, Lookup::Write)?.is_some();
    let names = named_fields(args, 2, CommandError::FieldCountNotPositive)?;
    ctx.reply.array(names.remaining());
    if !exists {
        names.for_each(|_| ctx.reply.int(NO_FIELD));
        return Ok(());
    }
    let env = ctx.env;
    let mut is_changed = false;
    db.edit(&key, |hash: &mut Hash| {
        for name in names {
            let answer = match hash.get(name).map(|field| field.expire_at_ms) {
                None => NO_FIELD,
                Some(at_ms) if env.has_passed(at_ms) => NO_FIELD,
                Some(None) => NO_EXPIRE,
                Some(Some(_)) => {
                    is_changed |= hash.set_expire(name, None);
                    1
                }
            };
            ctx.reply.int(answer);
        }
    })?;
    if is_changed {
        ctx.changed(key.bytes, Event::HPERSIST);
    }
    Ok(())
}
