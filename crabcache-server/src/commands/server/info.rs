//! INFO.

use crate::command::{Args, CommandResult, Ctx};
use crate::info;
use crabcache_store::Walk;

/// INFO [section ...]
pub(super) fn info(walk: &mut Walk, ctx: &mut Ctx, args: Args) -> CommandResult {
    let sections: Vec<&[u8]> = args.from(1).collect();
    let report = info::report(ctx.server, walk, &sections);
    ctx.reply.verbatim("txt", report.as_bytes());
    Ok(())
}
