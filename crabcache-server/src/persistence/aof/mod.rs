//! The append-only file: every change, in the order of the replication log.
//!
//! ```text
//!  replication log --bytes--> writer thread --> incr file --fsync--> barrier --> held replies
//!                                 ^ orders: begin a new increment, stop, flush
//!  BGREWRITEAOF: snapshot walk --> base file, then the manifest
//! ```
//!
//! - [`manifest`]: which files there are; [`files`]: their directory.
//! - [`load`], [`reader`]: read them.
//! - [`writer`]: writes the last increment; [`barrier`] holds replies back until it has.
//! - [`rewrite`]: replaces all by a new base and one increment; [`commands`] is a base of commands.
//!
//! [`Aof`] is what the threads share about it. Locked in this order: manifest, orders.

pub mod barrier;
pub mod commands;
pub mod files;
pub mod load;
pub mod manifest;
pub mod reader;
pub mod rewrite;
pub mod writer;

use crate::config::Config;
use crate::error::Logged;
use crate::server::Server;
use barrier::Barrier;
use manifest::Manifest;
use parking_lot::Mutex;
use rewrite::Rewrites;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, Ordering};
use writer::Orders;

/// Whether changes are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// They are not.
    Off,
    /// They are, to a file that counts as soon as the first base is complete.
    Starting,
    /// They are.
    On,
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Aof {
    state: AtomicU8,
    /// The files. Held while the manifest's file is written.
    pub manifest: Mutex<Manifest>,
    /// For the writer.
    pub orders: Orders,
    /// Holds replies back.
    pub barrier: Barrier,
    /// Rewriting.
    pub rewrites: Rewrites,
    /// What is in the files.
    pub written: Mutex<Written>,
    /// The stream is forced to disk up to here.
    pub synced: AtomicU64,
    /// Bytes of all files with data when the last rewrite ended.
    pub base_size: AtomicU64,
    /// Bytes of the increment that is being written.
    pub increment_size: AtomicU64,
    /// Times that the disk took too long.
    pub n_delayed_syncs: AtomicU64,
    /// The system's number of the error that writing fails with; 0: it does not.
    pub write_errno: AtomicI32,
    /// Whether an fsync is under way.
    pub is_syncing: AtomicBool,
    /// Microseconds before each write, for tests (DEBUG AOF-FLUSH-SLEEP).
    pub flush_sleep_us: AtomicU64,
}

/// How far the writer has come.
#[derive(Debug, Default, Clone, Copy)]
pub struct Written {
    /// The stream is written up to here.
    pub end: u64,
    /// Bytes of all files with data.
    pub size: u64,
}

impl Aof {
    /// See [`State`].
    pub fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            0 => State::Off,
            1 => State::Starting,
            _ => State::On,
        }
    }

    /// Whether the stream is on disk up to `end`.
    pub fn has_on_disk(&self, end: u64) -> bool {
        self.state() == State::On && self.synced.load(Ordering::Acquire) >= end
    }

    /// The same, or it never will be.
    pub fn need_not_wait(&self, end: u64) -> bool {
        self.has_on_disk(end) || self.state() == State::Off
    }

    fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Release);
    }
}

/// Begins logging at the start of the server, when the data were loaded.
///
/// # Errors
/// If the files cannot be made; the log says why.
pub fn open_at_start(server: &Server) -> Result<(), Logged> {
    let config = server.config.get();
    if !config.appendonly {
        return Ok(());
    }
    files::create_dir(&config)?;
    let aof = &server.aof;
    let mut manifest = aof.manifest.lock();
    let was_empty = manifest.is_empty();
    let mut changed = manifest.clone();
    if was_empty {
        rewrite::write_empty_base(server, &config, &mut changed)?;
    }
    let is_new = changed.increments.is_empty();
    if is_new {
        let offset = i64::try_from(server.log.ends().replicas).unwrap_or(i64::MAX);
        changed.new_increment(&config.appendfilename, offset);
    } else {
        go_on_from_last(server, &config, &mut changed);
    }
    let part = &changed.increments[changed.increments.len() - 1];
    let name = part.shown_name();
    let file = writer::open(&part.path(&files::dir(&config)), &name, false)?;
    if changed != *manifest {
        files::write_manifest(&config, &changed)?;
    }
    *manifest = changed;
    // Those that were left by a rewrite that was interrupted.
    let _ = files::remove_history(&config, &mut manifest);
    drop(manifest);
    let verb = if is_new { "Creating" } else { "Opening" };
    tracing::info!("{verb} AOF incr file {name} on server start");
    let total = files::total_size(&config, &aof.manifest.lock())?;
    aof.written.lock().size = total;
    aof.set_state(State::On);
    writer::begin(server, file);
    Ok(())
}

/// Goes on from the replication offset at which the last increment ends. It will not end there.
fn go_on_from_last(server: &Server, config: &Config, manifest: &mut Manifest) {
    let Some(last) = manifest.increments.last_mut() else { return };
    let n_bytes = || std::fs::metadata(last.path(&files::dir(config))).map_or(0, |file| file.len());
    let offset = match (last.start_offset, last.end_offset) {
        (_, Some(end)) => u64::try_from(end).ok(),
        // Compat: at least so many bytes of the stream were there.
        (Some(start), None) => u64::try_from(start).ok().map(|start| start + n_bytes()),
        (None, None) => None,
    };
    if let Some(offset) = offset {
        server.log.go_on_from(offset);
    }
    last.end_offset = None;
}

/// Begins logging at run time: it counts when the first base is complete, which is begun as soon as
/// possible.
pub fn start(server: &Server) {
    let aof = &server.aof;
    if aof.write_errno.swap(0, Ordering::Relaxed) != 0 {
        tracing::warn!("AOF reopen, just ignore the last error.");
        server.conditions.set_aof_failed(false);
    }
    aof.set_state(State::Starting);
    aof.rewrites.is_scheduled.store(true, Ordering::Relaxed);
    let but = match *server.persistence.current.lock() {
        Some(_) => " but there is already another background operation",
        None => "",
    };
    tracing::info!("AOF was enabled{but}. An AOF background was scheduled to start when possible.");
}

/// Ends logging at run time: all that was logged is on disk then.
pub fn stop(server: &Server) {
    let aof = &server.aof;
    if aof.state() == State::Off {
        return;
    }
    rewrite::kill(server);
    writer::end(server);
    if aof.state() == State::Starting {
        let config = server.config.get();
        // It may not have come so far as to exist.
        let _ = std::fs::remove_file(files::dir(&config).join(files::temp_increment_name(&config)));
    }
    aof.set_state(State::Off);
    server.replication.replicas.serve_waiting(server);
    aof.rewrites.is_scheduled.store(false, Ordering::Relaxed);
    aof.written.lock().size = 0;
    for counter in [&aof.base_size, &aof.increment_size] {
        counter.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
