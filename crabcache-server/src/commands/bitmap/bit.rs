//! Single bits.

use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crate::notify::Event;
use crabcache_resp::number::parse_i64;
use crabcache_store::{Lookup, ReadDb, WriteDb};

/// GETBIT key offset
pub(super) fn getbit(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let offset = bit_offset(ctx, args.get(2), 1)?;
    let value = db.get_string(&ctx.key(args.get(1)))?;
    let is_set = value.is_some_and(|value| bit_at(&value.get().bytes(), offset));
    ctx.reply.int(i64::from(is_set));
    Ok(())
}

/// SETBIT key offset value
pub(super) fn setbit(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let offset = bit_offset(ctx, args.get(2), 1)?;
    let new = match parse_i64(args.get(3)) {
        Some(0) => false,
        Some(1) => true,
        _ => return Err(CommandError::Bit),
    };
    let key = ctx.key(args.get(1));
    let old_len = db.get_string(&key, Lookup::Write)?.map_or(0, |value| value.get().len());
    let index = (offset / 8) as usize;
    let old = db.edit_string(&key, index + 1, |bytes| {
        let old = bit_at(bytes, offset);
        let mask = 0x80 >> (offset % 8);
        bytes[index] = bytes[index] & !mask | if new { mask } else { 0 };
        old
    });
    if old != new || index >= old_len {
        ctx.changed(key.bytes, Event::SETBIT);
    }
    ctx.reply.int(i64::from(old));
    Ok(())
}

fn bit_at(bytes: &[u8], offset: u64) -> bool {
    let byte = usize::try_from(offset / 8).ok().and_then(|index| bytes.get(index));
    byte.is_some_and(|byte| byte >> (7 - offset % 8) & 1 == 1)
}

/// Reads the number of a bit, counted in steps of `step` bits: it must be in a string of a length
/// that there may be.
pub(super) fn bit_offset(ctx: &Ctx, word: &[u8], step: u32) -> Result<u64, CommandError> {
    let number = parse_i64(word).ok_or(CommandError::BitOffset)?;
    // Compat: the product is not checked by the reference either, so that some huge numbers are
    // taken for small ones.
    let offset = number.wrapping_mul(i64::from(step));
    let is_possible = offset >= 0 && offset / 8 < ctx.config.proto_max_bulk_len;
    if is_possible { Ok(offset.cast_unsigned()) } else { Err(CommandError::BitOffset) }
}
