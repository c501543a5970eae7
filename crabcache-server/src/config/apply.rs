//! What happens when a parameter changes at run time.
//!
//! Each function gets the old configuration and the new one, which is not in force yet. One that
//! fails has had no effect; one that succeeded can be called with the two exchanged.

use super::Config;
use crate::error::ParamError;
use crate::persistence::aof;
use crate::replication;
use crate::server::Server;
use crate::start::{limits, oom};
use nix::errno::Errno;

type Result = std::result::Result<(), ParamError>;

/// The text of an error of the operating system, as C programs print it.
pub fn system_text(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => Errno::from_raw(code).desc().to_string(),
        None => error.to_string(),
    }
}

/// The working directory.
pub(super) fn current_dir() -> String {
    let dir = std::env::current_dir().unwrap_or_default();
    dir.to_string_lossy().into_owned()
}

pub(super) fn port(server: &Server, _: &Config, new: &mut Config) -> Result {
    server.control.listen(new).map_err(|_| ParamError::CannotListen)
}

pub(super) fn bind(server: &Server, _: &Config, new: &mut Config) -> Result {
    server.control.listen(new).map_err(|_| ParamError::CannotBind)
}

/// Makes `new.dir` the working directory, and the absolute path of it.
pub(super) fn dir(_: &Server, _: &Config, new: &mut Config) -> Result {
    enter_dir(new)
}

/// See [`dir`].
pub(super) fn enter_dir(config: &mut Config) -> Result {
    std::env::set_current_dir(&config.dir)
        .map_err(|error| ParamError::System(system_text(&error)))?;
    config.dir = current_dir();
    Ok(())
}

pub(super) fn loglevel(_: &Server, _: &Config, new: &mut Config) -> Result {
    crate::log::set_level(new.loglevel);
    Ok(())
}

pub(super) fn requirepass(server: &Server, _: &Config, new: &mut Config) -> Result {
    server.users.set_requirepass(&new.requirepass);
    Ok(())
}

pub(super) fn notify_keyspace_events(server: &Server, _: &Config, new: &mut Config) -> Result {
    server.notifications.set(new.notify_keyspace_events, &server.interests);
    Ok(())
}

pub(super) fn jemalloc_bg_thread(_: &Server, _: &Config, new: &mut Config) -> Result {
    crate::memory::set_background_thread(new.jemalloc_bg_thread)
        .map_err(|error| ParamError::System(error.to_string()))
}

pub(super) fn maxclients(_: &Server, _: &Config, new: &mut Config) -> Result {
    match limits::raise_open_files(new.maxclients) {
        possible if possible < new.maxclients => Err(ParamError::TooManyClients(possible)),
        _ => Ok(()),
    }
}

pub(super) fn maxmemory(server: &Server, _: &Config, new: &mut Config) -> Result {
    let used_bytes = server.memory.used.bytes();
    if new.maxmemory > 0 && new.maxmemory < used_bytes {
        tracing::warn!(
            "WARNING: the new maxmemory value set via CONFIG SET ({}) is smaller than the current \
             memory usage ({used_bytes}). This will result in key eviction and/or the inability to \
             accept new write commands depending on the maxmemory-policy.",
            new.maxmemory
        );
    }
    Ok(())
}

/// What is kept of the replication stream.
pub(super) fn kept_stream(server: &Server, _: &Config, new: &mut Config) -> Result {
    server.log.keep(replication::kept(new));
    Ok(())
}

pub(super) fn min_replicas(server: &Server, _: &Config, new: &mut Config) -> Result {
    server.replication.replicas.count_good(server, new, server.clock.unix_ms());
    Ok(())
}

pub(super) fn oom_score(server: &Server, _: &Config, new: &mut Config) -> Result {
    oom::adjust(&server.oom_base, new).map_err(|_| ParamError::CannotSetOomScore)
}

/// Locales that compare bytes, which is what we do.
pub fn is_known_locale(locale: &str) -> bool {
    matches!(locale, "" | "C" | "POSIX" | "C.UTF-8" | "C.utf8")
}

pub(super) fn locale(_: &Server, _: &Config, new: &mut Config) -> Result {
    if is_known_locale(&new.locale_collate) { Ok(()) } else { Err(ParamError::InvalidLocale) }
}

pub(super) fn appendonly(server: &Server, _: &Config, new: &mut Config) -> Result {
    if new.appendonly {
        aof::start(server);
    } else {
        aof::stop(server);
    }
    Ok(())
}

/// Concerns the snapshot under way, too.
pub(super) fn rdb_key_save_delay(server: &Server, _: &Config, new: &mut Config) -> Result {
    if let Some(current) = &*server.persistence.current.lock() {
        current.output.set_key_delay(new.rdb_key_save_delay);
    }
    Ok(())
}

/// Deletes what was kept while it was not to be deleted.
pub(super) fn aof_disable_auto_gc(server: &Server, _: &Config, new: &mut Config) -> Result {
    // What stays does no harm.
    let _ = aof::files::remove_history(new, &mut server.aof.manifest.lock());
    Ok(())
}

pub(super) fn tls(server: &Server, _: &Config, new: &mut Config) -> Result {
    server.tls.configure(new).map_err(|_| ParamError::Tls)
}

pub(super) fn tls_port(server: &Server, old: &Config, new: &mut Config) -> Result {
    tls(server, old, new)?;
    port(server, old, new)
}
