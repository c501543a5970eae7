//! What DEBUG tells of entries and tables, and POPULATE, which makes many.

use super::layout;
use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crate::memory;
use crate::persistence::rdb::object::write_object;
use crabcache_store::{
    Env, Expiry, Kind, Lookup, N_CHAIN_LENS, SetExpire, Str, TableStats, Trace, Walk, WriteDb,
};
use std::fmt::Write;

/// Calls `tell` with the entry of the key that a request names, even if its time has come.
pub(super) fn with_entry<T>(
    db: &mut WriteDb,
    ctx: &Ctx,
    args: Args,
    tell: impl FnOnce(&crabcache_store::Entry) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let env = Env { expiry: Expiry::Ignore, ..ctx.env };
    let trace = Trace::default();
    let db = db.locked().read(ctx.client.db, &env, &trace);
    let entry = db.get(&ctx.key(args.get(2)), Lookup::Peek).ok_or(CommandError::NoSuchKey)?;
    tell(&entry)
}

/// DEBUG OBJECT key
pub(super) fn object(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let text = with_entry(db, ctx, args, |entry| {
        let mut saved = Vec::new();
        write_object(&mut saved, entry, ctx.config.rdbcompression);
        Ok(format!(
            "Value at:{:p} refcount:1 encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{}{}",
            entry.key().as_ptr(),
            entry.encoding(),
            // The type is not part of it.
            saved.len() - 1,
            entry.clock(),
            ctx.env.access.idle_s(entry.clock()),
            layout::of_nodes(entry),
        ))
    })?;
    ctx.reply.status(&text);
    Ok(())
}

/// DEBUG SDSLEN key
///
/// Lengths are of the bytes that clients see. A string that stands in its entry takes no memory of
/// its own.
pub(super) fn sdslen(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let text = with_entry(db, ctx, args, |entry| {
        if entry.kind() != Kind::String || entry.encoding() == "int" {
            return Err(CommandError::NotSds);
        }
        let (len, own_bytes) = (entry.string().len(), entry.heap_bytes());
        let free_bytes = own_bytes.saturating_sub(len);
        Ok(format!(
            "key_sds_len:{}, key_sds_avail:0, key_zmalloc: {}, val_sds_len:{len}, \
             val_sds_avail:{free_bytes}, val_zmalloc: {own_bytes}",
            entry.key().len(),
            entry.mem_bytes() - own_bytes,
        ))
    })?;
    ctx.reply.status(&text);
    Ok(())
}

/// DEBUG HTSTATS db [FULL]
pub(super) fn htstats(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let number = usize::try_from(args.int(2)?).map_err(|_| CommandError::DatabaseOutOfRange)?;
    if number >= ctx.server.keyspace.n_databases() {
        return Err(CommandError::DatabaseOutOfRange);
    }
    let is_full = args.len() > 3 && args.is(3, "full");
    let (env, trace) = (ctx.env, Trace::default());
    let mut walk = Walk::held(db.locked(), &env, &trace);
    let stats = walk.tables(number);
    let lens = (is_full && stats.n_buckets > 0).then(|| walk.chain_lens(number));
    let n_expires = ctx.server.keyspace.size(number).n_expires;
    let text = describe_tables(&stats, n_expires, lens);
    ctx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn describe_tables(
    stats: &TableStats,
    n_expires: usize,
    lens: Option<[usize; N_CHAIN_LENS]>,
) -> String {
    let mut text = format!(
        "[Dictionary HT]\n number of tables: {}\n table size: {}\n number of elements: {}\n \
         bytes of chained buckets: {}\n bytes: {}\n",
        stats.n_tables, stats.n_buckets, stats.n_entries, stats.chained_bytes, stats.mem_bytes
    );
    let lens = lens.iter().flatten().enumerate().filter(|(_, count)| **count > 0);
    for (len, count) in lens {
        let share = *count as f64 * 100.0 / stats.n_buckets as f64;
        let or_more = if len == N_CHAIN_LENS - 1 { " or more" } else { "" };
        // Writing to a `String` does not fail.
        let _ = writeln!(text, "   buckets of {len}{or_more}: {count} ({share:.02}%)");
    }
    // Expiries stand in the entries.
    let _ = writeln!(text, "[Expires HT]\n table size: 0\n number of elements: {n_expires}");
    text
}

/// DEBUG POPULATE count [prefix] [size]
pub(super) fn populate(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let positive = |index| {
        let number = args.int(index).ok().and_then(|number| usize::try_from(number).ok());
        number.ok_or(CommandError::NotPositive)
    };
    let n_keys = positive(2)?;
    let prefix = if args.len() > 3 { args.get(3) } else { b"key" };
    let value_len = if args.len() > 4 { positive(4)? } else { 0 };
    /// The least that a key takes.
    const KEY_BYTES_MIN: usize = 32;
    if n_keys > memory::system_bytes() / KEY_BYTES_MIN {
        return Err(CommandError::PopulateTooMany);
    }
    if value_len > usize::try_from(ctx.config.proto_max_bulk_len).unwrap_or(0) {
        return Err(CommandError::StringTooLong);
    }
    let number = ctx.client.db;
    for index in 0..n_keys {
        let key_bytes = [prefix, format!(":{index}").as_bytes()].concat();
        let key = db.key(&key_bytes);
        if db.get(&key, Lookup::Write).is_some() {
            continue;
        }
        let mut value = format!("value:{index}").into_bytes();
        if value_len > 0 {
            value.resize(value_len, 0);
        }
        db.set_string(&key, Str::Bytes(&value), SetExpire::To(None));
        ctx.effects.touched(number, &key_bytes);
    }
    ctx.reply.ok();
    Ok(())
}
