//! Those who start servers and want to know how they fare: systemd and upstart.

use crate::config::{Config, Supervised};
use nix::sys::signal::{Signal, raise};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Whether somebody supervises the process; tells that it is loading.
pub fn begin(config: &Config) -> bool {
    let has = |name: &str| std::env::var_os(name).is_some();
    match config.supervised {
        Supervised::No => false,
        Supervised::Upstart => upstart(),
        Supervised::Systemd => systemd(),
        Supervised::Auto if has("UPSTART_JOB") => upstart(),
        Supervised::Auto if has("NOTIFY_SOCKET") => systemd(),
        Supervised::Auto => false,
    }
}

/// Who supervises the process, as INFO says it.
pub fn name(config: &Config) -> &'static str {
    let has = |name: &str| std::env::var_os(name).is_some();
    match config.supervised {
        Supervised::Upstart if has("UPSTART_JOB") => "upstart",
        Supervised::Systemd if has("NOTIFY_SOCKET") => "systemd",
        Supervised::Auto if has("UPSTART_JOB") || has("NOTIFY_SOCKET") => "unknown",
        _ => "no",
    }
}

fn upstart() -> bool {
    if std::env::var_os("UPSTART_JOB").is_none() {
        tracing::warn!("upstart supervision requested, but UPSTART_JOB not found!");
        return false;
    }
    tracing::info!("supervised by upstart, will stop to signal readiness.");
    raise(Signal::SIGSTOP).is_ok()
}

fn systemd() -> bool {
    if !notify("STATUS=CrabCache is loading...\n") {
        return false;
    }
    tracing::info!(
        "Supervised by systemd. Please make sure you set appropriate values for TimeoutStartSec \
         and TimeoutStopSec in your service unit."
    );
    true
}

/// Tells systemd a state, if it is to be told.
pub fn tell(config: &Config, state: &str) {
    let by_systemd = match config.supervised {
        Supervised::Systemd => true,
        Supervised::Auto => std::env::var_os("NOTIFY_SOCKET").is_some(),
        Supervised::No | Supervised::Upstart => false,
    };
    if by_systemd {
        notify(state);
    }
}

fn notify(state: &str) -> bool {
    let Ok(path) = std::env::var("NOTIFY_SOCKET") else {
        tracing::warn!("systemd supervision error: NOTIFY_SOCKET not found!");
        return false;
    };
    match send(&path, state) {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!("systemd supervision error: sd_notify: {error}");
            false
        }
    }
}

/// Sends a state to the socket; a path that begins with `@` is an abstract name.
fn send(path: &str, state: &str) -> io::Result<()> {
    let address = match path.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(path)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(|_| ())
}
