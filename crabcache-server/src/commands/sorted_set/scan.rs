//! ZSCAN.

use super::reply_member;
use crate::command::{Args, CommandResult, Ctx};
use crate::commands::generic::scan::{ScanOptions, parse_cursor, reply_page};
use crate::error::CommandError;
use crabcache_resp::{Protocol, Reply};
use crabcache_store::ReadDb;
use crabcache_store::algorithms::double;
use crabcache_store::types::zset::ZSet;

/// ZSCAN key cursor [MATCH pattern] [COUNT count]
// Compat: without a key, the options are not looked at. Scores are strings in RESP3, too; those of
// large sets have 17 digits.
pub(super) fn zscan(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let cursor = parse_cursor(args.get(2)).ok_or(CommandError::InvalidCursor)?;
    let (mut found, mut n_found, mut next) = (Vec::new(), 0, 0);
    if let Some(set) = db.get_as::<ZSet>(&ctx.key(args.get(1)))? {
        let ScanOptions { count, pattern } = ScanOptions::parse(args.from(3))?;
        let mut reply = Reply::new(&mut found, Protocol::Resp2);
        let is_small = set.as_listpack().is_some();
        let mut text = Vec::new();
        next = set.scan(cursor, count, |member, score| {
            if member.with_bytes(|bytes| pattern.matches(bytes)) {
                reply_member(&mut reply, member);
                if is_small {
                    reply.double(score);
                } else {
                    text.clear();
                    double::write_17_digits(&mut text, score);
                    reply.bulk(&text);
                }
                n_found += 2;
            }
        });
    }
    reply_page(ctx, next, n_found, &found);
    Ok(())
}
