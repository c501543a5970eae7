//! The hyperloglog group: strings that count different elements.
//!
//! What the strings look like and how they count is in the store (`types/hyperloglog`).

use crate::command::dispatch::is_read_only;
use crate::command::{Args, Command, CommandResult, Ctx, Flags, KeySpec, server, write};
use crate::error::{self, CommandError};
use crate::notify::Event;
use crabcache_store::types::hyperloglog::{
    self, DENSE_BYTES, Form, HEADER_BYTES, N_REGISTERS, Registers, dense, estimate, self_test,
    sparse,
};
use crabcache_store::view::StringRef;
use crabcache_store::{Key, Lookup, SetExpire, Str, StrRef, WriteDb};

pub(super) const COMMANDS: &[Command] = &[
    write("pfadd", pfadd)
        .arity(-2)
        .fast()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().insert()])
        .doc(
            "2.8.9",
            "O(N), N being the elements",
            "key [element...]",
            "Adds elements to a HyperLogLog, or makes one.",
        ),
    // Remembers what it has counted, and is for readers all the same.
    write("pfcount", pfcount)
        .without(Flags::WRITE)
        .flags(Flags::READONLY.union(Flags::MAY_REPLICATE))
        .arity(-2)
        .keys(&[KeySpec::at(1).range(-1, 1).rw().access().notes(
            "RW because it may change the internal representation of the key, and propagate to replicas",
        )])
        .doc(
            "2.8.9",
            "O(N), N being the keys; O(1) for one that was counted since it changed",
            "key...",
            "Estimates how many different elements were added to any of some HyperLogLogs.",
        ),
    write("pfdebug", pfdebug)
        .arity(3)
        .flags(Flags::DENYOOM.union(Flags::ADMIN).union(Flags::SYSCMD))
        .keys(&[KeySpec::at(2).rw().access()])
        .doc("2.8.9", "N/A", "subcommand key", "Shows and changes how a HyperLogLog is held."),
    write("pfmerge", pfmerge)
        .arity(-2)
        .flags(Flags::DENYOOM)
        .keys(&[
            KeySpec::at(1).rw().access().insert(),
            KeySpec::at(2).range(-1, 1).ro().access(),
        ])
        .doc(
            "2.8.9",
            "O(N), N being the keys",
            "destkey:key [sourcekey:key...]",
            "Adds to a HyperLogLog what was added to others.",
        ),
    server("pfselftest", pfselftest)
        .arity(1)
        .flags(Flags::ADMIN.union(Flags::SYSCMD))
        .doc("2.8.9", "N/A", "", "Tests how HyperLogLogs count."),
];

/// PFADD key [element ...]
fn pfadd(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(1));
    let places = args.iter().skip(2).map(hyperloglog::place_of);
    let (old, is_dense) = match db.get_string(&key, Lookup::Write)? {
        None => (None, false),
        Some(value) => match parts_of(&value)? {
            (Form::Dense, _) => (None, true),
            (Form::Sparse, string) => (Some(string.to_vec()), false),
        },
    };
    let n_changes = if is_dense {
        db.edit_string(&key, DENSE_BYTES, |string| raise_dense(string, places))
    } else {
        // Compat: the reference adds up to the element at which it sees that the registers are
        // corrupted, and tells nobody. Here the string then stays as it was.
        let is_new = old.is_none();
        let mut string = old.unwrap_or_else(hyperloglog::empty);
        let n_raised = raise_all(&mut string, places, sparse_bytes_max(ctx))?;
        if is_new || n_raised > 0 {
            hyperloglog::invalidate(&mut string);
            db.set_string(&key, Str::Raw(string), SetExpire::Keep);
        } else {
            make_raw(db, &key);
        }
        u64::from(is_new) + n_raised
    };
    if n_changes > 0 {
        ctx.changed(key.bytes, Event::PFADD);
        ctx.effects.n_dirty += n_changes - 1;
    }
    ctx.reply.int(i64::from(n_changes > 0));
    Ok(())
}

/// Raises registers of a dense string. Returns how many were lower.
fn raise_dense(string: &mut [u8], places: impl Iterator<Item = (usize, u8)>) -> u64 {
    let registers = &mut string[HEADER_BYTES..];
    let n_raised = places.filter(|(index, value)| dense::raise(registers, *index, *value)).count();
    if n_raised > 0 {
        hyperloglog::invalidate(string);
    }
    n_raised as u64
}

/// Raises registers of a string of any form. Returns how many were lower.
fn raise_all(
    string: &mut Vec<u8>,
    places: impl Iterator<Item = (usize, u8)>,
    bytes_max: usize,
) -> Result<u64, CommandError> {
    let mut n_raised = 0;
    for (index, value) in places {
        n_raised += u64::from(hyperloglog::raise(string, index, value, bytes_max)?);
    }
    Ok(n_raised)
}

/// PFCOUNT key [key ...]
fn pfcount(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let cardinality = if args.len() == 2 {
        count_one(db, ctx, &ctx.key(args.get(1)))?
    } else {
        estimate::cardinality(&union(db, ctx, args)?.registers)
    };
    // Compat: larger numbers exist only in strings that clients have made up.
    ctx.reply.int(cardinality.cast_signed());
    Ok(())
}

fn count_one(db: &mut WriteDb, ctx: &mut Ctx, key: &Key<'_>) -> Result<u64, CommandError> {
    let Some(value) = db.get_string(key, Lookup::Use)? else { return Ok(0) };
    let (form, string) = parts_of(&value)?;
    if let Some(cardinality) = hyperloglog::cached(string) {
        make_raw(db, key);
        return Ok(cardinality);
    }
    let cardinality = hyperloglog::count(form, string)?;
    // Compat: the reference remembers it on a replica, too, which then differs from its primary.
    if is_read_only(ctx) {
        return Ok(cardinality);
    }
    db.edit_string(key, HEADER_BYTES, |string| hyperloglog::set_cached(string, cardinality));
    // Watchers and replicas learn of it, but there is no event.
    ctx.effects.touched(ctx.client.db, key.bytes);
    ctx.effects.n_dirty += 1;
    Ok(cardinality)
}

/// PFMERGE destkey [sourcekey ...]
fn pfmerge(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let union = union(db, ctx, args)?;
    let key = ctx.key(args.get(1));
    let mut string = match db.get_string(&key, Lookup::Write)? {
        None => hyperloglog::empty(),
        Some(value) => parts_of(&value)?.1.to_vec(),
    };
    if union.has_dense {
        make_dense(&mut string)?;
        dense::pack(&mut string[HEADER_BYTES..], &union.registers);
    } else {
        let places = union.registers.iter().copied().enumerate().filter(|(_, value)| *value > 0);
        raise_all(&mut string, places, sparse_bytes_max(ctx))?;
    }
    hyperloglog::invalidate(&mut string);
    db.set_string(&key, Str::Raw(string), SetExpire::Keep);
    ctx.changed(key.bytes, Event::PFADD);
    ctx.reply.ok();
    Ok(())
}

/// What several strings have together.
struct Union {
    registers: Registers,
    has_dense: bool,
}

/// The union of all keys of a request; those that do not exist are empty.
fn union(db: &mut WriteDb, ctx: &Ctx, args: Args) -> Result<Union, CommandError> {
    let mut union = Union { registers: [0; N_REGISTERS], has_dense: false };
    for word in args.iter().skip(1) {
        if let Some(value) = db.get_string(&ctx.key(word), Lookup::Use)? {
            let (form, string) = parts_of(&value)?;
            union.has_dense |= form == Form::Dense;
            hyperloglog::merge(&mut union.registers, form, string)?;
        }
    }
    Ok(union)
}

/// PFDEBUG GETREG | DECODE | ENCODING | TODENSE key, PFDEBUG SIMD ON | OFF
fn pfdebug(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    if args.is(1, "SIMD") {
        return switch_simd(ctx, args);
    }
    let key = ctx.key(args.get(2));
    let Some(value) = db.get_string(&key, Lookup::Write)? else {
        return Err(CommandError::SpecifiedKeyMissing);
    };
    let (form, string) = parts_of(&value)?;
    if args.is(1, "DECODE") {
        if form == Form::Dense {
            return Err(CommandError::HyperloglogNotSparse);
        }
        ctx.reply.bulk(sparse::describe(string).as_bytes());
        make_raw(db, &key);
    } else if args.is(1, "ENCODING") {
        ctx.reply.status(form.name());
        make_raw(db, &key);
    } else if args.is(1, "GETREG") {
        let string = string.to_vec();
        let string = store_dense(db, ctx, &key, string)?;
        ctx.reply.array(N_REGISTERS);
        let registers = &string[HEADER_BYTES..];
        (0..N_REGISTERS).for_each(|index| ctx.reply.int(dense::get(registers, index).into()));
    } else if args.is(1, "TODENSE") {
        let string = string.to_vec();
        store_dense(db, ctx, &key, string)?;
        ctx.reply.int(i64::from(form == Form::Sparse));
    } else {
        let word = error::shown(args.get(1));
        return Err(CommandError::UnknownPfdebug(word));
    }
    Ok(())
}

/// Stores a string, which is the key's, in the dense form, and returns that.
fn store_dense(
    db: &mut WriteDb,
    ctx: &mut Ctx,
    key: &Key<'_>,
    mut string: Vec<u8>,
) -> Result<Vec<u8>, CommandError> {
    if make_dense(&mut string)? {
        db.set_string(key, Str::Raw(string.clone()), SetExpire::Keep);
        // For replicas alone: what the string says is the same.
        ctx.effects.n_dirty += 1;
    }
    Ok(string)
}

/// Whether the loops that merge registers may use the processor's wide instructions.
// Compat: after a wrong word, the reference sends this error and then another reply.
fn switch_simd(ctx: &mut Ctx, args: Args) -> CommandResult {
    let is_enabled = match () {
        () if args.is(2, "ON") => dense::allow_wide(true),
        () if args.is(2, "OFF") => dense::allow_wide(false),
        () => return Err(CommandError::NotOnOff),
    };
    ctx.reply.status(if is_enabled { "enabled" } else { "disabled" });
    Ok(())
}

/// PFSELFTEST
fn pfselftest(ctx: &mut Ctx, _args: Args) -> CommandResult {
    const N_CYCLES: usize = 1000;
    const N_ELEMENTS: u64 = 10_000_000;
    self_test::run(N_CYCLES, N_ELEMENTS, sparse_bytes_max(ctx), rand::random::<u64>)?;
    ctx.reply.ok();
    Ok(())
}

/// The form and the bytes of a string that should be a HyperLogLog.
fn parts_of<'v>(value: &'v StringRef<'_>) -> Result<(Form, &'v [u8]), CommandError> {
    let StrRef::Bytes(string) = value.get() else { return Err(CommandError::NotHyperloglog) };
    let form = Form::of(string).ok_or(CommandError::NotHyperloglog)?;
    Ok((form, string))
}

/// Gives a string the dense form. Returns whether it had the other one.
fn make_dense(string: &mut Vec<u8>) -> Result<bool, CommandError> {
    let is_sparse = Form::of(string) == Some(Form::Sparse);
    if is_sparse {
        *string = dense::from_sparse(string)?;
    }
    Ok(is_sparse)
}

/// Leaves the encoding `raw`, as all these commands do even if they change nothing.
fn make_raw(db: &mut WriteDb, key: &Key<'_>) {
    db.edit_string(key, 0, |_| ());
}

fn sparse_bytes_max(ctx: &Ctx) -> usize {
    usize::try_from(ctx.config.hll_sparse_max_bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
