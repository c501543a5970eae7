//! Writes the snapshot's file.
//!
//! [`save_held`] does it while the keyspace is held: nothing else runs. See [`super::snapshot`] for
//! the other way.

use super::file::{IncrementalSync, TempFile, directory, write_failed};
use super::form::Form;
use super::rdb::encode::Encoder;
use super::snapshot::Purpose;
use crate::config::Config;
use crate::config::apply::system_text;
use crate::error::Logged;
use crate::server::Server;
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
    let form = Form::Rdb(Encoder::new(server, config));
    let mut sync = IncrementalSync::new(file, config.rdb_save_incremental_fsync);
    let mut out = form.header(server, config, false);
    let env = Env { expiry: Expiry::Ignore, ..server.env(config) };
    let trace = Trace::default();
    let mut walk = Walk::held(locked, &env, &trace);
    for db in 0..server.keyspace.n_databases() {
        let size = server.keyspace.size(db);
        if size.n_keys == 0 {
            continue;
        }
        form.select(&mut out, db);
        form.size(&mut out, size);
        let mut outcome = Ok(());
        walk.each(db, None, |entry| {
            if outcome.is_ok() {
                outcome = form.put(&mut out, entry).and_then(|()| {
                    if out.len() < CHUNK_BYTES {
                        return Ok(());
                    }
                    flush(file, &mut out, &mut sync)
                });
            }
        });
        outcome?;
    }
    form.end(&mut out);
    let flushed = flush(file, &mut out, &mut sync);
    flushed?;
    let checksum = file.checksum().to_le_bytes();
    file.write(&checksum).map_err(|error| write_failed("rdbSaveRio", &error))
}

fn flush(file: &mut TempFile, out: &mut Vec<u8>, sync: &mut IncrementalSync) -> Result<(), Logged> {
    let written: io::Result<()> = file.write(out).and_then(|()| sync.grown_to(file.n_bytes()));
    out.clear();
    written.map_err(|error| write_failed("rdbSaveRio", &error))
}

/// To be called after everything was removed: the snapshot under way is of no interest any more, and
/// if there are save points the file must not bring back what is gone. Whether it was written.
pub fn save_flushed(server: &Server, config: &Config, locked: &Locked<'_>) -> bool {
    server.persistence.abort(Purpose::Save);
    // The log says what failed; the flush itself has succeeded.
    !config.save.is_empty() && save_held(server, config, locked).is_ok()
}

/// Notes that a snapshot has failed.
pub fn note_failed(server: &Server) {
    server.persistence.last_bgsave_ok.store(false, Ordering::Relaxed);
    server.conditions.set_save_failed(true);
}
