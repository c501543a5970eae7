//! Setting, counting up and removing fields.

use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crate::notify::Event;
use crabcache_store::algorithms::long_double::LongDouble;
use crabcache_store::types::hash::Hash;
use crabcache_store::{Key, Lookup, StrRef, WriteDb};

/// HSET key field value [field value ...]
pub(super) fn hset(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let n_new = set_all(db, ctx, args)?;
    ctx.reply.int(n_new);
    Ok(())
}

/// HMSET key field value [field value ...]
pub(super) fn hmset(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    set_all(db, ctx, args)?;
    ctx.reply.ok();
    Ok(())
}

/// Sets fields. Returns how many are new.
// Compat: a field that has expired and was not removed yet is not new.
fn set_all(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> Result<i64, CommandError> {
    if args.len() % 2 == 1 {
        return Err(CommandError::Arity(ctx.row.full_name.clone()));
    }
    let key = ctx.key(args.get(1));
    let limits = ctx.config.limits();
    let edited = db.edit_or_new(&key, |hash: &mut Hash| {
        hash.make_room(args.skip(2).iter(), &limits);
        let mut n_new = 0;
        let mut words = args.from(2);
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            n_new += i64::from(hash.set(name, value, false, &limits));
        }
        n_new
    })?;
    changed_fields(ctx, key.bytes, Event::HSET, (args.len() - 2) / 2);
    Ok(edited.result)
}

/// HSETNX key field value
pub(super) fn hsetnx(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let (key, name) = (ctx.key(args.get(1)), args.get(2));
    db.expire_fields(&key, [name])?;
    let limits = ctx.config.limits();
    let edited = db.edit_or_new(&key, |hash: &mut Hash| {
        if hash.get(name).is_some() {
            return false;
        }
        hash.make_room(args.skip(2).iter(), &limits);
        hash.set(name, args.get(3), false, &limits)
    })?;
    if edited.result {
        ctx.changed(key.bytes, Event::HSET);
    }
    ctx.reply.int(edited.result.into());
    Ok(())
}

/// HDEL key field [field ...]
pub(super) fn hdel(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(1));
    let remove = |hash: &mut Hash| args.from(2).filter(|name| hash.remove(name)).count();
    let Some(edited) = db.edit(&key, remove)? else {
        ctx.reply.int(0);
        return Ok(());
    };
    if edited.result > 0 {
        changed_fields(ctx, key.bytes, Event::HDEL, edited.result);
    }
    if edited.is_emptied {
        ctx.event(key.bytes, Event::DEL);
    }
    ctx.reply.count(edited.result);
    Ok(())
}

/// HINCRBY key field increment
pub(super) fn hincrby(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let by = args.int(3)?;
    let (key, name) = (ctx.key(args.get(1)), args.get(2));
    let old = match present(db, &key, name)?.map(StrRef::to_int) {
        None => 0,
        Some(old) => old.ok_or(CommandError::HashValueNotInteger)?,
    };
    let sum = old.checked_add(by).ok_or(CommandError::IncrementOverflow)?;
    put(db, ctx, &key, name, itoa::Buffer::new().format(sum).as_bytes())?;
    ctx.changed(key.bytes, Event::HINCRBY);
    ctx.reply.int(sum);
    Ok(())
}

/// HINCRBYFLOAT key field increment
// Compat: replicated as HSETEX, so that no difference in arithmetic reaches a replica.
pub(super) fn hincrbyfloat(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let by = LongDouble::parse(args.get(3)).ok_or(CommandError::NotFloat)?;
    if !by.is_finite() {
        return Err(CommandError::NotFinite);
    }
    let (key, name) = (ctx.key(args.get(1)), args.get(2));
    let old = match present(db, &key, name)? {
        None => LongDouble::from(0),
        Some(StrRef::Int(old)) => LongDouble::from(old),
        Some(StrRef::Bytes(text)) => {
            LongDouble::parse(text).ok_or(CommandError::HashValueNotFloat)?
        }
    };
    let sum = old.checked_add(by).ok_or(CommandError::IncrementNotFinite)?.to_text();
    put(db, ctx, &key, name, &sum)?;
    ctx.changed(key.bytes, Event::HINCRBYFLOAT);
    let command: [&[u8]; 7] = [b"HSETEX", key.bytes, b"KEEPTTL", b"FIELDS", b"1", name, &sum];
    ctx.effects.propagate(command);
    ctx.reply.bulk(&sum);
    Ok(())
}

/// The value of a field, which is removed if it has expired.
fn present<'d>(
    db: &'d mut WriteDb,
    key: &Key<'_>,
    name: &[u8],
) -> Result<Option<StrRef<'d>>, CommandError> {
    db.expire_fields(key, [name])?;
    let env = db.env();
    let hash = db.get_as::<Hash>(key, Lookup::Write)?;
    let field = hash.and_then(|hash| hash.get(name));
    Ok(field.filter(|field| !env.has_passed(field.expire_at_ms)).map(|field| field.value))
}

/// Sets the value of a field, whose expiry stays.
fn put(db: &mut WriteDb, ctx: &Ctx, key: &Key<'_>, name: &[u8], value: &[u8]) -> CommandResult {
    let limits = ctx.config.limits();
    db.edit_or_new(key, |hash: &mut Hash| hash.set(name, value, true, &limits))?;
    Ok(())
}

/// Says that so many fields, at least one, were changed.
pub(super) fn changed_fields(ctx: &mut Ctx, key: &[u8], event: Event, n_fields: usize) {
    ctx.changed(key, event);
    ctx.effects.n_dirty += n_fields as u64 - 1;
}
