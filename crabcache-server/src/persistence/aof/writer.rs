//! The thread that writes the last increment.
//!
//! It takes what has come in the meantime, however many commands of however many clients, writes it
//! with one call and, under `appendfsync always`, forces it to disk with one more: the more clients
//! wait, the more each call does. Workers never wait for the disk; replies do ([`super::barrier`]).
//!
//! What is to happen at a certain place of the stream comes as an [`Order`] with that place: the
//! bytes before it are written first, those behind it are not.

use super::{Aof, State, files};
use crate::config::apply::system_text;
use crate::config::{AppendFsync, Config};
use crate::error::Logged;
use crate::replication::log::Ends;
use crate::server::Server;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Between two times that the file is forced to disk under `everysec`, and between two tries to
/// write.
const SECOND_NS: u64 = 1_000_000_000;
/// After a write that nobody waits for, more is let come together.
const PAUSE: Duration = Duration::from_millis(1);
/// How long to wait for bytes before looking whether something is due.
const IDLE: Duration = Duration::from_millis(100);
/// A disk that takes longer is worth a line in the log.
const SLOW_SYNC_NS: u64 = 2 * SECOND_NS;
/// Buffers beyond are given back.
const BUFFER_BYTES_KEPT: usize = 4 << 20;
/// Failures are logged so often.
const LOG_ERROR_EVERY_MS: i64 = 30_000;

/// What the writer is to do at a place of the stream.
pub enum Order {
    /// Write to this file from now on.
    Begin(File),
    /// Go on in a new increment, or in the temporary one before there is a base.
    Turn,
    /// Force everything to disk.
    Flush,
    /// The same, and write to the manifest where the file ends.
    Close,
    /// The same, and write nothing any more.
    End,
}

struct Placed {
    /// Bytes before the place that the log has given out already.
    bytes: Vec<u8>,
    ends: Ends,
    order: Order,
    done: SyncSender<Result<(), Logged>>,
}

/// What waits for the writer.
#[derive(Default)]
pub struct Orders {
    queue: Mutex<VecDeque<Placed>>,
    has_come: Condvar,
}

impl std::fmt::Debug for Orders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Orders").finish_non_exhaustive()
    }
}

impl Orders {
    /// Gives an order that holds at the present end of the stream. The result comes when it is
    /// carried out.
    fn give(&self, server: &Server, order: Order) -> Receiver<Result<(), Logged>> {
        let (done, result) = sync_channel(1);
        // Held over both: what comes behind must not be written before the order is seen.
        let mut queue = self.queue.lock();
        let (bytes, ends) = server.log.turn_aof();
        queue.push_back(Placed { bytes, ends, order, done });
        drop(queue);
        self.has_come.notify_one();
        server.log.wake_aof_writer();
        result
    }
}

/// Opens a file to append to it, or to begin it anew.
///
/// # Errors
/// If that fails; the log says why.
pub fn open(path: &Path, name: &str, is_new: bool) -> Result<File, Logged> {
    let mut options = File::options();
    let options = if is_new {
        options.write(true).truncate(true).create(true)
    } else {
        options.append(true).create(true)
    };
    options.open(path).map_err(|error| {
        tracing::warn!("Can't open the append-only file {name}: {}", system_text(&error));
        Logged
    })
}

/// Has changes logged to `file` from now on. No command runs meanwhile.
pub fn begin(server: &Server, file: File) {
    collect(server);
    // Nobody waits for it; bytes come behind it.
    drop(server.aof.orders.give(server, Order::Begin(file)));
}

/// Has the writer go on in a new file from here on. The keyspace is held, so that every change is
/// either before or behind. The result comes when the file is there.
pub fn turn(server: &Server) -> Receiver<Result<(), Logged>> {
    if !server.log.collects_for_aof() {
        collect(server);
    }
    server.aof.orders.give(server, Order::Turn)
}

/// Logs nothing any more; what was logged is on disk then.
pub fn end(server: &Server) {
    let result = server.aof.orders.give(server, Order::End);
    server.log.collect_for_aof(false);
    server.note_log_readers();
    // Without a thread, in tests, there is nobody to wait for.
    let _ = result.recv_timeout(Duration::from_secs(60));
    server.aof.barrier.lower();
}

/// Waits until all that was logged is on disk.
///
/// # Errors
/// If that fails; the log says why.
pub fn flush(server: &Server) -> Result<(), Logged> {
    server.aof.orders.give(server, Order::Flush).recv().unwrap_or(Err(Logged))
}

/// The same before the server ends, which then knows how far it was when it comes back.
///
/// # Errors
/// As [`flush`].
pub fn close(server: &Server) -> Result<(), Logged> {
    server.aof.orders.give(server, Order::Close).recv().unwrap_or(Err(Logged))
}

/// Has changes collected from now on.
fn collect(server: &Server) {
    raise_barrier(server, &server.config.get());
    server.log.collect_for_aof(true);
    server.note_log_readers();
}

fn raise_barrier(server: &Server, config: &Config) {
    let aof = &server.aof;
    aof.barrier.raise(config.appendfsync == AppendFsync::Always);
}

/// Starts the thread. It ends with the server.
///
/// # Errors
/// If it cannot be started.
pub fn start(server: &Arc<Server>) -> io::Result<()> {
    let weak = Arc::downgrade(server);
    std::thread::Builder::new().name("aof".to_string()).spawn(move || {
        let mut writer = Writer::default();
        while let Some(server) = weak.upgrade() {
            writer.step(&server);
        }
    })?;
    Ok(())
}

/// Writes to the manifest at which replication offset the last file ends, if it is known where it
/// begins.
fn note_end(server: &Server, config: &Config, offset: u64) {
    if server.aof.state() != State::On {
        return;
    }
    let mut manifest = server.aof.manifest.lock();
    let mut changed = manifest.clone();
    let last = changed.increments.last_mut().filter(|part| part.start_offset.is_some());
    let Some(part) = last else { return };
    part.end_offset = i64::try_from(offset).ok();
    // It is a help only.
    if files::write_manifest(config, &changed).is_ok() {
        *manifest = changed;
    }
}

/// See the module's text.
#[derive(Default)]
struct Writer {
    file: Option<File>,
    /// Bytes of the file.
    size: u64,
    /// What is to be written next, up to `end` of the stream.
    bytes: Vec<u8>,
    end: u64,
    synced_at_ns: u64,
    is_unsynced: bool,
    failed_at_ns: Option<u64>,
    logged_failure_ms: Option<i64>,
    stamped_s: i64,
}

impl Writer {
    /// Does what there is to do, or waits for it for a while.
    fn step(&mut self, server: &Server) {
        if self.file.is_none() || !server.log.collects_for_aof() {
            self.wait_for_order(server);
            return;
        }
        if self.bytes.is_empty() {
            self.end = server.log.take_aof(&mut self.bytes, IDLE);
        }
        let config = server.config.get();
        raise_barrier(server, &config);
        let start = self.end - self.bytes.len() as u64;
        if self.carry_out_before(server, start) {
            return;
        }
        let has_bytes = !self.bytes.is_empty();
        self.write(server, &config);
        self.sync_if_due(server, &config);
        self.tell_progress(server, &config);
        self.rest(server, &config, has_bytes);
    }

    fn wait_for_order(&mut self, server: &Server) {
        {
            let mut queue = server.aof.orders.queue.lock();
            if queue.is_empty() {
                server.aof.orders.has_come.wait_for(&mut queue, IDLE);
            }
        }
        self.carry_out_before(server, u64::MAX);
    }

    /// Carries out the first order if its place is not behind `start`. Whether there was one.
    fn carry_out_before(&mut self, server: &Server, start: u64) -> bool {
        let placed = {
            let mut queue = server.aof.orders.queue.lock();
            let is_due = queue.front().is_some_and(|placed| placed.ends.aof <= start);
            if is_due { queue.pop_front() } else { None }
        };
        let Some(Placed { bytes, ends, order, done }) = placed else { return false };
        let config = server.config.get();
        // What was taken behind the order's place goes on waiting.
        let (later, later_end) = (std::mem::replace(&mut self.bytes, bytes), self.end);
        self.end = ends.aof;
        self.write(server, &config);
        let is_written = self.bytes.is_empty();
        let result = if is_written || matches!(order, Order::Begin(_) | Order::End) {
            self.carry_out(server, &config, order, ends.replicas)
        } else {
            Err(Logged)
        };
        self.tell_progress(server, &config);
        // What could not be written is tried again, in the old file.
        if self.file.is_none() || self.bytes.is_empty() {
            self.bytes = later;
        } else {
            self.bytes.extend_from_slice(&later);
        }
        self.end = later_end.max(ends.aof);
        // Who has given the order may have gone.
        let _ = done.send(result);
        true
    }

    fn carry_out(
        &mut self,
        server: &Server,
        config: &Config,
        order: Order,
        offset: u64,
    ) -> Result<(), Logged> {
        match order {
            Order::Begin(file) => {
                self.size = file.metadata().map_or(0, |metadata| metadata.len());
                self.file = Some(file);
                self.note_size(&server.aof);
                self.note_synced(server);
                Ok(())
            }
            Order::Turn => {
                self.sync(server, config)?;
                self.turn(server, config, offset)
            }
            Order::Flush => self.sync(server, config),
            Order::Close => {
                self.sync(server, config)?;
                note_end(server, config, offset);
                Ok(())
            }
            Order::End => {
                let synced = self.sync(server, config);
                note_end(server, config, offset);
                *self = Writer::default();
                synced
            }
        }
    }

    /// Goes on in a new file, which begins at a replication offset.
    fn turn(&mut self, server: &Server, config: &Config, offset: u64) -> Result<(), Logged> {
        let aof = &server.aof;
        let dir = files::dir(config);
        let name = if aof.state() == State::Starting {
            let name = files::temp_increment_name(config);
            self.file = Some(open(&dir.join(&name), &name, true)?);
            aof.rewrites.start_offset.store(offset, Ordering::Relaxed);
            name
        } else {
            let mut manifest = aof.manifest.lock();
            let mut changed = manifest.clone();
            let offset = i64::try_from(offset).unwrap_or(i64::MAX);
            let part = changed.new_increment(&config.appendfilename, offset);
            let name = part.shown_name();
            let file = open(&part.path(&dir), &name, true)?;
            files::write_manifest(config, &changed)?;
            (*manifest, self.file) = (changed, Some(file));
            name
        };
        tracing::info!("Creating AOF incr file {name} on background rewrite");
        self.size = 0;
        self.note_size(aof);
        Ok(())
    }

    fn note_size(&self, aof: &Aof) {
        aof.increment_size.store(self.size, Ordering::Relaxed);
    }

    /// Writes what there is. Bytes that cannot be written stay for the next try.
    fn write(&mut self, server: &Server, config: &Config) {
        let Some(file) = &mut self.file else { return };
        if self.bytes.is_empty() {
            return;
        }
        let now_ns = server.clock.elapsed_ns();
        if self.failed_at_ns.is_some_and(|failed_ns| now_ns < failed_ns + SECOND_NS) {
            return;
        }
        let sleep_us = server.aof.flush_sleep_us.load(Ordering::Relaxed);
        if sleep_us > 0 {
            std::thread::sleep(Duration::from_micros(sleep_us));
        }
        let mut stamp = Vec::new();
        let now_s = server.clock.unix_ms() / 1000;
        if config.aof_timestamp_enabled && self.stamped_s < now_s {
            stamp = format!("#TS:{now_s}\r\n").into_bytes();
        }
        let began_ns = server.clock.elapsed_ns();
        let written = file.write_all(&stamp).and_then(|()| file.write_all(&self.bytes));
        note_latency(server, began_ns);
        match written {
            Ok(()) => {
                if !stamp.is_empty() {
                    self.stamped_s = now_s;
                }
                let n_bytes = (stamp.len() + self.bytes.len()) as u64;
                self.size += n_bytes;
                {
                    let mut written = server.aof.written.lock();
                    (written.end, written.size) = (self.end, written.size + n_bytes);
                }
                self.note_size(&server.aof);
                self.bytes.clear();
                self.bytes.shrink_to(BUFFER_BYTES_KEPT);
                self.is_unsynced = true;
                if self.failed_at_ns.take().is_some() {
                    tracing::info!("AOF write error looks solved, Redis can write again.");
                    note_errno(server, 0);
                }
            }
            Err(error) => self.note_failed(server, config, &error),
        }
    }

    fn note_failed(&mut self, server: &Server, config: &Config, error: &io::Error) {
        let now_ms = server.clock.unix_ms();
        let is_logged =
            self.logged_failure_ms.is_none_or(|at_ms| now_ms > at_ms + LOG_ERROR_EVERY_MS);
        if is_logged {
            self.logged_failure_ms = Some(now_ms);
            tracing::warn!("Error writing to the AOF file: {}", system_text(error));
        }
        let file = self.file.as_ref().map(|file| file.set_len(self.size));
        if let Some(Err(error)) = file
            && is_logged
        {
            tracing::warn!(
                "Could not remove short write from the append-only file.  Redis may refuse to load \
                 the AOF the next time it starts.  ftruncate: {}",
                system_text(&error)
            );
        }
        if config.appendfsync == AppendFsync::Always {
            tracing::warn!(
                "Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting..."
            );
            std::process::exit(1);
        }
        self.failed_at_ns = Some(server.clock.elapsed_ns());
        note_errno(server, error.raw_os_error().unwrap_or(nix::libc::EIO));
    }

    fn sync_if_due(&mut self, server: &Server, config: &Config) {
        let is_busy = || server.persistence.current.lock().is_some();
        if !self.is_unsynced || (config.no_appendfsync_on_rewrite && is_busy()) {
            return;
        }
        let now_ns = server.clock.elapsed_ns();
        let is_due = match config.appendfsync {
            AppendFsync::Always => true,
            AppendFsync::Everysec => now_ns >= self.synced_at_ns + SECOND_NS,
            AppendFsync::No => false,
        };
        if is_due {
            // It was logged, and is tried again.
            let _ = self.sync(server, config);
        }
    }

    fn sync(&mut self, server: &Server, config: &Config) -> Result<(), Logged> {
        let Some(file) = &self.file else { return Ok(()) };
        if !self.is_unsynced {
            self.note_synced(server);
            return Ok(());
        }
        let aof = &server.aof;
        let began_ns = server.clock.elapsed_ns();
        self.synced_at_ns = began_ns;
        aof.is_syncing.store(true, Ordering::Relaxed);
        let synced = file.sync_data();
        aof.is_syncing.store(false, Ordering::Relaxed);
        let took_ns = server.clock.elapsed_ns().saturating_sub(began_ns);
        if config.appendfsync == AppendFsync::Always {
            server.note_latency("aof-fsync-always", took_ns / 1_000_000);
        } else if took_ns > SLOW_SYNC_NS {
            aof.n_delayed_syncs.fetch_add(1, Ordering::Relaxed);
            tracing::info!(
                "Asynchronous AOF fsync is taking too long (disk is busy?). What is logged meanwhile \
                 waits in memory."
            );
        }
        match synced {
            Ok(()) => {
                self.is_unsynced = false;
                if aof.write_errno.load(Ordering::Relaxed) != 0 && self.failed_at_ns.is_none() {
                    note_errno(server, 0);
                }
                self.note_synced(server);
                Ok(())
            }
            Err(error) if config.appendfsync == AppendFsync::Always => {
                tracing::warn!(
                    "Can't persist AOF for fsync error when the AOF fsync policy is 'always': {}. \
                     Exiting...",
                    system_text(&error)
                );
                std::process::exit(1);
            }
            Err(error) => {
                tracing::warn!("Fail to fsync the AOF file: {}", system_text(&error));
                note_errno(server, error.raw_os_error().unwrap_or(nix::libc::EIO));
                Err(Logged)
            }
        }
    }

    /// All that was written is on disk.
    fn note_synced(&self, server: &Server) {
        let written = self.end - self.bytes.len() as u64;
        server.aof.synced.store(written, Ordering::Release);
        server.replication.replicas.serve_waiting(server);
    }

    fn tell_progress(&self, server: &Server, config: &Config) {
        let is_strict = config.appendfsync == AppendFsync::Always;
        let written = self.end - self.bytes.len() as u64;
        let is_kept_waiting = self.is_unsynced && !config.no_appendfsync_on_rewrite;
        if !(is_strict && is_kept_waiting) {
            server.aof.barrier.advance(written);
        }
    }

    /// Lets more come together, unless somebody waits for it.
    fn rest(&self, server: &Server, config: &Config, has_written: bool) {
        server.memory.used.note();
        if self.failed_at_ns.is_some() {
            let mut queue = server.aof.orders.queue.lock();
            if queue.is_empty() {
                server.aof.orders.has_come.wait_for(&mut queue, IDLE);
            }
        } else if has_written && config.appendfsync != AppendFsync::Always {
            std::thread::sleep(PAUSE);
        }
    }
}

fn note_errno(server: &Server, errno: i32) {
    server.aof.write_errno.store(errno, Ordering::Relaxed);
    server.conditions.set_aof_failed(errno != 0);
}

fn note_latency(server: &Server, began_ns: u64) {
    let took_ms = server.clock.elapsed_ns().saturating_sub(began_ns) / 1_000_000;
    let is_busy = server.persistence.current.lock().is_some();
    server
        .note_latency(if is_busy { "aof-write-active-child" } else { "aof-write-alone" }, took_ms);
    server.note_latency("aof-write", took_ms);
}
