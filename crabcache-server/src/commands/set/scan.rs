//! SSCAN.

use super::reply_member;
use crate::command::{Args, CommandResult, Ctx};
use crate::commands::generic::scan::{ScanOptions, parse_cursor, reply_page};
use crate::error::CommandError;
use crabcache_resp::Reply;
use crabcache_store::ReadDb;
use crabcache_store::types::set::Set;

/// SSCAN key cursor [MATCH pattern] [COUNT count]
// Compat: without a key, the options are not looked at.
pub(super) fn sscan(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let cursor = parse_cursor(args.get(2)).ok_or(CommandError::InvalidCursor)?;
    let (mut members, mut n_members, mut next) = (Vec::new(), 0, 0);
    if let Some(set) = db.get_as::<Set>(&ctx.key(args.get(1)))? {
        let ScanOptions { count, pattern } = ScanOptions::parse(args.from(3))?;
        let mut reply = Reply::new(&mut members, ctx.reply.protocol());
        next = set.scan(cursor, count, |member| {
            if member.with_bytes(|bytes| pattern.matches(bytes)) {
                reply_member(&mut reply, member);
                n_members += 1;
            }
        });
    }
    reply_page(ctx, next, n_members, &members);
    Ok(())
}
