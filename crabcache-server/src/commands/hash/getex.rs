//! Reading or setting fields together with their expiry or their end: HGETDEL, HGETEX, HSETEX.

use super::expiration::{TIME_OPTIONS, TimeUnit, is_past, named_fields};
use super::expire::{Condition, SetResult, propagate_deleted, propagate_expire, set_expire};
use super::set::changed_fields;
use crate::command::{Args, CommandResult, Ctx};
use crate::commands::string::reply_string;
use crate::error::{self, CommandError};
use crate::notify::Event;
use crabcache_resp::number::parse_i64;
use crabcache_store::types::hash::Hash;
use crabcache_store::{Env, Expiry, Key, Lookup, StrRef, WriteDb};

/// HGETDEL key FIELDS numfields field [field ...]
pub(super) fn hgetdel(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(1));
    db.get_as::<Hash>(&key, Lookup::Write)?;
    let names = named_fields(args, 2, CommandError::FieldCountNotPositive)?;
    db.expire_fields(&key, names)?;
    ctx.reply.array(names.remaining());
    let env = ctx.env;
    let edited = db.edit(&key, |hash: &mut Hash| {
        let mut n_deleted = 0;
        for name in names {
            match value(hash, name, &env) {
                None => ctx.reply.null(),
                Some(value) => {
                    reply_string(&mut ctx.reply, value);
                    n_deleted += usize::from(hash.remove(name));
                }
            }
        }
        n_deleted
    })?;
    let Some(edited) = edited else {
        names.for_each(|_| ctx.reply.null());
        return Ok(());
    };
    if edited.result > 0 {
        changed_fields(ctx, key.bytes, Event::HDEL, edited.result);
        ctx.effects.propagate([&b"HDEL"[..], key.bytes].into_iter().chain(names));
    }
    if edited.is_emptied {
        ctx.event(key.bytes, Event::DEL);
    }
    Ok(())
}

/// The value of a field that has not expired.
fn value<'h>(hash: &'h Hash, name: &[u8], env: &Env) -> Option<StrRef<'h>> {
    let field = hash.get(name).filter(|field| !env.has_passed(field.expire_at_ms));
    field.map(|field| field.value)
}

/// What HGETEX does to the expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NewExpire {
    Keep,
    Persist,
    At(i64),
}

/// HGETEX key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds |
/// PERSIST] FIELDS numfields field [field ...]
pub(super) fn hgetex(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(1));
    db.get_as::<Hash>(&key, Lookup::Write)?;
    let option = TIME_OPTIONS.iter().find(|(name, _)| args.is(2, name));
    let (expire, fields_at) = match option {
        Some((_, unit)) => (NewExpire::At(unit.at_ms(args.get(3), ctx)?), 4),
        None if args.is(2, "PERSIST") => (NewExpire::Persist, 3),
        None => (NewExpire::Keep, 2),
    };
    let names = named_fields(args, fields_at, CommandError::FieldCountNotPositive)?;
    db.expire_fields(&key, names)?;
    ctx.reply.array(names.remaining());
    let env = ctx.env;
    let mut changed: Vec<&[u8]> = Vec::new();
    let edited = db.edit(&key, |hash: &mut Hash| {
        if expire != NewExpire::Keep {
            hash.hold_times();
        }
        for name in names {
            match value(hash, name, &env) {
                None => ctx.reply.null(),
                Some(value) => {
                    reply_string(&mut ctx.reply, value);
                    if renew(hash, name, expire, &env) {
                        changed.push(name);
                    }
                }
            }
        }
    })?;
    let Some(edited) = edited else {
        names.for_each(|_| ctx.reply.null());
        return Ok(());
    };
    if !changed.is_empty() {
        tell_renewed(ctx, &key, expire, &names.collect::<Vec<_>>(), &changed);
    }
    if edited.is_emptied {
        ctx.event(key.bytes, Event::DEL);
    }
    Ok(())
}

/// Changes the expiry of a field that is there. Returns whether anything changed.
fn renew(hash: &mut Hash, name: &[u8], expire: NewExpire, env: &Env) -> bool {
    match expire {
        NewExpire::Keep => false,
        NewExpire::Persist => {
            let has_expire = hash.get(name).is_some_and(|field| field.expire_at_ms.is_some());
            has_expire && hash.set_expire(name, None)
        }
        NewExpire::At(at_ms) => {
            let result = set_expire(hash, name, at_ms, is_past(env, at_ms), Condition::Any);
            matches!(result, SetResult::Set | SetResult::Deleted)
        }
    }
}

fn tell_renewed(
    ctx: &mut Ctx,
    key: &Key<'_>,
    expire: NewExpire,
    named: &[&[u8]],
    changed: &[&[u8]],
) {
    match expire {
        NewExpire::Keep => {}
        NewExpire::Persist => {
            changed_fields(ctx, key.bytes, Event::HPERSIST, changed.len());
            let mut count = itoa::Buffer::new();
            let count = count.format(named.len()).as_bytes();
            let beginning = [&b"HPERSIST"[..], key.bytes, b"FIELDS", count];
            ctx.effects.propagate(beginning.into_iter().chain(named.iter().copied()));
        }
        NewExpire::At(at_ms) if is_past(&ctx.env, at_ms) => {
            changed_fields(ctx, key.bytes, Event::HDEL, changed.len());
            propagate_deleted(ctx, key, changed.iter().copied());
        }
        NewExpire::At(at_ms) => {
            changed_fields(ctx, key.bytes, Event::HEXPIRE, changed.len());
            propagate_expire(ctx, key, at_ms, None, named);
        }
    }
}

/// When HSETEX sets anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldCondition {
    /// If none of the fields exists.
    Absent,
    /// If all of them do.
    Present,
}

/// The options of HSETEX.
#[derive(Default)]
struct SetOptions {
    condition: Option<FieldCondition>,
    keeps_expire: bool,
    /// The time, and which word it is.
    expire: Option<(i64, usize)>,
    is_unix_ms: bool,
    /// Where fields and values begin.
    fields_at: usize,
}

impl SetOptions {
    fn parse(args: Args, ctx: &Ctx) -> Result<SetOptions, CommandError> {
        let arity = || CommandError::Arity(ctx.row.full_name.clone());
        let mut options = SetOptions::default();
        let mut at = 2;
        while at < args.len() {
            let conditions = [("FXX", FieldCondition::Present), ("FNX", FieldCondition::Absent)];
            if args.is(at, "FIELDS") {
                if at + 3 >= args.len() {
                    return Err(arity());
                }
                let count = parse_i64(args.get(at + 1))
                    .filter(|count| (1..=i64::from(i32::MAX)).contains(count))
                    .ok_or(CommandError::InvalidFieldCount)?;
                options.fields_at = at + 2;
                let n_left = args.len() - options.fields_at;
                let fits = n_left.is_multiple_of(2) && usize::try_from(count) == Ok(n_left / 2);
                return if fits { Ok(options) } else { Err(arity()) };
            } else if let Some((_, unit)) = TIME_OPTIONS.iter().find(|(name, _)| args.is(at, name))
            {
                options.only_expiration()?;
                at += 1;
                if at == args.len() {
                    return Err(CommandError::MissingExpire);
                }
                options.expire = Some((unit.at_ms(args.get(at), ctx)?, at));
                options.is_unix_ms = *unit == TimeUnit::UnixMilliseconds;
            } else if args.is(at, "KEEPTTL") {
                options.only_expiration()?;
                options.keeps_expire = true;
            } else if let Some((_, it)) = conditions.iter().find(|(name, _)| args.is(at, name)) {
                if options.condition.replace(*it).is_some() {
                    return Err(CommandError::TwoFieldConditions);
                }
            } else {
                return Err(CommandError::UnknownArgument(error::shown(args.get(at))));
            }
            at += 1;
        }
        Err(arity())
    }

    fn only_expiration(&self) -> CommandResult {
        let is_first = self.expire.is_none() && !self.keeps_expire;
        if is_first { Ok(()) } else { Err(CommandError::TwoExpirations) }
    }
}

/// What HSETEX did to a hash.
#[derive(Default)]
struct SetOutcome<'n> {
    is_met: bool,
    /// Fields that were found expired and removed.
    expired: Vec<Box<[u8]>>,
    /// Fields removed because their new expiry lies in the past.
    deleted: Vec<&'n [u8]>,
}

/// HSETEX key [FNX | FXX] [EX seconds | PX milliseconds | EXAT unix-time-seconds |
/// PXAT unix-time-milliseconds | KEEPTTL] FIELDS numfields field value [field value ...]
pub(super) fn hsetex(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let options = SetOptions::parse(args, ctx)?;
    let key = ctx.key(args.get(1));
    let limits = ctx.config.limits();
    let env = ctx.env;
    let pairs = args.skip(options.fields_at);
    let is_new = db.get_as::<Hash>(&key, Lookup::Peek)?.is_none();
    let edited = db.edit_or_new(&key, |hash: &mut Hash| {
        let mut outcome = SetOutcome::default();
        let names = pairs.iter().step_by(2);
        outcome.is_met = is_met(hash, options.condition, names, &env, &mut outcome.expired);
        if !outcome.is_met {
            return outcome;
        }
        hash.make_room(pairs.iter(), &limits);
        if options.expire.is_some() {
            hash.hold_times();
        }
        let keeps_expire = options.keeps_expire || options.expire.is_some();
        let mut words = pairs.from(0);
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            hash.set(name, value, keeps_expire, &limits);
            if let Some((at_ms, _)) = options.expire {
                let is_past = is_past(&env, at_ms);
                let result = set_expire(hash, name, at_ms, is_past, Condition::Any);
                if result == SetResult::Deleted {
                    outcome.deleted.push(name);
                }
            }
        }
        outcome
    })?;
    let SetOutcome { is_met, expired, deleted } = edited.result;
    let is_gone = edited.is_emptied && deleted.is_empty();
    db.note_expired_fields(&key, expired, is_gone);
    ctx.reply.int(is_met.into());
    if !is_met {
        return Ok(());
    }
    let is_gone = db.get_as::<Hash>(&key, Lookup::Peek)?.is_none();
    if is_new && is_gone {
        ctx.effects.created_for_a_moment(ctx.client.db, key.bytes);
    }
    changed_fields(ctx, key.bytes, Event::HSET, pairs.len() / 2);
    tell_set(ctx, &key, args, &options, deleted);
    if is_gone {
        ctx.event(key.bytes, Event::DEL);
    }
    Ok(())
}

/// Whether HSETEX may set the fields. Those that are found expired on the way are removed.
fn is_met<'n>(
    hash: &mut Hash,
    condition: Option<FieldCondition>,
    names: impl Iterator<Item = &'n [u8]>,
    env: &Env,
    expired: &mut Vec<Box<[u8]>>,
) -> bool {
    let Some(condition) = condition else { return true };
    for name in names {
        let at_ms = hash.get(name).map(|field| field.expire_at_ms);
        let is_absent = at_ms.is_none_or(|at_ms| env.has_passed(at_ms));
        if is_absent && env.expiry == Expiry::Remove && hash.remove(name) {
            expired.push(Box::from(name));
        }
        if is_absent == (condition == FieldCondition::Present) {
            return false;
        }
    }
    true
}

/// Tells what became of the expiries, and replicates an absolute time instead of a relative one.
fn tell_set(ctx: &mut Ctx, key: &Key<'_>, args: Args, options: &SetOptions, deleted: Vec<&[u8]>) {
    let Some((at_ms, time_at)) = options.expire else { return };
    if !deleted.is_empty() {
        ctx.event(key.bytes, Event::HDEL);
        return propagate_deleted(ctx, key, deleted);
    }
    ctx.event(key.bytes, Event::HEXPIRE);
    if options.is_unix_ms {
        return;
    }
    let mut text = itoa::Buffer::new();
    let text = text.format(at_ms).as_bytes();
    let command = args.iter().enumerate().map(|(index, word)| match index {
        _ if index == time_at => text,
        _ if index + 1 == time_at => b"PXAT",
        _ => word,
    });
    ctx.effects.propagate(command);
}
