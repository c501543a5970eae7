//! SHUTDOWN: ends the server.

use crate::blocking::WaitKind;
use crate::client::ClientFlags;
use crate::command::{Args, CommandResult, Ctx};
use crate::config::ShutdownFlags;
use crate::error::CommandError;
use crate::shutdown::Begun;
use crabcache_store::{Pass, Trace};

/// SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE] [ABORT]
///
/// There is no reply to a shutdown that succeeds: the connection ends.
pub(super) fn shutdown(pass: &mut Pass, ctx: &mut Ctx, args: Args, _: &Trace) -> CommandResult {
    let mut flags = ShutdownFlags::empty();
    let mut is_abort = false;
    for word in args.from(1) {
        match word.to_ascii_lowercase().as_slice() {
            b"nosave" => flags |= ShutdownFlags::NOSAVE,
            b"save" => flags |= ShutdownFlags::SAVE,
            b"now" => flags |= ShutdownFlags::NOW,
            b"force" => flags |= ShutdownFlags::FORCE,
            b"abort" => is_abort = true,
            _ => return Err(CommandError::Syntax),
        }
    }
    let is_contradictory = flags.contains(ShutdownFlags::SAVE | ShutdownFlags::NOSAVE);
    if is_contradictory || (is_abort && !flags.is_empty()) {
        return Err(CommandError::Syntax);
    }
    if is_abort {
        if !ctx.server.shutdown.abort(ctx.server) {
            return Err(CommandError::NoShutdown);
        }
        ctx.reply.ok();
        return Ok(());
    }
    if ctx.server.conditions.is_busy() && !flags.contains(ShutdownFlags::NOSAVE) {
        return Err(ctx.server.busy_error());
    }
    let begun = ctx.server.shutdown.begin(ctx.server, pass, flags);
    match begun.map_err(|_| CommandError::ShutdownFailed)? {
        Begun::Ready => {
            ctx.server.control.shutdown();
            ctx.client.set_flag(ClientFlags::CLOSE_AFTER_REPLY, true);
        }
        Begun::Waits => ctx.block(WaitKind::Shutdown, None, |_, reply| {
            reply.error(CommandError::ShutdownFailed.to_string().as_bytes());
        }),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::TestServer;

    #[test]
    fn shutdown_options() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("SHUTDOWN SAVE NOSAVE", "-ERR syntax error"),
            ("SHUTDOWN ABORT NOW", "-ERR syntax error"),
            ("SHUTDOWN x", "-ERR syntax error"),
            ("SHUTDOWN abort", "-ERR No shutdown in progress."),
            ("SHUTDOWN NOSAVE", ""),
        ]);
    }
}
