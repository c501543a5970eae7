//! Snapshots while all threads work: the keyspace as it was at one moment, written bit by bit.
//!
//! ```text
//!  walk (this thread) --chunks-----------------\
//!                                               file
//!  commands --old images--> queue (bounded) ----/
//! ```
//!
//! The walk takes each entry at the latest when its turn comes. A command that is about to change an
//! entry before that writes the old one into the queue ([`Output::put`]), which the walk empties
//! between its slices. When the queue is full, the command writes it to the file itself: so memory
//! is bounded, and who changes much pays for it. Nobody who holds the file or the queue waits for a
//! stripe, so nothing can lock up.
//!
//! What this is not: it does not decide when a snapshot is due (`due.rs`).

use super::aof::rewrite;
use super::file::{IncrementalSync, TempFile, write_failed};
use super::form::{Form, base_failed};
use super::rdb::encode::Encoder;
use super::save;
use crate::config::Config;
use crate::error::{CommandError, Logged};
use crate::replication::full_sync;
use crate::replication::spool::Spool;
use crate::server::Server;
use crabcache_store::{Entry, Images, Locked, Pass, Snapshot};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

/// So many bytes are written at a time.
const CHUNK_BYTES: usize = 64 * 1024;
/// Buckets that are gone through with their stripe locked.
const N_BUCKETS: usize = 8;
/// Slices after which the gate is given up.
const N_SLICES: usize = 8;

/// A snapshot that has begun and is to be written.
pub struct Job {
    snapshot: Snapshot,
    output: Arc<Output>,
    config: Arc<Config>,
    /// Changes that it has, of all that were ever counted.
    dirty: u64,
    began_ns: u64,
}

/// Records of a file. They begin with the number of their database.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    db: Option<usize>,
}

impl Chunk {
    fn select(&mut self, form: &Form, db: usize) {
        if self.db != Some(db) {
            form.select(&mut self.bytes, db);
            self.db = Some(db);
        }
    }

    fn take(&mut self) -> Vec<u8> {
        self.db = None;
        std::mem::take(&mut self.bytes)
    }
}

/// What becomes of a snapshot.
#[derive(Clone)]
pub enum Destination {
    /// The file that is loaded at the next start.
    Snapshot,
    /// The base of the append-only file.
    Base,
    /// Replicas read it while it is written; then it is gone.
    Replicas(Arc<Spool>),
}

impl Destination {
    fn purpose(&self) -> Purpose {
        match self {
            Destination::Snapshot => Purpose::Save,
            Destination::Base => Purpose::Rewrite,
            Destination::Replicas(_) => Purpose::Sync,
        }
    }
}

/// What a snapshot is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The snapshot's file.
    Save,
    /// The append-only file.
    Rewrite,
    /// Replicas.
    Sync,
}

enum Target {
    /// There is no file yet; this is its beginning.
    New(Vec<u8>),
    File(TempFile),
    /// Nothing more is written.
    Closed,
}

/// Where a snapshot goes. Locked in this order: queue, file; never a stripe after one of them.
pub struct Output {
    form: Form,
    config: Arc<Config>,
    destination: Destination,
    queue: Mutex<Chunk>,
    queue_bytes_max: usize,
    target: Mutex<Target>,
    has_failed: AtomicBool,
    is_aborted: AtomicBool,
    n_keys: AtomicU64,
    /// Entries that commands have handed over and that are not counted yet.
    n_images: AtomicU64,
    /// What is waited for after each key, in microseconds, as tests want it.
    key_delay_us: AtomicI64,
}

impl Images for Output {
    fn put(&self, db: usize, entry: &Entry) {
        if self.is_over() {
            return;
        }
        let full = {
            let mut queue = self.queue.lock();
            queue.select(&self.form, db);
            if self.form.put(&mut queue.bytes, entry).is_err() {
                self.has_failed.store(true, Ordering::Relaxed);
            }
            (queue.bytes.len() >= self.queue_bytes_max).then(|| queue.take())
        };
        self.n_images.fetch_add(1, Ordering::Relaxed);
        if let Some(full) = full {
            // Who writes the snapshot finds out that this has failed.
            let _ = self.write(&full);
        }
    }
}

impl Output {
    /// Keys written so far.
    pub fn n_keys(&self) -> u64 {
        self.n_keys.load(Ordering::Relaxed)
    }

    /// Has it wait for so long after each key from now on.
    pub fn set_key_delay(&self, delay_us: i64) {
        self.key_delay_us.store(delay_us, Ordering::Relaxed);
    }

    /// Ends the snapshot without a file.
    pub fn abort(&self) {
        self.is_aborted.store(true, Ordering::Relaxed);
        *self.target.lock() = Target::Closed;
        self.queue.lock().take();
    }

    fn is_over(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed) || self.is_aborted.load(Ordering::Relaxed)
    }

    /// Writes records, or the beginning of the file. Returns how long the file is.
    fn write(&self, bytes: &[u8]) -> Result<u64, Logged> {
        let mut target = self.target.lock();
        let written = self.write_to(&mut target, bytes);
        if written.is_err() {
            self.has_failed.store(true, Ordering::Relaxed);
            *target = Target::Closed;
        }
        written
    }

    fn write_to(&self, target: &mut Target, bytes: &[u8]) -> Result<u64, Logged> {
        if let Target::New(header) = target {
            let mut file = self.create()?;
            file.write(header).map_err(|error| self.failed("rdbSaveRio", &error))?;
            *target = Target::File(file);
        }
        let Target::File(file) = target else { return Err(Logged) };
        file.write(bytes).map_err(|error| self.failed("rdbSaveRio", &error))?;
        if let Destination::Replicas(spool) = &self.destination {
            spool.grown_to(file.n_bytes());
        }
        Ok(file.n_bytes())
    }

    fn create(&self) -> Result<TempFile, Logged> {
        let name = self.temp_name();
        match &self.destination {
            Destination::Snapshot => save::create(&self.config, &name),
            Destination::Base => rewrite::create(&self.config, &name, self.form.has_checksum()),
            Destination::Replicas(spool) => {
                let file = save::create(&self.config, &name)?;
                let reader = file.reader().map_err(|error| write_failed("open", &error))?;
                spool.begin(reader);
                Ok(file)
            }
        }
    }

    /// The file's name until it is complete.
    pub fn temp_name(&self) -> String {
        let pid = std::process::id();
        match self.destination {
            Destination::Snapshot => format!("temp-{pid}.bg.rdb"),
            Destination::Base => format!("temp-rewriteaof-bg-{pid}.aof"),
            Destination::Replicas(_) => format!("temp-repl-{pid}.rdb"),
        }
    }

    fn failed(&self, step: &str, error: &std::io::Error) -> Logged {
        match self.destination {
            Destination::Snapshot | Destination::Replicas(_) => write_failed(step, error),
            Destination::Base => base_failed(error),
        }
    }

    /// Writes what commands have handed over.
    fn write_queue(&self) -> Result<(), Logged> {
        let bytes = self.queue.lock().take();
        if bytes.is_empty() { Ok(()) } else { self.write(&bytes).map(drop) }
    }

    /// The file as it is, for forcing it to disk.
    fn sync(&self) -> IncrementalSync {
        let is_wanted = match self.destination {
            Destination::Snapshot => self.config.rdb_save_incremental_fsync,
            Destination::Base => self.config.aof_rewrite_incremental_fsync,
            Destination::Replicas(_) => false,
        };
        match &*self.target.lock() {
            Target::File(file) => IncrementalSync::new(file, is_wanted),
            Target::New(_) | Target::Closed => IncrementalSync::default(),
        }
    }

    /// Writes the end. Gives the file, which is to get its name.
    fn finish(&self) -> Result<TempFile, Logged> {
        self.write_queue()?;
        let mut end = Vec::new();
        self.form.end(&mut end);
        self.write(&end)?;
        let target = std::mem::replace(&mut *self.target.lock(), Target::Closed);
        let Target::File(mut file) = target else { return Err(Logged) };
        if self.form.has_checksum() {
            let checksum = file.checksum().to_le_bytes();
            file.write(&checksum).map_err(|error| self.failed("rdbSaveRio", &error))?;
        }
        if let Destination::Replicas(spool) = &self.destination {
            spool.grown_to(file.n_bytes());
            spool.end(true);
        }
        Ok(file)
    }
}

/// Begins a snapshot of the keyspace as it is now.
///
/// # Errors
/// [`CommandError::SaveInProgress`] if one is under way.
pub fn begin(
    server: &Server,
    config: &Arc<Config>,
    locked: &mut Locked<'_>,
) -> Result<Job, CommandError> {
    let form = Form::Rdb(Encoder::new(server, config));
    begin_for(server, config, locked, Destination::Snapshot, form)
}

/// The same for another destination than the file.
///
/// # Errors
/// As [`begin`].
pub fn begin_for(
    server: &Server,
    config: &Arc<Config>,
    locked: &mut Locked<'_>,
    destination: Destination,
    form: Form,
) -> Result<Job, CommandError> {
    let mut current = server.persistence.current.lock();
    if current.is_some() {
        return Err(CommandError::SaveInProgress);
    }
    let purpose = destination.purpose();
    let header = form.header(server, config, purpose == Purpose::Rewrite);
    let output = Arc::new(Output {
        target: Mutex::new(Target::New(header)),
        form,
        config: config.clone(),
        destination,
        queue: Mutex::default(),
        queue_bytes_max: usize::try_from(config.snapshot_queue_limit).unwrap_or(usize::MAX),
        has_failed: AtomicBool::new(false),
        is_aborted: AtomicBool::new(false),
        n_keys: AtomicU64::new(0),
        n_images: AtomicU64::new(0),
        key_delay_us: AtomicI64::new(config.rdb_key_save_delay),
    });
    let images: Arc<dyn Images> = output.clone();
    // One that was aborted may still be on its way.
    let snapshot = locked.begin_snapshot(&images).ok_or(CommandError::SaveInProgress)?;
    let n_keys = snapshot.sizes().iter().map(|size| size.n_keys as u64).sum();
    let began_s = server.clock.unix_ms() / 1000;
    *current = Some(super::state::Current { began_s, n_keys, purpose, output: output.clone() });
    if purpose != Purpose::Rewrite {
        server.persistence.rdb_saves.fetch_add(1, Ordering::Relaxed);
    }
    Ok(Job {
        snapshot,
        output,
        config: config.clone(),
        dirty: server.stats.dirty(),
        began_ns: server.clock.elapsed_ns(),
    })
}

/// Begins a snapshot that is written in the background.
///
/// # Errors
/// As [`begin`].
pub fn begin_in_background(
    server: &Server,
    config: &Arc<Config>,
    locked: &mut Locked<'_>,
) -> Result<(), CommandError> {
    let job = begin(server, config, locked)?;
    let now_s = server.clock.unix_ms() / 1000;
    server.persistence.last_bgsave_try_s.store(now_s, Ordering::Relaxed);
    server.persistence.is_scheduled.store(false, Ordering::Relaxed);
    tracing::info!("Background saving started by pid {}", std::process::id());
    leave_to_background(server, job);
    Ok(())
}

/// Hands a snapshot to the thread that writes them.
pub fn leave_to_background(server: &Server, job: Job) {
    server.stats.total_forks.fetch_add(1, Ordering::Relaxed);
    server.persistence.jobs.put(job);
}

/// Writes a snapshot in the background, to its end.
pub fn run_in_background(server: &Server, job: Job) {
    let began_ns = job.began_ns;
    let (dirty, output) = (job.dirty, job.output.clone());
    let written = run(job, |slices| {
        slices(&mut server.keyspace.enter(server.snapshot_worker()));
        // What commands have queued was written and freed here.
        server.memory.used.note();
    });
    let took_s = server.clock.elapsed_ns().saturating_sub(began_ns) / 1_000_000_000;
    let took_s = i64::try_from(took_s).unwrap_or(i64::MAX);
    let is_aborted = || output.is_aborted.load(Ordering::Relaxed);
    match &output.destination {
        Destination::Snapshot => {
            let saved = written.and_then(|file| save_as(server, &output, file, dirty));
            tell_saved(server, saved, is_aborted());
            server.persistence.last_bgsave_took_s.store(took_s, Ordering::Relaxed);
        }
        Destination::Base => rewrite::finish(server, written, &output.temp_name(), is_aborted()),
        Destination::Replicas(spool) => {
            // If it has been completed, that stands.
            spool.end(false);
            full_sync::note_ended(server, written.is_ok(), is_aborted());
        }
    }
    // Only now may the next one begin.
    *server.persistence.current.lock() = None;
    // Who waits for what a new base has on disk finds the rewrite ended.
    server.replication.replicas.serve_waiting(server);
}

fn tell_saved(server: &Server, saved: Result<(), Logged>, is_aborted: bool) {
    match saved {
        Ok(()) => tracing::info!("Background saving terminated with success"),
        Err(Logged) if is_aborted => {
            // Compat: the reference's child is killed by this signal.
            tracing::warn!("Background saving terminated by signal 10");
        }
        Err(Logged) => {
            tracing::warn!("Background saving error");
            save::note_failed(server);
        }
    }
}

/// Writes a snapshot while the caller waits. The caller's gate stays its own.
///
/// # Errors
/// If that fails; the log says why.
pub fn run_in_foreground(server: &Server, job: Job, pass: &mut Pass<'_>) -> Result<(), Logged> {
    let (dirty, output) = (job.dirty, job.output.clone());
    let written = run(job, |slices| {
        pass.give_way();
        slices(pass);
    });
    let saved = written.and_then(|file| save_as(server, &output, file, dirty));
    *server.persistence.current.lock() = None;
    saved
}

/// Gives a complete snapshot its name.
fn save_as(server: &Server, output: &Output, file: TempFile, dirty: u64) -> Result<(), Logged> {
    file.finish(&save::path(&output.config))?;
    tracing::info!("DB saved on disk");
    server.persistence.note_saved(dirty, server.clock.unix_ms() / 1000);
    server.conditions.set_save_failed(false);
    Ok(())
}

/// Walks and writes. `with_pass` lends a gate for some slices at a time.
fn run(
    mut job: Job,
    mut with_pass: impl FnMut(&mut dyn FnMut(&mut Pass<'_>)),
) -> Result<TempFile, Logged> {
    let output = job.output.clone();
    let written = write_all(&mut job, &output, &mut with_pass);
    // Marks and flushed tables must go in any case.
    job.snapshot.abandon();
    let mut is_more = written.is_err();
    while is_more {
        with_pass(&mut |pass| {
            is_more = job.snapshot.step(pass, N_BUCKETS * N_SLICES, |_, _| {});
        });
    }
    written.and_then(|()| output.finish())
}

fn write_all(
    job: &mut Job,
    output: &Output,
    with_pass: &mut impl FnMut(&mut dyn FnMut(&mut Pass<'_>)),
) -> Result<(), Logged> {
    let Job { snapshot, config, .. } = job;
    let sizes = snapshot.sizes().to_vec();
    let mut chunk = Chunk::default();
    let mut last_db = None;
    // The file is there from the beginning, for those who look.
    output.write(&[])?;
    let mut sync = output.sync();
    let (n_buckets, n_slices) =
        if config.rdb_key_save_delay == 0 { (N_BUCKETS, N_SLICES) } else { (1, 1) };
    let mut is_more = true;
    while is_more {
        let mut n_visited = 0;
        let mut encoded = Ok(());
        with_pass(&mut |pass| {
            for _ in 0..n_slices {
                is_more = is_more
                    && snapshot.step(pass, n_buckets, |db, entry| {
                        chunk.select(&output.form, db);
                        if last_db.replace(db) != Some(db) {
                            output.form.size(&mut chunk.bytes, sizes[db]);
                        }
                        n_visited += 1;
                        if encoded.is_ok() {
                            encoded = output.form.put(&mut chunk.bytes, entry);
                        }
                    });
            }
        });
        encoded?;
        if output.is_over() {
            return Err(Logged);
        }
        output.write_queue()?;
        if chunk.bytes.len() >= CHUNK_BYTES || !is_more {
            let n_bytes = output.write(&chunk.bytes)?;
            (chunk.db, _) = (None, chunk.bytes.clear());
            sync.grown_to(n_bytes).map_err(|error| output.failed("fsync", &error))?;
        }
        count(output, n_visited + output.n_images.swap(0, Ordering::Relaxed));
    }
    Ok(())
}

/// Counts keys that were written; waits after each, as tests want it.
fn count(output: &Output, n_keys: u64) {
    const WAIT_MAX: Duration = Duration::from_millis(10);
    let delay = || {
        let delay_us = output.key_delay_us.load(Ordering::Relaxed);
        Duration::from_micros(u64::try_from(delay_us).unwrap_or(0))
    };
    if delay().is_zero() {
        output.n_keys.fetch_add(n_keys, Ordering::Relaxed);
        // A negative number is a part of a microsecond: less than what the rest takes.
        return;
    }
    for _ in 0..n_keys {
        let mut waited = Duration::ZERO;
        while waited < delay() && !output.is_over() {
            let wait = (delay() - waited).min(WAIT_MAX);
            std::thread::sleep(wait);
            waited += wait;
        }
        output.n_keys.fetch_add(1, Ordering::Relaxed);
    }
}

/// The thread that writes snapshots in the background.
#[derive(Default)]
pub struct Jobs {
    queue: std::sync::OnceLock<std::sync::mpsc::Sender<Job>>,
    /// Without a thread, the job that waits for one.
    waiting: Mutex<Option<Job>>,
}

impl Jobs {
    /// Starts the thread. It ends with the server.
    pub fn start(server: &Arc<Server>) {
        let (sender, receiver) = channel();
        if server.persistence.jobs.queue.set(sender).is_ok() {
            let server = Arc::downgrade(server);
            std::thread::spawn(move || {
                while let Ok(job) = receiver.recv() {
                    let Some(server) = server.upgrade() else { return };
                    run_in_background(&server, job);
                    server.memory.used.note();
                }
            });
        }
    }

    /// The job that waits, if there is no thread.
    pub fn take_waiting(&self) -> Option<Job> {
        self.waiting.lock().take()
    }

    /// Has the thread write a snapshot.
    pub fn put(&self, job: Job) {
        match self.queue.get() {
            // The thread lives as long as the sender.
            Some(queue) => drop(queue.send(job)),
            None => *self.waiting.lock() = Some(job),
        }
    }
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs").finish_non_exhaustive()
    }
}
