//! Reads the snapshot's file into the keyspace.
//!
//! One thread reads and decodes, another inserts: they share the work of a large file. What is kept
//! of it at a time are some batches of keys between the two.

use super::rdb::decode::{Decoder, Item, LoadedKey, Options};
use super::{aof, save};
use crate::check;
use crate::config::Config;
use crate::config::apply::system_text;
use crate::error::{Logged, RdbError, RdbFileError};
use crate::replication::Position;
use crate::replication::log::Targets;
use crate::scripting::functions;
use crate::server::Server;
use crabcache_store::{Entry, Env, Expiry, Locked, Mode, Trace};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Keys that the decoder hands over at a time.
const BATCH_LEN: usize = 128;
/// Batches that wait at most.
const N_BATCHES_MAX: usize = 16;
/// Empty collections that are mentioned in the log.
const N_EMPTY_LOGGED_MAX: u64 = 10;

/// What becomes of keys that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Present {
    /// They must not be.
    Refuse,
    /// The file's take their place.
    Replace,
}

/// What a file had.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Keys.
    pub n_loaded: u64,
    /// Keys that had expired.
    pub n_expired: u64,
    /// Collections without elements.
    pub n_empty: u64,
    /// Bytes.
    pub n_bytes: u64,
}

/// What becomes of keys that have expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expired {
    /// They are left out.
    Drop,
    /// The same at the start of a primary: replicas that go on with it learn of it.
    Remove,
    /// They are loaded: commands that follow were made with them in view.
    Keep,
}

/// Whether there is so much to load that clients are answered meanwhile.
pub fn takes_long(server: &Server) -> bool {
    let config = server.config.get();
    if config.appendonly {
        return aof::load::takes_long(&config);
    }
    let len = std::fs::metadata(save::path(&config)).map_or(0, |metadata| metadata.len());
    len > u64::try_from(config.loading_process_events_interval_bytes).unwrap_or(u64::MAX)
}

/// Loads the data at the start of the server: the append-only file if there is to be one, else the
/// snapshot.
///
/// # Errors
/// If they are there and cannot be loaded; the log says why.
pub fn at_start(server: &Server) -> Result<(), Logged> {
    let config = server.config.get();
    *server.aof.manifest.lock() = aof::files::read_manifest(&config)?;
    if config.appendonly {
        return aof::load::at_start(server);
    }
    let began_ns = server.clock.elapsed_ns();
    // A replica leaves it to its primary to remove what has expired.
    let is_replica = config.replicaof.is_some();
    let expired = if is_replica { Expired::Keep } else { Expired::Remove };
    let Some(file) = open(&save::path(&config), &config.dbfilename)? else { return Ok(()) };
    begin(server, &file);
    let loaded = read_in_parallel(server, &config, file, expired);
    server.persistence.loading.is_under_way.store(false, Ordering::Relaxed);
    let loaded = loaded.map_err(|failure| {
        if failure.key.is_some() {
            tell_report(&save::path(&config));
        }
        tell_failed(server, &failure)
    })?;
    if is_replica || loaded.n_expired == 0 {
        server.replication.go_on_from_loaded(server, &config);
    }
    finish(server, &loaded);
    let took_s = (server.clock.elapsed_ns() - began_ns) as f64 / 1e9;
    tracing::info!("DB loaded from disk: {took_s:.3} seconds");
    Ok(())
}

/// Loads the file while the keyspace is held (DEBUG RELOAD).
///
/// # Errors
/// If it is missing or cannot be loaded; the log says why.
pub fn held(
    server: &Server,
    config: &Config,
    locked: &mut Locked<'_>,
    present: Present,
) -> Result<(), Logged> {
    let Some(file) = open(&save::path(config), &config.dbfilename)? else { return Err(Logged) };
    begin(server, &file);
    let loaded = read_held(server, config, file, locked, (present, Expired::Drop));
    server.persistence.loading.is_under_way.store(false, Ordering::Relaxed);
    let loaded = loaded?;
    finish(server, &loaded);
    Ok(())
}

/// Reads a file to its end, and gives up what it reads.
///
/// # Errors
/// If that cannot be.
pub fn examine(server: &Server, config: &Config, file: File) -> Result<(), RdbFileError> {
    let mut decoder = Decoder::new(file, options(server, config))?;
    while decoder.next_item()?.is_some() {}
    Ok(())
}

/// Removes all data, as if they had never been, while the keyspace is held.
pub fn empty(server: &Server, locked: &mut Locked<'_>, is_lazy: bool) {
    let now_ms = server.clock.unix_ms();
    for number in 0..server.keyspace.n_databases() {
        if server.keyspace.size(number).n_keys > 0 {
            let tables = locked.flush(number, now_ms);
            server.lazyfree.free_tables(tables, is_lazy);
        }
        server.active_expire.forget(number);
    }
    server.scripting.functions.flush();
}

/// Loads what a primary has sent. There is no data, and clients are told that it is being loaded.
///
/// # Errors
/// If it cannot be loaded; the log says why.
pub fn from_primary(server: &Server, config: &Config, file: File) -> Result<(), Logged> {
    // The log's files have other data: it begins anew with what is loaded.
    aof::stop(server);
    begin(server, &file);
    // It is left to the primary to remove what has expired.
    let loaded = read_in_parallel(server, config, file, Expired::Keep);
    server.persistence.loading.is_under_way.store(false, Ordering::Relaxed);
    {
        // It may have been switched off meanwhile, or on: then it lacks what was loaded before.
        let _change = server.config.begin_change();
        if server.config.get().appendonly {
            aof::stop(server);
            aof::start(server);
        }
    }
    let loaded = loaded.map_err(|error| tell_failed(server, &error))?;
    finish(server, &loaded);
    Ok(())
}

/// The file, if there is one.
fn open(path: &Path, name: &str) -> Result<Option<File>, Logged> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            tracing::warn!(
                "Fatal error: can't open the RDB file {name} for reading: {}",
                system_text(&error)
            );
            Err(Logged)
        }
    }
}

fn begin(server: &Server, file: &File) {
    begin_bytes(server, file.metadata().map_or(0, |metadata| metadata.len()));
}

/// Notes that loading begins, and how many bytes there are.
pub(super) fn begin_bytes(server: &Server, total_bytes: u64) {
    let loading = &server.persistence.loading;
    for counter in [&loading.loaded_bytes, &loading.earlier_bytes, &loading.used_mem] {
        counter.store(0, Ordering::Relaxed);
    }
    loading.total_bytes.store(total_bytes, Ordering::Relaxed);
    loading.began_s.store(server.clock.unix_ms() / 1000, Ordering::Relaxed);
    loading.is_under_way.store(true, Ordering::Relaxed);
    *server.replication.loaded.lock() = Position::default();
}

/// Loads what stands in RDB format at the beginning of an append-only file. Returns where that ends.
///
/// # Errors
/// If it cannot be loaded; the log says why.
pub(super) fn preamble(server: &Server, config: &Config, file: &File) -> Result<u64, Logged> {
    let loaded = read_in_parallel(server, config, file, Expired::Keep);
    let loaded = loaded.map_err(|error| tell_failed(server, &error))?;
    finish(server, &loaded);
    Ok(loaded.n_bytes)
}

/// The same while the keyspace is held.
///
/// # Errors
/// If it cannot be loaded; the log says why.
pub(super) fn preamble_held(
    server: &Server,
    config: &Config,
    file: &File,
    locked: &mut Locked<'_>,
    present: Present,
) -> Result<u64, Logged> {
    let loaded = read_held(server, config, file, locked, (present, Expired::Keep))?;
    finish(server, &loaded);
    Ok(loaded.n_bytes)
}

fn read_held(
    server: &Server,
    config: &Config,
    file: impl Read,
    locked: &mut Locked<'_>,
    (present, expired): (Present, Expired),
) -> Result<Counts, Logged> {
    let env = Env { expiry: Expiry::Ignore, ..server.env(config) };
    let trace = Trace::default();
    let read = read(server, config, file, (expired, present), |key| {
        insert(locked, &env, &trace, key, present).map_err(|entry| entry.key().to_vec())
    });
    server.lazyfree.free_discarded(config, &trace);
    read.map_err(|error| tell_failed(server, &error))
}

fn finish(server: &Server, counts: &Counts) {
    let loading = &server.persistence.loading;
    loading.keys_loaded.store(counts.n_loaded, Ordering::Relaxed);
    loading.keys_expired.store(counts.n_expired, Ordering::Relaxed);
    let empty = match counts.n_empty {
        0 => String::new(),
        n_empty => format!(", empty keys skipped: {n_empty}"),
    };
    tracing::info!(
        "Done loading RDB, keys loaded: {}, keys expired: {}{empty}.",
        counts.n_loaded,
        counts.n_expired
    );
}

/// Says in the log what the tool for it says of a file with a damaged key.
fn tell_report(path: &Path) {
    check::rdb_report(path).lines().for_each(|line| tracing::warn!("{line}"));
    tracing::warn!("Terminating server after rdb file reading failure.");
}

/// Says in the log why a file cannot be loaded.
fn tell_failed(server: &Server, failure: &RdbFileError) -> Logged {
    let RdbFileError { error, offset, key } = failure;
    server.persistence.loading.note_read(*offset);
    let key = key.as_ref().map(|key| format!(", key '{}'", key.escape_ascii()));
    let key = key.unwrap_or_default();
    match error {
        RdbError::WrongSignature | RdbError::UnknownVersion(_) => tracing::warn!("{error}"),
        RdbError::NoDatabase(_) => tracing::warn!(
            "FATAL: Data file was created with a Redis server configured to handle more than {} \
             databases. Exiting",
            server.keyspace.n_databases()
        ),
        RdbError::WrongChecksum => {
            tracing::warn!("Internal error in RDB reading offset {offset} -> RDB CRC error")
        }
        RdbError::Truncated | RdbError::Io(_) => {
            tracing::warn!("Short read or OOM loading DB. Unrecoverable error, aborting now.");
            tracing::warn!(
                "Internal error in RDB reading offset {offset}{key} -> Unexpected EOF reading RDB \
                 file"
            );
        }
        _ => tracing::warn!("Internal error in RDB reading offset {offset}{key} -> {error}"),
    }
    Logged
}

/// Decodes on a thread of its own and inserts on this one.
fn read_in_parallel(
    server: &Server,
    config: &Config,
    file: impl Read + Send,
    expired: Expired,
) -> Result<Counts, RdbFileError> {
    let (sender, receiver) = sync_channel(N_BATCHES_MAX);
    std::thread::scope(|scope| {
        let decoding = scope.spawn(move || decode(server, config, file, expired, &sender));
        let inserted = insert_all(server, config, &receiver);
        // Whoever sends must not wait for a receiver that has given up.
        drop(receiver);
        let decoded = decoding.join().expect("a panic of the decoder was logged");
        match (inserted, decoded) {
            (Err(key), _) => Err(duplicate(server, key)),
            (Ok(()), decoded) => decoded,
        }
    })
}

fn duplicate(server: &Server, key: Vec<u8>) -> RdbFileError {
    let offset = server.persistence.loading.loaded_bytes.load(Ordering::Relaxed);
    RdbFileError { error: RdbError::DuplicateKey, offset, key: Some(key) }
}

fn decode(
    server: &Server,
    config: &Config,
    file: impl Read,
    expired: Expired,
    sender: &SyncSender<Vec<LoadedKey>>,
) -> Result<Counts, RdbFileError> {
    let mut batch = Vec::with_capacity(BATCH_LEN);
    let counts = read(server, config, file, (expired, Present::Refuse), |key| {
        batch.push(key);
        if batch.len() < BATCH_LEN {
            return Ok(());
        }
        let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH_LEN));
        server.memory.used.note();
        // The receiver has given up because of a key, which it tells itself.
        sender.send(full).map_err(|_| Vec::new())
    })?;
    // The same.
    let _ = sender.send(batch);
    server.memory.used.note();
    Ok(counts)
}

/// Loads a library of functions.
fn load_functions(server: &Server, code: &[u8], present: Present) -> Result<(), RdbError> {
    let loaded = functions::load(server, code, present == Present::Replace);
    loaded.map(drop).map_err(|error| {
        tracing::warn!("Failed loading function library: {}", error.text());
        RdbError::Function
    })
}

/// Inserts what comes. Fails with the key that was there already.
fn insert_all(
    server: &Server,
    config: &Config,
    receiver: &Receiver<Vec<LoadedKey>>,
) -> Result<(), Vec<u8>> {
    let env = Env { expiry: Expiry::Ignore, ..server.env(config) };
    let trace = Trace::default();
    while let Ok(batch) = receiver.recv() {
        let mut pass = server.keyspace.enter(server.snapshot_worker());
        for key in batch {
            let stripe = server.keyspace.key(key.entry.key()).stripe();
            let mut locked = pass.lock_one(stripe, Mode::Write);
            insert(&mut locked, &env, &trace, key, Present::Refuse)
                .map_err(|entry| entry.key().to_vec())?;
            locked.keep();
        }
    }
    Ok(())
}

fn insert(
    locked: &mut Locked<'_>,
    env: &Env,
    trace: &Trace,
    key: LoadedKey,
    present: Present,
) -> Result<(), Entry> {
    let LoadedKey { db, entry, idle_s, frequency } = key;
    let clock = env.access.restored(idle_s, frequency).unwrap_or_else(|| env.access.initial());
    entry.set_clock(clock);
    locked.write(db, env, trace).load(entry, present == Present::Replace)
}

fn options(server: &Server, config: &Config) -> Options {
    Options {
        limits: config.limits(),
        n_databases: server.keyspace.n_databases(),
        verifies: config.rdbchecksum && !server.persistence.skips_checksums(),
        skips_modules: config.rdb_skip_unknown_modules,
    }
}

/// Reads a file to its end. `deliver` gets each key that has not expired; if it fails, that was the
/// key that it failed with. `present` is about libraries of functions alone.
pub fn read(
    server: &Server,
    config: &Config,
    file: impl Read,
    (expired, present): (Expired, Present),
    mut deliver: impl FnMut(LoadedKey) -> Result<(), Vec<u8>>,
) -> Result<Counts, RdbFileError> {
    let loading = &server.persistence.loading;
    let now_ms = server.clock.unix_ms();
    let mut counts = Counts::default();
    let mut decoder = Decoder::new(file, options(server, config))?;
    while let Some(item) = decoder.next_item()? {
        loading.note_read(decoder.offset());
        if config.key_load_delay > 0 {
            let delay_us = server.config.get().key_load_delay;
            std::thread::sleep(Duration::from_micros(u64::try_from(delay_us).unwrap_or(0)));
        }
        match item {
            Item::Key(key)
                if expired != Expired::Keep
                    && key.entry.expire_at_ms().is_some_and(|at_ms| at_ms < now_ms) =>
            {
                counts.n_expired += 1;
                if expired == Expired::Remove {
                    if counts.n_expired == 1 {
                        server.replication.go_on_from_loaded(server, config);
                    }
                    let name = if config.lazyfree_lazy_expire { &b"UNLINK"[..] } else { b"DEL" };
                    let words = [name, key.entry.key()];
                    server.log.append(Targets::REPLICAS, Some(key.db), words.into_iter());
                }
            }
            Item::Key(key) => {
                counts.n_loaded += 1;
                deliver(key).map_err(|key| duplicate(server, key))?;
            }
            Item::Empty(key) => {
                counts.n_empty += 1;
                if counts.n_empty <= N_EMPTY_LOGGED_MAX {
                    tracing::info!("rdbLoadObject skipping empty key: {}", key.escape_ascii());
                }
            }
            Item::Skipped(key, module) => tracing::warn!(
                "Skipped key '{}': its value is of the unknown module type '{module}'",
                key.escape_ascii()
            ),
            Item::SkippedData(module) => {
                tracing::warn!("Skipped data of the unknown module type '{module}'");
            }
            Item::Function(code) => load_functions(server, &code, present)
                .map_err(|error| RdbFileError { error, offset: decoder.offset(), key: None })?,
            Item::Aux(name, value) => tell_aux(server, &name, &value, now_ms / 1000),
        }
    }
    loading.note_read(decoder.offset());
    counts.n_bytes = decoder.offset();
    if decoder.is_unverified() && config.rdbchecksum {
        tracing::info!("RDB file was saved with checksum disabled: no check performed.");
    }
    Ok(counts)
}

/// Says in the log what a file tells about itself.
fn tell_aux(server: &Server, name: &[u8], value: &[u8], now_s: i64) {
    let text = String::from_utf8_lossy(value);
    let number = text.parse::<i64>().unwrap_or(0);
    match name.to_ascii_lowercase().as_slice() {
        [b'%', ..] => tracing::info!("RDB '{}': {text}", name.escape_ascii()),
        b"redis-ver" => tracing::info!("Loading RDB produced by version {text}"),
        b"valkey-ver" => tracing::info!("Loading RDB produced by Valkey version {text}"),
        b"ctime" => tracing::info!("RDB age {} seconds", now_s.saturating_sub(number).max(0)),
        b"used-mem" => {
            let used = u64::try_from(number).unwrap_or(0);
            server.persistence.loading.used_mem.store(used, Ordering::Relaxed);
            tracing::info!("RDB memory usage when created {:.2} Mb", number as f64 / 1_048_576.0);
        }
        b"aof-preamble" if number != 0 => tracing::info!("RDB has an AOF tail"),
        b"aof-base" if number != 0 => tracing::info!("RDB is base AOF"),
        b"aof-preamble" | b"aof-base" | b"redis-bits" | b"lua" => {}
        b"repl-stream-db" => {
            server.replication.loaded.lock().db = usize::try_from(number).unwrap_or(0);
        }
        b"repl-id" => server.replication.loaded.lock().replid = text.into_owned(),
        b"repl-offset" => server.replication.loaded.lock().offset = u64::try_from(number).ok(),
        _ => tracing::trace!("Unrecognized RDB AUX field: '{}'", name.escape_ascii()),
    }
}
