//! Parts of strings.

use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crate::notify::Event;
use crabcache_store::{Lookup, ReadDb, SetExpire, Str, WriteDb};
use std::ops::Range;

/// APPEND key value
pub(super) fn append(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let (key, value) = (ctx.key(args.get(1)), args.get(2));
    let old_len = db.get_string(&key, Lookup::Write)?.map(|value| value.get().len());
    let new_len = match old_len {
        None => {
            db.set_string(&key, Str::encode(value), SetExpire::To(None));
            value.len()
        }
        Some(old_len) => {
            let new_len = checked_len(ctx, old_len, value)?;
            db.edit_string(&key, new_len, |bytes| bytes[old_len..].copy_from_slice(value));
            new_len
        }
    };
    ctx.changed(key.bytes, Event::APPEND);
    ctx.reply.count(new_len);
    Ok(())
}

/// SETRANGE key offset value
pub(super) fn setrange(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let offset = usize::try_from(args.int(2)?).map_err(|_| CommandError::Offset)?;
    let (key, value) = (ctx.key(args.get(1)), args.get(3));
    let old_len = db.get_string(&key, Lookup::Write)?.map_or(0, |value| value.get().len());
    if value.is_empty() {
        ctx.reply.count(old_len);
        return Ok(());
    }
    let end = checked_len(ctx, offset, value)?;
    let new_len = db.edit_string(&key, end, |bytes| {
        bytes[offset..end].copy_from_slice(value);
        bytes.len()
    });
    ctx.changed(key.bytes, Event::SETRANGE);
    ctx.reply.count(new_len);
    Ok(())
}

/// Where `value` ends if it begins at `offset`: not behind the longest string there may be.
fn checked_len(ctx: &Ctx, offset: usize, value: &[u8]) -> Result<usize, CommandError> {
    let len_max = usize::try_from(ctx.config.proto_max_bulk_len).unwrap_or(usize::MAX);
    let end = offset.checked_add(value.len()).filter(|end| *end <= len_max);
    end.ok_or(CommandError::StringTooLong)
}

/// GETRANGE key start end
pub(super) fn getrange(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let (start, end) = (args.int(2)?, args.int(3)?);
    match db.get_string(&ctx.key(args.get(1)))? {
        None => ctx.reply.bulk(b""),
        Some(value) => {
            let bytes = value.get().bytes();
            ctx.reply.bulk(&bytes[range_of(bytes.len(), start, end)]);
        }
    }
    Ok(())
}

/// SUBSTR key start end
pub(super) fn substr(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    getrange(db, ctx, args)
}

/// The part of a string of `len` bytes from `start` to `end`, which is in it; negative ones count
/// from the end. What lies outside of the string is cut off.
fn range_of(len: usize, start: i64, end: i64) -> Range<usize> {
    if start < 0 && end < 0 && start > end {
        return 0..0;
    }
    let at = |index: i64| match usize::try_from(index) {
        Ok(index) => index,
        Err(_) => len.saturating_sub(usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    // An end before the first byte is taken for the first byte.
    let (start, end) = (at(start), at(end).saturating_add(1).min(len));
    if start < end { start..end } else { 0..0 }
}

#[cfg(test)]
mod tests {
    use super::range_of;
    use crate::testing::TestServer;

    #[test]
    fn append_grows_a_string() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("APPEND k 12", ":2"),
            ("APPEND k ''", ":2"),
            ("APPEND k \"a\\r\\n\"", ":5"),
            ("GET k", "\"12a\\r\\n\""),
            ("APPEND new ''", ":0"),
            ("GET new", "\"\""),
        ]);
        assert_eq!(t.events(), ["append k", "append k", "append k", "append new"]);
        for len in 1..=10_000 {
            assert_eq!(t.run("APPEND long x"), format!(":{len}"));
        }
        t.check_all(&[("SET k v PX 100000", "+OK"), ("APPEND k w", ":2")]);
        t.advance_ms(100_001);
        t.check("GET k", "nil");
    }

    #[test]
    fn setrange_overwrites_and_pads() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("SETRANGE k 0 ''", ":0"),
            ("SETRANGE k 5 ''", ":0"),
            ("GET k", "nil"),
            ("SETRANGE k 2 ab", ":4"),
            ("GET k", "\"\\x00\\x00ab\""),
            ("SETRANGE k 0 xyz", ":4"),
            ("GET k", "\"xyzb\""),
            ("SETRANGE k 100 ''", ":4"),
            ("SET k 1234", "+OK"),
            ("SETRANGE k 5 6", ":6"),
            ("GET k", "\"1234\\x006\""),
            ("SETRANGE k -1 x", "-ERR offset is out of range"),
            ("SETRANGE k -1 ''", "-ERR offset is out of range"),
            ("SETRANGE k a x", "-ERR value is not an integer or out of range"),
        ]);
        assert_eq!(t.events(), ["setrange k", "setrange k", "set k", "setrange k"]);
    }

    #[test]
    fn strings_have_a_longest_length() {
        let too_long = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)";
        let mut t = TestServer::with_config(&[("proto-max-bulk-len", "1mb")]);
        t.check_all(&[
            ("SETRANGE k 1048575 x", ":1048576"),
            ("SETRANGE k 1048576 x", too_long),
            ("SETRANGE new 1048576 x", too_long),
            ("SETRANGE new 9223372036854775807 x", too_long),
            ("SETRANGE new 9223372036854775807 ''", ":0"),
            ("APPEND k x", too_long),
            ("APPEND k ''", ":1048576"),
            ("STRLEN k", ":1048576"),
            ("GET new", "nil"),
        ]);
        assert_eq!(t.propagated().len(), 2);
    }

    #[test]
    fn getrange_takes_parts() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("GETRANGE k 0 -1", "\"\""),
            ("SET k 'Hello World'", "+OK"),
            ("GETRANGE k 0 4", "\"Hello\""),
            ("GETRANGE k -5 -1", "\"World\""),
            ("SUBSTR k 4 100", "\"o World\""),
            ("SET k 12345", "+OK"),
            ("GETRANGE k 1 -2", "\"234\""),
            ("GETRANGE k a 1", "-ERR value is not an integer or out of range"),
            ("GETRANGE k 0 9223372036854775808", "-ERR value is not an integer or out of range"),
            ("SUBSTR k 0", "-ERR wrong number of arguments for 'substr' command"),
        ]);
    }

    #[test]
    fn ranges_are_cut_to_the_string() {
        let check = |len, start, end, expected: std::ops::Range<usize>| {
            assert_eq!(range_of(len, start, end), expected, "{start} {end} of {len}");
        };
        check(3, 0, -1, 0..3);
        check(3, 0, i64::MAX, 0..3);
        check(3, i64::MIN, i64::MAX, 0..3);
        check(3, i64::MIN, -1, 0..3);
        check(3, -2, -2, 1..2);
        check(3, -1, -2, 0..0);
        check(3, 2, 1, 0..0);
        check(3, 3, 5, 0..0);
        check(3, i64::MAX, i64::MAX, 0..0);
        check(3, i64::MIN, i64::MIN, 0..1);
        check(3, -100, -100, 0..1);
        check(3, -100, -200, 0..0);
        check(3, 0, -100, 0..1);
        check(3, 1, -100, 0..0);
        check(0, 0, 0, 0..0);
        check(0, i64::MIN, i64::MAX, 0..0);
        check(0, -1, -1, 0..0);
    }
}
