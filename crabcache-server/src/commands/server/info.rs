//! INFO.

use crate::command::{Args, CommandResult, Ctx};
use crate::info;

/// INFO [section ...]
pub(super) fn info(ctx: &mut Ctx, args: Args) -> CommandResult {
    let sections: Vec<&[u8]> = args.from(1).collect();
    let report = info::report(ctx.server, &sections);
    ctx.reply.verbatim("txt", report.as_bytes());
    Ok(())
}
