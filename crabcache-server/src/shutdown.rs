//! The end of the server: whether it may end, and what is said about it.
//!
//! There is no persistence: asked explicitly to save, the server does not end (unless told to
//! FORCE); with save points alone it says in the log that the data is lost.

use crate::config::{Config, ShutdownFlags};
use crate::error::Logged;
use crate::server::Server;
use crate::start::supervisor;

/// Gets ready to end.
///
/// # Errors
/// If the server must not end now; the log says why.
pub fn prepare(server: &Server, flags: ShutdownFlags) -> Result<(), Logged> {
    let config = server.config.get();
    tracing::info!("User requested shutdown...");
    supervisor::tell(&config, "STOPPING=1\n");
    check_data(&config, flags)
}

fn check_data(config: &Config, flags: ShutdownFlags) -> Result<(), Logged> {
    if flags.contains(ShutdownFlags::SAVE) {
        if flags.contains(ShutdownFlags::FORCE) {
            tracing::warn!(
                "Error trying to save the DB: persistence is not supported. Exit anyway."
            );
            return Ok(());
        }
        tracing::warn!("Error trying to save the DB, can't exit: persistence is not supported.");
        tracing::warn!(
            "Errors trying to shut down the server. Check the logs for more information."
        );
        return Err(Logged);
    }
    if !config.save.is_empty() && !flags.contains(ShutdownFlags::NOSAVE) {
        tracing::warn!(
            "There are save points, but persistence is not supported: data is not saved."
        );
    }
    Ok(())
}
