//! Rewriting: all files of the log are replaced by the data as they are now and one increment.
//!
//! 1. While the keyspace is held for an instant, a snapshot begins and the log turns to a new
//!    increment: what the snapshot has and what the increment has fit together without a gap.
//! 2. The snapshot is written as the new base, under a temporary name.
//! 3. The base gets its name, and a manifest with the new base and increment takes the place of the
//!    old one. Only then are the old files removed.
//!
//! Whatever fails before the new manifest leaves the old files in force, with one more increment.
//! Without AOF the base is made all the same, for those who ask for it.

use super::manifest::Manifest;
use super::{State, files, writer};
use crate::config::Config;
use crate::config::apply::system_text;
use crate::error::{AofError, CommandError, Logged};
use crate::persistence::file::TempFile;
use crate::persistence::form::{Form, base_failed};
use crate::persistence::snapshot::{self, Destination, Purpose};
use crate::server::Server;
use crabcache_store::Locked;
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// Failures in a row from which the next try is put off.
const N_FAILURES_MAX: u64 = 3;
/// It is put off for an hour at most.
const DELAY_MINUTES_MAX: i64 = 60;

/// What is known about rewriting.
#[derive(Debug, Default)]
pub struct Rewrites {
    /// Whether one is to begin as soon as possible.
    pub is_scheduled: AtomicBool,
    /// Begun ones.
    pub n_begun: AtomicU64,
    /// Failures since the last success.
    pub n_failures: AtomicU64,
    /// Whether the last one has failed.
    pub has_failed: AtomicBool,
    /// When the one under way began: Unix seconds; 0: none is.
    pub began_s: AtomicI64,
    /// How many seconds the last one took, and one more; 0: there was none.
    pub took_s_and_one: AtomicI64,
    /// The replication offset at which the temporary increment begins.
    pub start_offset: AtomicU64,
    /// Comes when the log has turned to the new increment.
    turned: Mutex<Option<Receiver<Result<(), Logged>>>>,
    delay: Mutex<Delay>,
}

/// How long automatic rewriting is put off while it fails.
#[derive(Debug, Default)]
struct Delay {
    minutes: i64,
    until_s: i64,
}

impl Delay {
    /// Whether the next try must wait.
    fn holds(&mut self, n_failures: u64, now_s: i64) -> bool {
        if n_failures < N_FAILURES_MAX {
            *self = Delay::default();
            return false;
        }
        if self.until_s != 0 {
            if now_s < self.until_s {
                return true;
            }
            self.until_s = 0;
            return false;
        }
        self.minutes =
            if self.minutes == 0 { 1 } else { (self.minutes * 2).min(DELAY_MINUTES_MAX) };
        self.until_s = now_s + self.minutes * 60;
        tracing::warn!(
            "Background AOF rewrite has repeatedly failed and triggered the limit, will retry in {} \
             minutes",
            self.minutes
        );
        true
    }
}

/// Begins a rewrite. The keyspace is held.
///
/// # Errors
/// If another snapshot is under way, or the directory cannot be made.
pub fn begin(
    server: &Server,
    config: &Arc<Config>,
    locked: &mut Locked<'_>,
) -> Result<(), CommandError> {
    let rewrites = &server.aof.rewrites;
    if files::create_dir(config).is_err() {
        rewrites.has_failed.store(true, Ordering::Relaxed);
        rewrites.n_failures.fetch_add(1, Ordering::Relaxed);
        return Err(AofError::RewriteFailed.into());
    }
    let job =
        snapshot::begin_for(server, config, locked, Destination::Base, Form::base(server, config))?;
    if server.aof.state() != State::Off {
        *rewrites.turned.lock() = Some(writer::turn(server));
    }
    rewrites.is_scheduled.store(false, Ordering::Relaxed);
    rewrites.n_begun.fetch_add(1, Ordering::Relaxed);
    rewrites.began_s.store(server.clock.unix_ms() / 1000, Ordering::Relaxed);
    tracing::info!("Background append only file rewriting started by pid {}", std::process::id());
    snapshot::leave_to_background(server, job);
    Ok(())
}

/// Ends the rewrite under way, if there is one.
pub fn kill(server: &Server) {
    // It ends with the slice of a moment; who asks for a snapshot next should find it gone.
    const WAIT_MAX: Duration = Duration::from_millis(100);
    if server.persistence.abort(Purpose::Rewrite) {
        tracing::info!("Killing running AOF rewrite child: {}", std::process::id());
        server.persistence.await_end_of(Purpose::Rewrite, WAIT_MAX);
    }
}

/// Begins a rewrite if one is due: asked for, or because the files have grown.
pub fn begin_if_due(server: &Server) {
    let config = server.config.get();
    let may_begin = server.persistence.current.lock().is_none() && !server.conditions.is_loading();
    if may_begin && is_due(server, &config) {
        let mut pass = server.keyspace.enter(server.cron_worker());
        // Another snapshot may just have begun; then it is tried again.
        let _ = begin(server, &config, &mut pass.lock_all());
    }
}

fn is_due(server: &Server, config: &Config) -> bool {
    let aof = &server.aof;
    let rewrites = &aof.rewrites;
    let is_limited = || {
        let n_failures = rewrites.n_failures.load(Ordering::Relaxed);
        rewrites.delay.lock().holds(n_failures, server.clock.unix_ms() / 1000)
    };
    if rewrites.is_scheduled.load(Ordering::Relaxed) {
        return !is_limited();
    }
    let size = aof.written.lock().size;
    let is_small = u64::try_from(config.auto_aof_rewrite_min_size).is_ok_and(|min| size <= min);
    if aof.state() != State::On || config.auto_aof_rewrite_percentage == 0 || is_small {
        return false;
    }
    let base = aof.base_size.load(Ordering::Relaxed).max(1);
    let percent =
        |n: u64| i64::try_from(u128::from(n) * 100 / u128::from(base)).unwrap_or(i64::MAX);
    let growth = percent(size) - 100;
    if growth < config.auto_aof_rewrite_percentage || is_limited() {
        return false;
    }
    tracing::info!("Starting automatic rewriting of AOF on {growth}% growth");
    true
}

/// Creates the temporary file of a base.
///
/// # Errors
/// If that fails; the log says why.
pub fn create(config: &Config, name: &str, has_checksum: bool) -> Result<TempFile, Logged> {
    let path = Path::new(&config.dir).join(name);
    TempFile::create(path, has_checksum && config.rdbchecksum).map_err(|error| {
        tracing::warn!(
            "Opening the temp file for AOF rewrite in rewriteAppendOnlyFile(): {}",
            system_text(&error)
        );
        Logged
    })
}

/// The base has been written, or not: puts it in force.
pub fn finish(
    server: &Server,
    written: Result<TempFile, Logged>,
    temp_name: &str,
    is_aborted: bool,
) {
    let (aof, config) = (&server.aof, server.config.get());
    let rewrites = &aof.rewrites;
    let turned = rewrites.turned.lock().take();
    // Without a thread that writes, in tests, nothing comes.
    let turned = turned.map_or(Ok(()), |turned| turned.recv().unwrap_or(Err(Logged)));
    let was_written = written.is_ok();
    let result = match (written, turned) {
        (Ok(file), Ok(())) if !is_aborted => put_in_force(server, &config, file, temp_name),
        _ => Err(Logged),
    };
    match result {
        Ok(()) => {
            rewrites.has_failed.store(false, Ordering::Relaxed);
            rewrites.n_failures.store(0, Ordering::Relaxed);
            tracing::info!("Background AOF rewrite finished successfully");
        }
        Err(Logged) if is_aborted => {
            // Compat: the reference's child is killed by this signal.
            tracing::warn!("Background AOF rewrite terminated by signal 10");
        }
        Err(Logged) => {
            rewrites.has_failed.store(true, Ordering::Relaxed);
            rewrites.n_failures.fetch_add(1, Ordering::Relaxed);
            if !was_written {
                tracing::warn!("Background AOF rewrite terminated with error");
            }
        }
    }
    if aof.state() == State::Starting {
        let name = files::temp_increment_name(&config);
        tracing::info!("Removing the temp incr aof file {name} in the background");
        // It may not have come so far as to exist.
        let _ = std::fs::remove_file(files::dir(&config).join(name));
        rewrites.is_scheduled.store(true, Ordering::Relaxed);
    }
    let began_s = rewrites.began_s.swap(0, Ordering::Relaxed);
    let took_s = server.clock.unix_ms() / 1000 - began_s;
    rewrites.took_s_and_one.store(took_s + 1, Ordering::Relaxed);
}

fn put_in_force(
    server: &Server,
    config: &Config,
    file: TempFile,
    temp_name: &str,
) -> Result<(), Logged> {
    let aof = &server.aof;
    let dir = files::dir(config);
    let base_bytes = file.n_bytes();
    tracing::info!("Successfully created the temporary AOF base file {temp_name}");
    tracing::info!("Background AOF rewrite terminated with success");
    let mut manifest = aof.manifest.lock();
    let mut changed = manifest.clone();
    let state = aof.state();
    let base = changed.new_base(&config.appendfilename, config.aof_use_rdb_preamble);
    let (base_path, base_name) = (base.path(&dir), base.shown_name());
    file.finish(&base_path)?;
    tracing::info!("Successfully renamed the temporary AOF base file {temp_name} into {base_name}");
    let mut made = vec![base_path];
    if state == State::Starting {
        made.push(name_increment(server, config, &mut changed)?);
    }
    changed.retire_increments(usize::from(state != State::Off));
    if let Err(logged) = files::write_manifest(config, &changed) {
        for path in made {
            // Nobody reads what is not in the manifest.
            let _ = std::fs::remove_file(path);
        }
        return Err(logged);
    }
    *manifest = changed;
    if state == State::Off {
        aof.written.lock().size = 0;
    } else {
        aof.set_state(State::On);
        let total = base_bytes + aof.increment_size.load(Ordering::Relaxed);
        aof.written.lock().size = total;
        aof.base_size.store(total, Ordering::Relaxed);
    }
    // History that stays does no harm.
    let _ = files::remove_history(config, &mut manifest);
    Ok(())
}

/// The temporary increment gets its name.
fn name_increment(
    server: &Server,
    config: &Config,
    manifest: &mut Manifest,
) -> Result<std::path::PathBuf, Logged> {
    let dir = files::dir(config);
    let offset = server.aof.rewrites.start_offset.load(Ordering::Relaxed);
    let offset = i64::try_from(offset).unwrap_or(i64::MAX);
    let part = manifest.new_increment(&config.appendfilename, offset);
    let (path, name) = (part.path(&dir), part.shown_name());
    let temp_name = files::temp_increment_name(config);
    std::fs::rename(dir.join(&temp_name), &path).map_err(|error| {
        tracing::warn!(
            "Error trying to rename the temporary AOF incr file {temp_name} into {name}: {}",
            system_text(&error)
        );
        Logged
    })?;
    tracing::info!("Successfully renamed the temporary AOF incr file {temp_name} into {name}");
    Ok(path)
}

/// Writes a base without keys, for a server that begins with none.
///
/// # Errors
/// If that fails; the log says why.
pub fn write_empty_base(
    server: &Server,
    config: &Config,
    manifest: &mut Manifest,
) -> Result<(), Logged> {
    let form = Form::base(server, config);
    let mut bytes = form.header(server, config, true);
    form.end(&mut bytes);
    let base = manifest.new_base(&config.appendfilename, config.aof_use_rdb_preamble);
    let name = format!("temp-rewriteaof-{}.aof", std::process::id());
    let mut file = create(config, &name, form.has_checksum())?;
    file.write(&bytes).map_err(|error| base_failed(&error))?;
    if form.has_checksum() {
        let checksum = file.checksum().to_le_bytes();
        file.write(&checksum).map_err(|error| base_failed(&error))?;
    }
    file.finish(&base.path(&files::dir(config)))?;
    tracing::info!("Creating AOF base file {} on server start", base.shown_name());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_put_the_next_try_off() {
        let mut delay = Delay::default();
        assert!(!delay.holds(2, 1000));
        assert!(delay.holds(3, 1000) && delay.holds(3, 1059) && !delay.holds(3, 1060));
        assert!(delay.holds(4, 1061) && delay.holds(4, 1180) && !delay.holds(4, 1181));
        for _ in 0..10 {
            delay.until_s = 0;
            assert!(delay.holds(9, 0));
        }
        assert_eq!(delay.until_s, DELAY_MINUTES_MAX * 60);
        assert!(!delay.holds(0, 0) && delay.holds(3, 0));
        assert_eq!(delay.minutes, 1);
    }
}
