//! Panics: a bug shows itself in the log, with the way to it.

use super::sink::SINK;
use std::backtrace::Backtrace;
use std::panic::PanicHookInfo;
use std::sync::atomic::Ordering;

/// Logs every panic from now on. The thread or task that panicked ends; the others go on.
pub fn log_panics() {
    std::panic::set_hook(Box::new(log_one));
}

fn log_one(info: &PanicHookInfo<'_>) {
    let message = if SINK.hides_user_data.load(Ordering::Relaxed) {
        "(hidden)"
    } else {
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        text.unwrap_or("(no message)")
    };
    let place = info.location().map_or_else(String::new, ToString::to_string);
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("?");
    tracing::error!("=== CRABCACHE BUG REPORT START: cut and paste from here ===");
    tracing::error!("Thread '{name}' panicked at {place}: {message}");
    for line in Backtrace::force_capture().to_string().lines() {
        tracing::error!("{line}");
    }
    tracing::error!("=== CRABCACHE BUG REPORT END ===");
}
