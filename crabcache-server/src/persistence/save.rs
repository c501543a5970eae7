//! Writes the snapshot's file.
//!
//! [`save_held`] does it while the keyspace is held: nothing else runs. See [`super::snapshot`] for
//! the other way.

use super::file::{IncrementalSync, TempFile, directory, write_failed};
use super::rdb::encode::Encoder;
use crate::config::Config;
use crate::config::apply::system_text;
use crate::error::Logged;
use crate::server::Server;
use crate::start::arguments::REDIS_VERSION;
use crabcache_store::{Env, Expiry, Locked, Trace, Walk};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// So many bytes are written at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// The snapshot's file.
pub fn path(config: &Config) -> PathBuf {
    Path::new(&config.dir).join(&config.dbfilename)
}

/// How snapshots look by this configuration.
pub fn encoder(server: &Server, config: &Config) -> Encoder {
    Encoder {
        version: u16::try_from(config.rdb_write_version).expect("in the parameter's range"),
        compresses: config.rdbcompression,
        policy: config.maxmemory_policy,
        access: config.maxmemory_policy.access(config, server.clock.unix_ms()),
    }
}

/// Creates the temporary file of a snapshot.
///
/// # Errors
/// If that fails; the log says why.
pub fn create(config: &Config, name: &str) -> Result<TempFile, Logged> {
    TempFile::create(Path::new(&config.dir).join(name), config.rdbchecksum).map_err(|error| {
        tracing::warn!(
            "Failed opening the temp RDB file {name} (in server root dir {}) for saving: {}",
            directory().display(),
            system_text(&error)
        );
        Logged
    })
}

/// What stands before the first key.
pub fn header(server: &Server, encoder: &Encoder) -> Vec<u8> {
    let mut out = Vec::new();
    let now_s = server.clock.unix_ms() / 1000;
    let used = server.memory.look(now_s).allocated;
    encoder.magic(&mut out);
    encoder.aux(&mut out, "redis-ver", REDIS_VERSION);
    encoder.aux_int(&mut out, "redis-bits", i64::from(usize::BITS));
    encoder.aux_int(&mut out, "ctime", now_s);
    encoder.aux_int(&mut out, "used-mem", i64::try_from(used).unwrap_or(i64::MAX));
    encoder.aux_int(&mut out, "aof-base", 0);
    for library in server.scripting.functions.get().all() {
        encoder.function(&mut out, &library.code);
    }
    out
}

/// Saves while the keyspace is held.
///
/// # Errors
/// If that fails; the log says why.
pub fn save_held(server: &Server, config: &Config, locked: &Locked<'_>) -> Result<(), Logged> {
    let mut file = create(config, &format!("temp-{}.rdb", std::process::id()))?;
    write_held(server, config, locked, &mut file)?;
    file.finish(&path(config))?;
    tracing::info!("DB saved on disk");
    server.persistence.note_saved(server.stats.dirty(), server.clock.unix_ms() / 1000);
    server.conditions.set_save_failed(false);
    Ok(())
}

fn write_held(
    server: &Server,
    config: &Config,
    locked: &Locked<'_>,
    file: &mut TempFile,
) -> Result<(), Logged> {
    let encoder = encoder(server, config);
    let mut sync = IncrementalSync::new(file, config.rdb_save_incremental_fsync);
    let mut out = header(server, &encoder);
    let env = Env { expiry: Expiry::Ignore, ..server.env(config) };
    let trace = Trace::default();
    let mut walk = Walk::held(locked, &env, &trace);
    for db in 0..server.keyspace.n_databases() {
        let size = server.keyspace.size(db);
        if size.n_keys == 0 {
            continue;
        }
        encoder.select(&mut out, db);
        encoder.size(&mut out, size);
        let mut outcome = Ok(());
        walk.each(db, None, |entry| {
            if outcome.is_ok() {
                outcome = put(&encoder, &mut out, entry).and_then(|()| {
                    if out.len() < CHUNK_BYTES {
                        return Ok(());
                    }
                    flush(file, &mut out, &mut sync)
                });
            }
        });
        outcome?;
    }
    encoder.end(&mut out);
    let flushed = flush(file, &mut out, &mut sync);
    flushed?;
    let checksum = file.checksum().to_le_bytes();
    file.write(&checksum).map_err(|error| write_failed("rdbSaveRio", &error))
}

/// Writes an entry; says in the log why it cannot be.
///
/// # Errors
/// If the version has no form for it.
pub fn put(
    encoder: &Encoder,
    out: &mut Vec<u8>,
    entry: &crabcache_store::Entry,
) -> Result<(), Logged> {
    encoder.entry(out, entry).map_err(|what| {
        tracing::warn!(
            "The RDB version {} (rdb-write-version) cannot hold {what}: key '{}'",
            encoder.version,
            entry.key().escape_ascii()
        );
        Logged
    })
}

fn flush(file: &mut TempFile, out: &mut Vec<u8>, sync: &mut IncrementalSync) -> Result<(), Logged> {
    let written: io::Result<()> = file.write(out).and_then(|()| sync.grown_to(file.n_bytes()));
    out.clear();
    written.map_err(|error| write_failed("rdbSaveRio", &error))
}

/// To be called after everything was removed: the snapshot under way is of no interest any more, and
/// if there are save points the file must not bring back what is gone.
pub fn save_flushed(server: &Server, config: &Config, locked: &Locked<'_>) {
    server.persistence.abort();
    if !config.save.is_empty() {
        // The log says what failed; the flush itself has succeeded.
        let _ = save_held(server, config, locked);
    }
}

/// Notes that a snapshot has failed.
pub fn note_failed(server: &Server) {
    server.persistence.last_bgsave_ok.store(false, Ordering::Relaxed);
    server.conditions.set_save_failed(true);
}
