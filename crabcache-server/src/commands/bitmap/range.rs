//! Counting bits, and searching them, in a part of a string.

use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crabcache_store::ReadDb;
use crabcache_store::algorithms::bits;
use std::ops::Range;

/// BITCOUNT key [start end [BYTE | BIT]]
pub(super) fn bitcount(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let part = match args.len() {
        2 => Part::WHOLE,
        4 => Part { start: args.int(2)?, end: args.int(3)?, unit_bits: 8 },
        5 => Part { start: args.int(2)?, end: args.int(3)?, unit_bits: unit_bits(args, 4)? },
        _ => return Err(CommandError::Syntax),
    };
    let count = match db.get_string(&ctx.key(args.get(1)))? {
        None => 0,
        Some(_) if part.is_backwards() => 0,
        Some(value) => {
            let bytes = value.get().bytes();
            bits::count_range(&bytes, part.bits(bytes.len()))
        }
    };
    ctx.reply.int(count.cast_signed());
    Ok(())
}

/// BITPOS key bit [start [end [BYTE | BIT]]]
pub(super) fn bitpos(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let bit = match args.int(2)? {
        0 => false,
        1 => true,
        _ => return Err(CommandError::BitArgument),
    };
    let mut part = Part::WHOLE;
    if args.len() > 6 {
        return Err(CommandError::Syntax);
    }
    if args.len() > 3 {
        part.start = args.int(3)?;
    }
    if args.len() > 5 {
        part.unit_bits = unit_bits(args, 5)?;
    }
    if args.len() > 4 {
        part.end = args.int(4)?;
    }
    let place = match db.get_string(&ctx.key(args.get(1)))? {
        // An absent key is a row of zeros without an end.
        None => (!bit).then_some(0),
        Some(value) => {
            let bytes = value.get().bytes();
            let range = part.bits(bytes.len());
            let found = bits::find_range(&bytes, range.clone(), bit);
            // So is what follows a string, unless its end was named.
            let behind = (!bit && args.len() < 5 && !range.is_empty()).then_some(range.end);
            found.or(behind)
        }
    };
    ctx.reply.int(place.map_or(-1, |place| place as i64));
    Ok(())
}

/// How many bits the unit that an argument names has.
fn unit_bits(args: Args, index: usize) -> Result<i64, CommandError> {
    match () {
        () if args.is(index, "BIT") => Ok(1),
        () if args.is(index, "BYTE") => Ok(8),
        () => Err(CommandError::Syntax),
    }
}

/// A part of a string, from `start` to `end`, which is in it; negative ones count from the end.
#[derive(Debug, Clone, Copy)]
struct Part {
    start: i64,
    end: i64,
    unit_bits: i64,
}

impl Part {
    const WHOLE: Part = Part { start: 0, end: -1, unit_bits: 8 };

    /// Whether it ends before it begins, both counted from the end.
    fn is_backwards(self) -> bool {
        self.start < 0 && self.end < 0 && self.start > self.end
    }

    /// Its bits in a string of `len` bytes; what lies outside is cut off.
    fn bits(self, len: usize) -> Range<usize> {
        let len = len as i64 * 8 / self.unit_bits;
        let at = |index: i64| if index < 0 { (len + index).max(0) } else { index };
        // An end before the first unit is taken for the first unit.
        let (start, end) = (at(self.start), at(self.end).min(len - 1));
        if start > end {
            return 0..0;
        }
        let bit = |unit: i64| (unit * self.unit_bits) as usize;
        bit(start)..bit(end + 1)
    }
}
