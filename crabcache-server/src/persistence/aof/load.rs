//! Reads the append-only file: base, then increments.
//!
//! Each file may begin in RDB format and goes on with commands. One thread reads and parses, another
//! runs the commands: they share the work of a large file.
//!
//! The last file may end in the middle of something, if the system went down while it was written. It
//! is cut where the last complete thing ends (`aof-load-truncated`): behind a command, or before a
//! transaction whose EXEC is missing, because a part of a transaction is nothing.

use super::manifest::{Manifest, Part};
use super::reader::{Reader, Stop};
use super::{Aof, files};
use crate::command::apply::{Applier, Batch, Ground, Refused};
use crate::config::Config;
use crate::config::apply::system_text;
use crate::error::Logged;
use crate::persistence::load::{self, Present};
use crate::server::Server;
use crabcache_store::{Locked, Pass};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

/// Batches of commands that wait at most.
const N_BATCHES_MAX: usize = 32;

/// Where the data go.
pub enum Into<'l, 'p> {
    /// The keyspace, which others may look at.
    Keyspace,
    /// The same, held.
    Held(&'l mut Locked<'p>),
}

/// How a file has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Complete,
    /// It was cut there.
    Truncated,
}

/// Whether so much is to be loaded that clients are answered meanwhile.
pub fn takes_long(config: &Config) -> bool {
    let is_long = |bytes: u64| {
        u64::try_from(config.loading_process_events_interval_bytes).is_ok_and(|min| bytes > min)
    };
    let old = Path::new(&config.dir).join(&config.appendfilename);
    let old_bytes = std::fs::metadata(old).map_or(0, |metadata| metadata.len());
    let dir = std::fs::read_dir(files::dir(config)).into_iter().flatten().flatten();
    let bytes = dir.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum();
    config.key_load_delay != 0 || is_long(bytes) || is_long(old_bytes)
}

/// Loads the data at the start of the server.
///
/// # Errors
/// If they cannot be loaded; the log says why.
pub fn at_start(server: &Server) -> Result<(), Logged> {
    let config = server.config.get();
    let began_ns = server.clock.elapsed_ns();
    if load(server, &config, &mut Into::Keyspace)? {
        let took_s = (server.clock.elapsed_ns() - began_ns) as f64 / 1e9;
        tracing::info!("DB loaded from append only file: {took_s:.3} seconds");
    }
    Ok(())
}

/// Loads all files that the manifest names. Whether there are any.
///
/// # Errors
/// If they cannot be loaded; the log says why.
pub fn load(
    server: &Server,
    config: &Arc<Config>,
    into: &mut Into<'_, '_>,
) -> Result<bool, Logged> {
    let aof = &server.aof;
    let manifest = {
        let mut manifest = aof.manifest.lock();
        files::adopt_old_file(config, &mut manifest)?;
        manifest.clone()
    };
    if manifest.is_empty() {
        return Ok(false);
    }
    let total = files::total_size(config, &manifest)?;
    if total == 0 {
        return Ok(true);
    }
    load::begin_bytes(server, total);
    let loaded = load_parts(server, config, &manifest, into);
    server.persistence.loading.is_under_way.store(false, Ordering::Relaxed);
    loaded?;
    note_sizes(aof, config, &manifest)?;
    Ok(true)
}

fn note_sizes(aof: &Aof, config: &Config, manifest: &Manifest) -> Result<(), Logged> {
    let base = manifest.base.as_ref().map_or(Ok(0), |base| files::size_of(config, base))?;
    aof.base_size.store(base, Ordering::Relaxed);
    aof.written.lock().size = files::total_size(config, manifest)?;
    Ok(())
}

fn load_parts(
    server: &Server,
    config: &Arc<Config>,
    manifest: &Manifest,
    into: &mut Into<'_, '_>,
) -> Result<(), Logged> {
    let n_parts = manifest.parts().count();
    for (index, part) in manifest.parts().enumerate() {
        let is_base = index == 0 && manifest.base.is_some();
        let began_ns = server.clock.elapsed_ns();
        let name = part.shown_name();
        let end = load_part(server, config, part, into)?;
        if end == End::Truncated && index + 1 < n_parts {
            tracing::warn!("Fatal error: the truncated file is not the last file");
            return Err(Logged);
        }
        let took_s = (server.clock.elapsed_ns() - began_ns) as f64 / 1e9;
        let kind = if is_base { "base" } else { "incr" };
        tracing::info!("DB loaded from {kind} file {name}: {took_s:.3} seconds");
        let loading = &server.persistence.loading;
        let size = files::size_of(config, part)?;
        loading.earlier_bytes.fetch_add(size, Ordering::Relaxed);
    }
    Ok(())
}

fn load_part(
    server: &Server,
    config: &Arc<Config>,
    part: &Part,
    into: &mut Into<'_, '_>,
) -> Result<End, Logged> {
    let (path, name) = (part.path(&files::dir(config)), part.shown_name());
    let mut file = File::open(&path).map_err(|error| {
        tracing::warn!(
            "Fatal error: can't open the append log file {name} for reading: {}",
            system_text(&error)
        );
        Logged
    })?;
    let unreadable = |error: std::io::Error| {
        tracing::warn!(
            "Unrecoverable error reading the append only file {name}: {}",
            system_text(&error)
        );
        Logged
    };
    let start = if is_rdb(&mut file).map_err(unreadable)? {
        let is_old_style = name == config.appendfilename;
        let offset = load_preamble(server, config, &file, (&name, is_old_style), into)?;
        file.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
        offset
    } else {
        0
    };
    let (progress, stop) = run_commands(server, config, &file, start, &name, into)?;
    match stop {
        None if !progress.is_in_transaction => Ok(End::Complete),
        None => {
            tracing::warn!("Revert incomplete MULTI/EXEC transaction in AOF file {name}");
            truncate(config, &path, &name, progress.before_transaction)
        }
        Some(Stop::Truncated) if progress.is_in_transaction => {
            tracing::warn!("Revert incomplete MULTI/EXEC transaction in AOF file {name}");
            truncate(config, &path, &name, progress.before_transaction)
        }
        Some(Stop::Truncated) => truncate(config, &path, &name, progress.valid_up_to),
        Some(Stop::Io(error)) => Err(unreadable(error)),
        Some(Stop::Malformed) => {
            tracing::warn!(
                "Bad file format reading the append only file {name}: make a backup of your AOF \
                 file, then use ./redis-check-aof --fix <filename.manifest>"
            );
            Err(Logged)
        }
    }
}

/// Whether a file begins in RDB format. Leaves it at its beginning.
fn is_rdb(file: &mut File) -> std::io::Result<bool> {
    let mut magic = Vec::new();
    file.take(6).read_to_end(&mut magic)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(magic.starts_with(b"REDIS") || magic == b"VALKEY")
}

/// Loads the part of a file that is in RDB format. Returns where it ends.
fn load_preamble(
    server: &Server,
    config: &Arc<Config>,
    file: &File,
    (name, is_old_style): (&str, bool),
    into: &mut Into<'_, '_>,
) -> Result<u64, Logged> {
    tracing::info!(
        "{}",
        if is_old_style {
            "Reading RDB preamble from AOF file..."
        } else {
            "Reading RDB base file on AOF loading..."
        }
    );
    let loaded = match into {
        Into::Keyspace => load::preamble(server, config, file),
        Into::Held(locked) => load::preamble_held(server, config, file, locked, Present::Refuse),
    };
    let offset = loaded.inspect_err(|_| {
        let what = if is_old_style { "RDB preamble of the AOF file" } else { "RDB base file" };
        tracing::warn!("Error reading the {what} {name}, AOF loading aborted");
    })?;
    if is_old_style {
        tracing::info!("Reading the remaining AOF tail...");
    }
    Ok(offset)
}

/// How far the commands of a file were run.
#[derive(Debug, Clone, Copy)]
struct Progress {
    /// The end of the last command.
    valid_up_to: u64,
    /// Where the open transaction begins.
    before_transaction: u64,
    is_in_transaction: bool,
}

/// Runs the commands of a file from `start` on. Returns how far, and why it could not go on.
fn run_commands(
    server: &Server,
    config: &Arc<Config>,
    file: &File,
    start: u64,
    name: &str,
    into: &mut Into<'_, '_>,
) -> Result<(Progress, Option<Stop>), Logged> {
    let mut progress =
        Progress { valid_up_to: start, before_transaction: start, is_in_transaction: false };
    let (sender, receiver) = sync_channel(N_BATCHES_MAX);
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || {
            let mut reader = Reader::new(file, start);
            loop {
                match reader.next_batch() {
                    Ok(batch) if batch.is_empty() => return None,
                    // If nobody takes it, whoever runs commands has failed and tells so.
                    Ok(batch) => {
                        if sender.send(batch).is_err() {
                            return None;
                        }
                    }
                    Err(stop) => return Some(stop),
                }
            }
        });
        let run = run_all(server, config, &receiver, &mut progress, name, into);
        drop(receiver);
        let stop = reading.join().expect("a panic of the reader was logged");
        run.map(|()| (progress, stop))
    })
}

fn run_all(
    server: &Server,
    config: &Arc<Config>,
    batches: &Receiver<Batch>,
    progress: &mut Progress,
    name: &str,
    into: &mut Into<'_, '_>,
) -> Result<(), Logged> {
    let worker = server.snapshot_worker();
    let loading = &server.persistence.loading;
    let mut applier = Applier::new(server, worker);
    while let Ok(batch) = batches.recv() {
        let before = progress.valid_up_to;
        let done = |index: usize, is_in_transaction: bool| {
            if is_in_transaction && !progress.is_in_transaction {
                progress.before_transaction = progress.valid_up_to;
            }
            progress.is_in_transaction = is_in_transaction;
            progress.valid_up_to = batch.ends[index].1;
            delay(server, config);
        };
        let ran = match into {
            Into::Keyspace => {
                let mut pass: Pass<'_> = server.keyspace.enter(worker);
                applier.run(server, config, Ground::Pass(&mut pass), &batch, done)
            }
            Into::Held(locked) => applier.run(server, config, Ground::Held(locked), &batch, done),
        };
        ran.map_err(|Refused { index }| {
            tracing::warn!(
                "Unknown command '{}' reading the append only file {name}",
                String::from_utf8_lossy(batch.args(index).get(0))
            );
            Logged
        })?;
        let n_bytes = progress.valid_up_to - before;
        loading.loaded_bytes.fetch_add(n_bytes, Ordering::Relaxed);
        server.memory.used.note();
    }
    Ok(())
}

/// Waits after each command, as tests want it.
fn delay(server: &Server, config: &Config) {
    if config.key_load_delay > 0 {
        let delay_us = server.config.get().key_load_delay;
        std::thread::sleep(Duration::from_micros(u64::try_from(delay_us).unwrap_or(0)));
    }
}

/// Cuts a file whose end is missing, if that is allowed.
fn truncate(config: &Config, path: &Path, name: &str, len: u64) -> Result<End, Logged> {
    if config.aof_load_truncated {
        tracing::warn!("!!! Warning: short read while loading the AOF file {name}!!!");
        tracing::warn!("!!! Truncating the AOF {name} at offset {len} !!!");
        let file = File::options().write(true).open(path);
        match file.and_then(|file| file.set_len(len).and_then(|()| file.sync_all())) {
            Ok(()) => {
                tracing::warn!("AOF {name} loaded anyway because aof-load-truncated is enabled");
                return Ok(End::Truncated);
            }
            Err(error) => {
                tracing::warn!("Error truncating the AOF file {name}: {}", system_text(&error));
            }
        }
    }
    tracing::warn!(
        "Unexpected end of file reading the append only file {name}. You can: 1) Make a backup of \
         your AOF file, then use ./redis-check-aof --fix <filename.manifest>. 2) Alternatively you \
         can set the 'aof-load-truncated' configuration option to yes and restart the server."
    );
    Err(Logged)
}
