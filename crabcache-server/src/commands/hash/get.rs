//! Reading fields and values.

use crate::command::{Args, CommandResult, Ctx};
use crate::commands::string::reply_string;
use crabcache_store::types::hash::{FieldRef, Hash};
use crabcache_store::{Key, ReadDb, StrRef};

/// HGET key field
pub(super) fn hget(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(1));
    match db.get_as::<Hash>(&key)?.and_then(|hash| find(db, &key, hash, args.get(2))) {
        Some(field) => reply_string(&mut ctx.reply, field.value),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// HMGET key field [field ...]
pub(super) fn hmget(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(1));
    let hash = db.get_as::<Hash>(&key)?;
    ctx.reply.array(args.len() - 2);
    for name in args.from(2) {
        match hash.and_then(|hash| find(db, &key, hash, name)) {
            Some(field) => reply_string(&mut ctx.reply, field.value),
            None => ctx.reply.null(),
        }
    }
    Ok(())
}

/// HEXISTS key field
pub(super) fn hexists(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(1));
    let field = db.get_as::<Hash>(&key)?.and_then(|hash| find(db, &key, hash, args.get(2)));
    ctx.reply.int(field.is_some().into());
    Ok(())
}

/// HSTRLEN key field
pub(super) fn hstrlen(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(1));
    let field = db.get_as::<Hash>(&key)?.and_then(|hash| find(db, &key, hash, args.get(2)));
    ctx.reply.count(field.map_or(0, |field| field.value.len()));
    Ok(())
}

/// HLEN key
// Compat: fields that have expired count until somebody removes them.
pub(super) fn hlen(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let hash = db.get_as::<Hash>(&ctx.key(args.get(1)))?;
    ctx.reply.count(hash.map_or(0, Hash::len));
    Ok(())
}

/// HGETALL key
pub(super) fn hgetall(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let Some(hash) = db.get_as::<Hash>(&ctx.key(args.get(1)))? else {
        ctx.reply.map(0);
        return Ok(());
    };
    let reply = &mut ctx.reply;
    if !hash.has_times() {
        reply.map(hash.len());
        hash.each(|field| {
            reply_string(reply, field.name);
            reply_string(reply, field.value);
        });
        return Ok(());
    }
    let map = reply.deferred();
    let n_fields = each_present(db, hash, |field| {
        reply_string(reply, field.name);
        reply_string(reply, field.value);
    });
    ctx.reply.end_map(map, n_fields);
    Ok(())
}

/// HKEYS key
pub(super) fn hkeys(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    reply_parts(db, ctx, args, |field| field.name)
}

/// HVALS key
pub(super) fn hvals(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    reply_parts(db, ctx, args, |field| field.value)
}

fn reply_parts(
    db: &ReadDb,
    ctx: &mut Ctx,
    args: Args,
    part: fn(FieldRef<'_>) -> StrRef<'_>,
) -> CommandResult {
    let Some(hash) = db.get_as::<Hash>(&ctx.key(args.get(1)))? else {
        ctx.reply.array(0);
        return Ok(());
    };
    let reply = &mut ctx.reply;
    if !hash.has_times() {
        reply.array(hash.len());
        hash.each(|field| reply_string(reply, part(field)));
        return Ok(());
    }
    let array = reply.deferred();
    let n_fields = each_present(db, hash, |field| reply_string(reply, part(field)));
    ctx.reply.end_array(array, n_fields);
    Ok(())
}

/// Visits the fields that have not expired. Returns how many these are.
fn each_present(db: &ReadDb, hash: &Hash, mut visit: impl FnMut(FieldRef<'_>)) -> usize {
    let mut n_fields = 0;
    hash.each(|field| {
        if !db.env().has_passed(field.expire_at_ms) {
            n_fields += 1;
            visit(field);
        }
    });
    n_fields
}

/// The field of this name. One that has expired is not there, and is going to be removed.
pub(in crate::commands) fn find<'h>(
    db: &ReadDb<'_>,
    key: &Key<'_>,
    hash: &'h Hash,
    name: &[u8],
) -> Option<FieldRef<'h>> {
    let field = hash.get(name)?;
    if db.env().has_passed(field.expire_at_ms) {
        db.note_expired_field(key, Some(name));
        return None;
    }
    Some(field)
}
