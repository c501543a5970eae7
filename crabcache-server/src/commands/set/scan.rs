//! SSCAN.

use super::reply_member;
use crate::command::{Args, CommandResult, Ctx};
use crate::commands::generic::scan::{ScanOptions, parse_cursor};
use crate::error::CommandError;
use crabcache_resp::Reply;
use crabcache_store::ReadDb;
use crabcache_store::types::set::Set;

/// Steps without a member that one call may take, for each member asked for.
const STEPS_PER_MEMBER: usize = 10;

/// SSCAN key cursor [MATCH pattern] [COUNT count]
// Compat: without a key, the options are not looked at.
pub(super) fn sscan(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let mut cursor = parse_cursor(args.get(2)).ok_or(CommandError::InvalidCursor)?;
    let set = db.get_as::<Set>(&ctx.key(args.get(1)))?;
    let (mut members, mut n_members) = (Vec::new(), 0);
    if let Some(set) = set {
        let ScanOptions { count, pattern } = ScanOptions::parse(args.from(3))?;
        let mut reply = Reply::new(&mut members, ctx.reply.protocol());
        let (mut n_seen, mut n_steps) = (0, 0);
        loop {
            cursor = set.scan(cursor, |member| {
                n_seen += 1;
                if member.with_bytes(|bytes| pattern.matches(bytes)) {
                    reply_member(&mut reply, member);
                    n_members += 1;
                }
            });
            n_steps += 1;
            if cursor == 0 || n_seen >= count || n_steps > count.saturating_mul(STEPS_PER_MEMBER) {
                break;
            }
        }
    } else {
        cursor = 0;
    }
    ctx.reply.array(2);
    ctx.reply.bulk(itoa::Buffer::new().format(cursor).as_bytes());
    ctx.reply.array(n_members);
    ctx.reply.raw(&members);
    Ok(())
}
