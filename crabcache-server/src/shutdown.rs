//! The end of the server: whether it may end, and the last snapshot.

use crate::config::ShutdownFlags;
use crate::error::Logged;
use crate::persistence::aof::{self, State};
use crate::persistence::save;
use crate::persistence::snapshot::Purpose;
use crate::server::Server;
use crate::start::supervisor;
use crabcache_store::Pass;

/// Gets ready to end. If that succeeds, no command changes anything any more.
///
/// # Errors
/// If the server must not end now; the log says why.
pub fn prepare(server: &Server, pass: &mut Pass<'_>, flags: ShutdownFlags) -> Result<(), Logged> {
    let config = server.config.get();
    tracing::info!("User requested shutdown...");
    supervisor::tell(&config, "STOPPING=1\n");
    if server.persistence.abort(Purpose::Save) {
        tracing::warn!("There is a child saving an .rdb. Killing it!");
    }
    end_aof(server, flags)?;
    let is_asked = flags.contains(ShutdownFlags::SAVE);
    let is_default = !config.save.is_empty() && !flags.contains(ShutdownFlags::NOSAVE);
    if !is_asked && !is_default {
        return Ok(());
    }
    tracing::info!("Saving the final RDB snapshot before exiting.");
    supervisor::tell(&config, "STATUS=Saving the final RDB snapshot\n");
    let locked = pass.lock_all();
    if save::save_held(server, &config, &locked).is_err() {
        if flags.contains(ShutdownFlags::FORCE) {
            tracing::warn!("Error trying to save the DB. Exit anyway.");
            return Ok(());
        }
        tracing::warn!("Error trying to save the DB, can't exit.");
        supervisor::tell(&config, "STATUS=Error trying to save the DB, can't exit.\n");
        tracing::warn!(
            "Errors trying to shut down the server. Check the logs for more information."
        );
        return Err(Logged);
    }
    // What is changed from now on would be lost although it was acknowledged.
    server.conditions.pause(i64::MAX, true, server.clock.unix_ms());
    server.conditions.set_ending();
    drop(locked);
    Ok(())
}

/// Brings what was logged to disk.
fn end_aof(server: &Server, flags: ShutdownFlags) -> Result<(), Logged> {
    // While a script is over its time, the file cannot be completed, and this is the last way out.
    if server.aof.state() == State::Starting && !server.conditions.is_busy() {
        if !flags.contains(ShutdownFlags::FORCE) {
            tracing::warn!("Writing initial AOF, can't exit.");
            return Err(Logged);
        }
        tracing::warn!("Writing initial AOF. Exit anyway.");
    }
    if server.persistence.abort(Purpose::Rewrite) {
        tracing::warn!("There is a child rewriting the AOF. Killing it!");
    }
    if server.aof.state() != State::Off {
        tracing::info!("Calling fsync() on the AOF file.");
        // Compat: what fails is logged, and keeps nobody from ending the server.
        let _ = aof::writer::flush(server);
    }
    Ok(())
}
