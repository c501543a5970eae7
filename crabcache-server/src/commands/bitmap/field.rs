//! BITFIELD and BITFIELD_RO.

use super::bit::bit_offset;
use crate::command::{Args, CommandResult, Ctx, KeyFlags, Words};
use crate::error::CommandError;
use crate::notify::Event;
use crabcache_resp::Reply;
use crabcache_resp::number::parse_i64;
use crabcache_store::algorithms::bit_field::{FieldType, Overflow};
use crabcache_store::{Lookup, ReadDb, WriteDb};
use std::borrow::Cow;

/// BITFIELD key [GET type offset | [OVERFLOW WRAP | SAT | FAIL] SET type offset value
/// | [OVERFLOW WRAP | SAT | FAIL] INCRBY type offset increment ...]
pub(super) fn bitfield(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let operations = parse(ctx, args)?;
    let key = ctx.key(args.get(1));
    let Some(bytes_needed) = operations.iter().filter_map(Operation::bytes_written).max() else {
        let value = db.get_string(&key, Lookup::Use)?;
        let bytes = value.as_ref().map_or(Cow::Borrowed(&b""[..]), |value| value.get().bytes());
        read_all(&mut ctx.reply, &operations, &bytes);
        return Ok(());
    };
    let old_len = db.get_string(&key, Lookup::Write)?.map_or(0, |value| value.get().len());
    let grows = old_len < bytes_needed;
    ctx.reply.array(operations.len());
    let reply = &mut ctx.reply;
    let n_changes = db.edit_string(&key, bytes_needed, |bytes| {
        let mut n_changes = 0;
        for operation in &operations {
            let Some(done) = operation.run(bytes) else {
                reply.null();
                continue;
            };
            reply.int(done.answer);
            n_changes += u64::from(done.is_write && (grows || done.is_change));
        }
        n_changes
    });
    if n_changes > 0 {
        ctx.changed(key.bytes, Event::SETBIT);
        ctx.effects.n_dirty += n_changes - 1;
    } else if grows {
        // Compat: the string grows even if all writes failed, and the reference neither counts nor
        // replicates that. Here copies of the data stay the same.
        ctx.effects.propagate_always();
    }
    Ok(())
}

/// BITFIELD_RO key [GET type offset ...]
pub(super) fn bitfield_ro(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let operations = parse(ctx, args)?;
    if operations.iter().any(|operation| operation.bytes_written().is_some()) {
        return Err(CommandError::BitfieldReadOnly);
    }
    let value = db.get_string(&ctx.key(args.get(1)))?;
    let bytes = value.as_ref().map_or(Cow::Borrowed(&b""[..]), |value| value.get().bytes());
    read_all(&mut ctx.reply, &operations, &bytes);
    Ok(())
}

/// What BITFIELD does with its key, for COMMAND GETKEYSANDFLAGS and ACLs.
pub(super) fn bitfield_keys(args: Args) -> Vec<(usize, KeyFlags)> {
    let mut words = args.from(2);
    let mut writes = false;
    while words.remaining() > 0 && !writes {
        let n_following = if words.accept("GET") {
            2
        } else if words.accept("OVERFLOW") {
            1
        } else {
            writes = true;
            continue;
        };
        // What is no operation is taken for a write.
        writes = words.by_ref().take(n_following).count() < n_following;
    }
    let access = if writes { KeyFlags::RW | KeyFlags::UPDATE } else { KeyFlags::RO };
    vec![(1, access | KeyFlags::ACCESS)]
}

/// One operation on an integer.
struct Operation {
    action: Action,
    field: FieldType,
    offset: u64,
    overflow: Overflow,
}

enum Action {
    Get,
    Set(i64),
    IncrBy(i64),
}

/// What an operation did.
struct Done {
    answer: i64,
    is_write: bool,
    is_change: bool,
}

impl Operation {
    /// How long the string must be if the operation writes.
    fn bytes_written(&self) -> Option<usize> {
        let end = self.offset + u64::from(self.field.bits());
        match self.action {
            Action::Get => None,
            Action::Set(_) | Action::IncrBy(_) => usize::try_from(end.div_ceil(8)).ok(),
        }
    }

    /// `None` if the value does not fit and is not to be made to.
    fn run(&self, bytes: &mut [u8]) -> Option<Done> {
        let Operation { field, offset, overflow, .. } = *self;
        let old = field.get(bytes, offset);
        let (new, answers_old) = match self.action {
            Action::Get => return Some(Done { answer: old, is_write: false, is_change: false }),
            Action::Set(value) => (field.fit(value, overflow)?, true),
            Action::IncrBy(increment) => (field.add(old, increment, overflow)?, false),
        };
        field.set(bytes, offset, new);
        let answer = if answers_old { old } else { new };
        Some(Done { answer, is_write: true, is_change: old != new })
    }
}

fn read_all(reply: &mut Reply<'_>, operations: &[Operation], bytes: &[u8]) {
    reply.array(operations.len());
    for operation in operations {
        reply.int(operation.field.get(bytes, operation.offset));
    }
}

fn parse(ctx: &Ctx, args: Args) -> Result<Vec<Operation>, CommandError> {
    let mut words = args.from(2);
    let mut overflow = Overflow::Wrap;
    let mut operations = Vec::new();
    while words.remaining() > 0 {
        // An option without all its words is no option.
        let left = words.remaining() - 1;
        let operation = if left >= 2 && words.accept("GET") {
            let (field, offset) = parse_place(ctx, &mut words)?;
            Operation { action: Action::Get, field, offset, overflow }
        } else if left >= 3 && words.accept("SET") {
            let (field, offset) = parse_place(ctx, &mut words)?;
            Operation { action: Action::Set(words.int()?), field, offset, overflow }
        } else if left >= 3 && words.accept("INCRBY") {
            let (field, offset) = parse_place(ctx, &mut words)?;
            Operation { action: Action::IncrBy(words.int()?), field, offset, overflow }
        } else if left >= 1 && words.accept("OVERFLOW") {
            overflow = parse_overflow(&mut words)?;
            continue;
        } else {
            return Err(CommandError::Syntax);
        };
        operations.push(operation);
    }
    Ok(operations)
}

fn parse_overflow(words: &mut Words) -> Result<Overflow, CommandError> {
    match () {
        () if words.accept("WRAP") => Ok(Overflow::Wrap),
        () if words.accept("SAT") => Ok(Overflow::Saturate),
        () if words.accept("FAIL") => Ok(Overflow::Fail),
        () => Err(CommandError::BitfieldOverflow),
    }
}

/// Reads a type, such as `i16`, and an offset in bits or, after `#`, in integers of this type.
fn parse_place(ctx: &Ctx, words: &mut Words) -> Result<(FieldType, u64), CommandError> {
    let field = parse_type(words.word()?).ok_or(CommandError::BitfieldType)?;
    let offset = match words.word()? {
        [b'#', number @ ..] => bit_offset(ctx, number, field.bits())?,
        number => bit_offset(ctx, number, 1)?,
    };
    Ok((field, offset))
}

fn parse_type(word: &[u8]) -> Option<FieldType> {
    // Compat: a zero byte ends the word.
    let word = word.split(|byte| *byte == 0).next()?;
    match word {
        [b'i', bits @ ..] => FieldType::new(true, parse_i64(bits)?),
        [b'u', bits @ ..] => FieldType::new(false, parse_i64(bits)?),
        _ => None,
    }
}
