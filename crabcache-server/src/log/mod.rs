//! The log: events of `tracing` as lines in the form that people's scripts know.
//!
//! ```text
//! 4711:M 23 Nov 2026 14:22:37.529 * Ready to accept connections tcp
//! ```
//!
//! | `loglevel` | `tracing` | sign |
//! |---|---|---|
//! | debug | `trace!` | `.` |
//! | verbose | `debug!` | `-` |
//! | notice | `info!` | `*` |
//! | warning | `warn!`, `error!` | `#` |
//!
//! Lines go to a file, which is opened for each of them so that it can be moved away at any time,
//! or to standard output, and to the system's log if that is wanted. Until the configuration is
//! read they go to standard output.

mod line;
mod panic;
mod sink;

pub use panic::log_panics;

use crate::config::{Config, LogLevel};
use line::Lines;
use sink::{SINK, Sink, Syslog};
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

/// Target of an event whose message is written as it is.
pub const RAW: &str = "crabcache_server::raw";
/// Target of an event that tells of a signal, which has a line form of its own.
pub const SIGNAL: &str = "crabcache_server::signal";

static FILTER: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Begins to log. Without it, as in tests, nothing is logged.
pub fn begin() {
    let (filter, handle) = reload::Layer::new(filter_of(LogLevel::Notice));
    let lines =
        tracing_subscriber::fmt::layer().event_format(Lines).with_ansi(false).with_writer(|| Sink);
    let registry = tracing_subscriber::registry().with(filter).with(lines).with(Syslog);
    if registry.try_init().is_ok() {
        let _ = FILTER.set(handle);
    }
}

/// Only our own events: libraries tell more than anybody wants to know.
fn filter_of(level: LogLevel) -> Targets {
    Targets::new().with_target(
        "crabcache_server",
        match level {
            LogLevel::Debug => LevelFilter::TRACE,
            LogLevel::Verbose => LevelFilter::DEBUG,
            LogLevel::Notice => LevelFilter::INFO,
            LogLevel::Warning => LevelFilter::WARN,
            LogLevel::Nothing => LevelFilter::OFF,
        },
    )
}

/// Logs as `config` says from now on.
pub fn configure(config: &Config) {
    SINK.configure(config);
    set_level(config.loglevel);
    set_hides_user_data(config.hide_user_data_from_log);
}

/// Logs events of this level and above.
pub fn set_level(level: LogLevel) {
    if let Some(filter) = FILTER.get() {
        // It fails only when the subscriber is gone, and then nothing is logged anyway.
        let _ = filter.reload(filter_of(level));
    }
}

/// Whether messages that may contain keys, values or arguments are to be left out.
pub fn set_hides_user_data(hides: bool) {
    SINK.hides_user_data.store(hides, Ordering::Relaxed);
}

/// Lines tell a primary from here on. Until then the process is not a server yet.
pub fn server_begins() {
    SINK.is_server.store(true, Ordering::Relaxed);
}
