//! LCS.

use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crabcache_store::ReadDb;
use crabcache_store::algorithms::lcs::{self, Match};

/// The options of LCS.
#[derive(Debug, Default)]
struct LcsOptions {
    /// LEN
    wants_len: bool,
    /// IDX
    wants_matches: bool,
    /// MINMATCHLEN
    match_len_min: i64,
    /// WITHMATCHLEN
    wants_match_lens: bool,
}

impl LcsOptions {
    fn parse(args: Args) -> Result<LcsOptions, CommandError> {
        let mut options = LcsOptions::default();
        let mut words = args.from(3);
        while words.remaining() > 0 {
            if words.accept("IDX") {
                options.wants_matches = true;
            } else if words.accept("LEN") {
                options.wants_len = true;
            } else if words.accept("WITHMATCHLEN") {
                options.wants_match_lens = true;
            } else if words.accept("MINMATCHLEN") {
                options.match_len_min = words.int()?;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if options.wants_len && options.wants_matches {
            return Err(CommandError::LcsLengthAndIndexes);
        }
        Ok(options)
    }
}

/// LCS key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]
pub(super) fn lcs(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let values = [1, 2].map(|index| db.get_string(&ctx.key(args.get(index))));
    let [Ok(a), Ok(b)] = values else { return Err(CommandError::LcsNotStrings) };
    let a = a.as_ref().map(|value| value.get().bytes()).unwrap_or_default();
    let b = b.as_ref().map(|value| value.get().bytes()).unwrap_or_default();
    let options = LcsOptions::parse(args)?;
    check_lengths(ctx, a.len(), b.len())?;
    if options.wants_len {
        ctx.reply.count(lcs::length(&a, &b));
        return Ok(());
    }
    let matches = lcs::matches(&a, &b);
    if options.wants_matches {
        reply_matches(ctx, &matches, &options);
    } else {
        let parts = matches.iter().rev().map(|part| &a[part.a..part.a + part.len]);
        ctx.reply.bulk(&parts.collect::<Vec<_>>().concat());
    }
    Ok(())
}

/// Refuses what the reference has no memory for. Less is needed here.
fn check_lengths(ctx: &Ctx, a_len: usize, b_len: usize) -> CommandResult {
    const LEN_MAX: usize = u32::MAX as usize - 2;
    if a_len > LEN_MAX || b_len > LEN_MAX {
        return Err(CommandError::LcsStringTooLong);
    }
    let table_bytes = (a_len as u128 + 1) * (b_len as u128 + 1) * 4;
    if i128::try_from(table_bytes).is_ok_and(|bytes| bytes <= ctx.config.proto_max_bulk_len.into())
    {
        Ok(())
    } else {
        Err(CommandError::LcsTooMuchMemory)
    }
}

fn reply_matches(ctx: &mut Ctx, matches: &[Match], options: &LcsOptions) {
    let is_long = |part: &&Match| part.len as i64 >= options.match_len_min;
    let reply = &mut ctx.reply;
    reply.map(2);
    reply.bulk(b"matches");
    reply.array(matches.iter().filter(is_long).count());
    for part in matches.iter().filter(is_long) {
        reply.array(if options.wants_match_lens { 3 } else { 2 });
        for start in [part.a, part.b] {
            reply.array(2);
            reply.count(start);
            reply.count(start + part.len - 1);
        }
        if options.wants_match_lens {
            reply.count(part.len);
        }
    }
    reply.bulk(b"len");
    reply.count(matches.iter().map(|part| part.len).sum());
}

#[cfg(test)]
mod tests {
    use crate::testing::TestServer;

    #[test]
    fn all_forms() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("MSET a ohmytext b mynewtext n 12345 m 345", "+OK"),
            ("LCS a b", "\"mytext\""),
            ("LCS a b LEN", ":6"),
            ("LCS n m", "\"345\""),
            ("LCS a a len", ":8"),
            (
                "LCS a b IDX",
                "[\"matches\", [[[:4, :7], [:5, :8]], [[:2, :3], [:0, :1]]], \"len\", :6]",
            ),
            ("LCS a b IDX MINMATCHLEN 4", "[\"matches\", [[[:4, :7], [:5, :8]]], \"len\", :6]"),
            (
                "LCS a b idx withmatchlen minmatchlen -5",
                "[\"matches\", [[[:4, :7], [:5, :8], :4], [[:2, :3], [:0, :1], :2]], \"len\", :6]",
            ),
            ("LCS a b IDX MINMATCHLEN 9223372036854775807", "[\"matches\", [], \"len\", :6]"),
            ("LCS a b MINMATCHLEN 100 WITHMATCHLEN", "\"mytext\""),
            ("LCS a nosuch", "\"\""),
            ("LCS nosuch a LEN", ":0"),
            ("LCS nosuch nosuch IDX", "[\"matches\", [], \"len\", :0]"),
        ]);
    }

    #[test]
    fn options_that_are_refused() {
        let mut t = TestServer::new();
        t.check_all(&[
            (
                "LCS a b LEN IDX",
                "-ERR If you want both the length and indexes, please just use IDX.",
            ),
            ("LCS a b FOO", "-ERR syntax error"),
            ("LCS a b MINMATCHLEN", "-ERR syntax error"),
            ("LCS a b MINMATCHLEN x", "-ERR value is not an integer or out of range"),
            ("LCS a b MINMATCHLEN 1.5 LEN IDX", "-ERR value is not an integer or out of range"),
            ("LCS a", "-ERR wrong number of arguments for 'lcs' command"),
        ]);
    }

    #[test]
    fn memory_is_limited() {
        let mut t = TestServer::with_config(&[("proto-max-bulk-len", "1mb")]);
        // (511 + 1) * (511 + 1) * 4 is just a megabyte.
        t.check_all(&[
            ("SETRANGE a 510 x", ":511"),
            ("SETRANGE b 510 y", ":511"),
            ("LCS a b LEN", ":510"),
        ]);
        t.check("APPEND b y", ":512");
        t.check(
            "LCS a b LEN",
            "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        );
    }
}
