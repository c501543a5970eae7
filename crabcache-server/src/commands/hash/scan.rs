//! HSCAN: the way through a hash in many small steps.

use crate::command::{Args, CommandResult, Ctx};
use crate::commands::generic::scan::{ScanOptions, parse_cursor, reply_page};
use crate::commands::string::reply_string;
use crate::error::CommandError;
use crabcache_resp::Reply;
use crabcache_store::ReadDb;
use crabcache_store::types::hash::Hash;

/// HSCAN key cursor [MATCH pattern] [COUNT count] [NOVALUES]
// Compat: options are not looked at if there is no such key.
pub(super) fn hscan(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let cursor = parse_cursor(args.get(2)).ok_or(CommandError::InvalidCursor)?;
    let Some(hash) = db.get_as::<Hash>(&ctx.key(args.get(1)))? else {
        reply_page(ctx, 0, 0, b"");
        return Ok(());
    };
    let (mut shared, mut has_values) = (ScanOptions::default(), true);
    let mut options = args.from(3);
    while options.remaining() > 0 {
        if options.accept("NOVALUES") {
            has_values = false;
        } else {
            shared.take(&mut options)?;
        }
    }
    let ScanOptions { count, pattern } = shared;
    let (mut found, mut n_found) = (Vec::new(), 0);
    let mut reply = Reply::new(&mut found, ctx.reply.protocol());
    let next = hash.scan(cursor, count, |field| {
        if db.env().has_passed(field.expire_at_ms) || !pattern.matches(&field.name.bytes()) {
            return;
        }
        reply_string(&mut reply, field.name);
        n_found += 1;
        if has_values {
            reply_string(&mut reply, field.value);
            n_found += 1;
        }
    });
    reply_page(ctx, next, n_found, &found);
    Ok(())
}
