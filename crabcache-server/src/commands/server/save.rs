//! Snapshots: SAVE, LASTSAVE.

use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crate::persistence::save;
use crabcache_store::{Pass, Trace};
use std::sync::atomic::Ordering;

/// SAVE
pub(super) fn save(pass: &mut Pass, ctx: &mut Ctx, _: Args, _: &Trace) -> CommandResult {
    let server = ctx.server;
    server.persistence.rdb_saves.fetch_add(1, Ordering::Relaxed);
    save::save_held(server, &ctx.config, &pass.lock_all()).map_err(|_| CommandError::Failed)?;
    ctx.reply.ok();
    Ok(())
}

/// LASTSAVE
pub(super) fn lastsave(ctx: &mut Ctx, _: Args) -> CommandResult {
    ctx.reply.int(ctx.server.persistence.last_save_s.load(Ordering::Relaxed));
    Ok(())
}
