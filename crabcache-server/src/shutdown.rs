//! The end of the server: what is waited for, whether it may end, and the last snapshot.
//!
//! ```text
//!  SHUTDOWN --> begin --> replicas lag: writes pause, they are waited for --\
//!  signal ---/      \-> nobody lags ----------------------------------------+--> finish --> end
//! ```
//!
//! Signals and the waiting are the cron's: it looks at every tick.
//!
//! Invariant: a wait begins while the keyspace is held, so no change is under way then, and none comes
//! until it is given up.

use crate::blocking::{Unblock, WaitKind};
use crate::config::{Config, ShutdownFlags};
use crate::error::Logged;
use crate::log;
use crate::persistence::aof::{self, State};
use crate::persistence::save;
use crate::persistence::snapshot::Purpose;
use crate::replication::replicas::Replica;
use crate::server::Server;
use crate::start::supervisor;
use crabcache_store::Pass;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The end that is under way.
#[derive(Debug, Default)]
pub struct Shutdown {
    progress: Mutex<Progress>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Progress {
    /// None is.
    #[default]
    None,
    /// A signal has asked for it.
    Asked(Signal),
    /// Replicas are waited for, until this time (Unix milliseconds).
    Waits(ShutdownFlags, i64),
}

/// A signal that asks for the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM
    Terminate,
    /// SIGINT
    Interrupt,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Signal::Terminate => "SIGTERM",
            Signal::Interrupt => "SIGINT",
        }
    }

    fn flags(self, config: &Config) -> ShutdownFlags {
        match self {
            Signal::Terminate => config.shutdown_on_sigterm,
            Signal::Interrupt => config.shutdown_on_sigint,
        }
    }
}

/// What becomes of a shutdown that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// All is ready: the process is to end.
    Ready,
    /// Replicas are waited for. If it fails after all, clients in [`WaitKind::Shutdown`] are told.
    Waits,
}

impl Shutdown {
    /// A signal asks for the end, which the cron takes care of.
    pub fn signalled(&self, signal: Signal) {
        let mut progress = self.progress.lock();
        if *progress != Progress::None && signal == Signal::Interrupt {
            tracing::warn!(target: log::SIGNAL, "You insist... exiting now.");
            std::process::exit(1);
        }
        let name = signal.name();
        tracing::warn!(target: log::SIGNAL, "Received {name} scheduling shutdown...");
        if *progress == Progress::None {
            *progress = Progress::Asked(signal);
        }
    }

    /// Milliseconds that replicas are still waited for, if they are.
    pub fn rest_ms(&self, now_ms: i64) -> Option<i64> {
        match *self.progress.lock() {
            Progress::Waits(_, until_ms) => Some(until_ms - now_ms),
            Progress::None | Progress::Asked(_) => None,
        }
    }

    /// Begins to shut down.
    ///
    /// # Errors
    /// If the server must not end now; the log says why.
    pub fn begin(
        &self,
        server: &Server,
        pass: &mut Pass<'_>,
        mut flags: ShutdownFlags,
    ) -> Result<Begun, Logged> {
        let config = server.config.get();
        if self.rest_ms(0).is_some() {
            return Ok(Begun::Waits);
        }
        if server.is_loading() {
            // What is there is not all.
            flags = (flags - ShutdownFlags::SAVE) | ShutdownFlags::NOSAVE;
        }
        tracing::info!("User requested shutdown...");
        supervisor::tell(&config, "STOPPING=1\n");
        let may_wait = !flags.contains(ShutdownFlags::NOW) && config.shutdown_timeout > 0;
        // A script that is over its time cannot be waited for, and this is the last way out.
        if !server.conditions.is_busy() {
            let _locked = pass.lock_all();
            server.conditions.set_awaiting_end(true);
            if may_wait && lagging(server).next().is_some() {
                tracing::info!("Waiting for replicas before shutting down.");
                let until_ms = server.clock.unix_ms() + config.shutdown_timeout * 1000;
                *self.progress.lock() = Progress::Waits(flags, until_ms);
                server.replication.ask_for_acks(server);
                return Ok(Begun::Waits);
            }
        }
        self.finish(server, &config, pass, flags).map(|()| Begun::Ready)
    }

    /// Gets ready to end, or gives up.
    fn finish(
        &self,
        server: &Server,
        config: &Config,
        pass: &mut Pass<'_>,
        flags: ShutdownFlags,
    ) -> Result<(), Logged> {
        tell_lagging(server);
        let done = end_files(server, config, pass, flags);
        if done.is_ok() {
            if server.aof.state() == State::On {
                // It is a help only.
                let _ = aof::writer::close(server);
            }
            // What is changed from now on would be lost although it was acknowledged.
            server.conditions.pause(i64::MAX, true, server.clock.unix_ms());
        } else {
            tracing::warn!(
                "Errors trying to shut down the server. Check the logs for more information."
            );
            self.cancel(server);
        }
        done
    }

    /// Gives up what is under way. Whether there was something.
    pub fn abort(&self, server: &Server) -> bool {
        let is_aborted = self.cancel(server);
        if is_aborted {
            tracing::info!("Shutdown manually aborted.");
        }
        is_aborted
    }

    fn cancel(&self, server: &Server) -> bool {
        let progress = std::mem::take(&mut *self.progress.lock());
        server.conditions.set_awaiting_end(false);
        server.resume_paused();
        server.clients.for_each(|client| {
            if client.end_wait(|kind| kind == WaitKind::Shutdown) {
                client.post(|mail| mail.unblock = Some(Unblock::Ended));
            }
        });
        progress != Progress::None
    }
}

/// Goes on with what is under way.
pub fn tick(server: &Server) {
    let progress = *server.shutdown.progress.lock();
    if progress != Progress::None && go_on(server, progress) == Ok(Begun::Ready) {
        server.control.shutdown();
    }
}

fn go_on(server: &Server, progress: Progress) -> Result<Begun, Logged> {
    let (shutdown, config) = (&server.shutdown, server.config.get());
    let mut pass = server.keyspace.enter(server.cron_worker());
    match progress {
        Progress::None => Ok(Begun::Waits),
        Progress::Asked(signal) => {
            shutdown.begin(server, &mut pass, signal.flags(&config)).inspect_err(|_| {
                let name = signal.name();
                tracing::warn!(
                    "Received {name} but errors trying to shut down the server, check the logs for \
                     more information"
                );
            })
        }
        Progress::Waits(flags, until_ms) => {
            let is_due = until_ms <= server.clock.unix_ms() || lagging(server).next().is_none();
            if !is_due {
                return Ok(Begun::Waits);
            }
            shutdown.finish(server, &config, &mut pass, flags).map(|()| Begun::Ready)
        }
    }
}

/// Ends the process at once and saves nothing: whatever went on would do damage.
pub fn crash(config: &Config, why: &str) -> ! {
    tracing::error!("Guru Meditation: {why}");
    if config.use_exit_on_panic {
        std::process::exit(1);
    }
    std::process::abort();
}

/// The replicas that have not got all, each with the bytes that it lacks.
fn lagging(server: &Server) -> impl Iterator<Item = (Arc<Replica>, u64)> {
    let end = server.log.ends().replicas;
    replicas(server).filter_map(move |replica| {
        let lag = end.saturating_sub(replica.acked.load(Ordering::Relaxed));
        (lag > 0).then_some((replica, lag))
    })
}

/// Those that get the stream, or will.
fn replicas(server: &Server) -> impl Iterator<Item = Arc<Replica>> {
    server.replication.replicas.all().into_iter().filter(|replica| replica.follows_stream())
}

/// Says who will miss something.
fn tell_lagging(server: &Server) {
    let n_replicas = replicas(server).count();
    if n_replicas == 0 {
        return;
    }
    let now_ms = server.clock.unix_ms();
    let mut n_lagging = 0;
    for (replica, n_bytes) in lagging(server) {
        n_lagging += 1;
        tracing::info!(
            "Lagging replica {} reported offset {n_bytes} behind master, lag={}, state={}.",
            replica.name(),
            replica.shown_lag_s(now_ms),
            replica.state_name()
        );
    }
    tracing::info!(
        "{} of {n_replicas} replicas are in sync when shutting down.",
        n_replicas - n_lagging
    );
}

/// Brings everything to disk.
fn end_files(
    server: &Server,
    config: &Config,
    pass: &mut Pass<'_>,
    flags: ShutdownFlags,
) -> Result<(), Logged> {
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
    supervisor::tell(config, "STATUS=Saving the final RDB snapshot\n");
    let locked = pass.lock_all();
    if save::save_held(server, config, &locked).is_err() {
        if flags.contains(ShutdownFlags::FORCE) {
            tracing::warn!("Error trying to save the DB. Exit anyway.");
            return Ok(());
        }
        tracing::warn!("Error trying to save the DB, can't exit.");
        supervisor::tell(config, "STATUS=Error trying to save the DB, can't exit.\n");
        return Err(Logged);
    }
    // What is changed from now on is not in it.
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
