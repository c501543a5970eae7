//! What the kernel's out-of-memory killer is told about this process.

use crate::config::apply::system_text;
use crate::config::{Config, OomScoreAdj};
use crate::error::Logged;
use parking_lot::Mutex;
use std::io;

const PATH: &str = "/proc/self/oom_score_adj";

/// Writes the score that `config` asks for. `base` is the score from before we changed it, if we
/// did.
///
/// # Errors
/// If the system refuses; it was logged.
pub fn adjust(base: &Mutex<Option<i64>>, config: &Config) -> Result<(), Logged> {
    let mut base = base.lock();
    let score = match (config.oom_score_adj, *base) {
        (OomScoreAdj::No, None) => return Ok(()),
        (OomScoreAdj::No, Some(before)) => before,
        (mode, before) => {
            let before = match before {
                Some(before) => before,
                None => read().map_err(|error| {
                    tracing::warn!("Unable to read oom_score_adj: {}", system_text(&error));
                    Logged
                })?,
            };
            *base = Some(before);
            let value = config.oom_score_adj_values[0];
            let value = if mode == OomScoreAdj::Relative { value + before } else { value };
            value.clamp(-1000, 1000)
        }
    };
    std::fs::write(PATH, format!("{score}\n")).map_err(|error| {
        tracing::warn!("Unable to write oom_score_adj: {}", system_text(&error));
        Logged
    })?;
    if config.oom_score_adj == OomScoreAdj::No {
        *base = None;
    }
    Ok(())
}

fn read() -> io::Result<i64> {
    let text = std::fs::read_to_string(PATH)?;
    text.trim().parse().map_err(|_| io::ErrorKind::InvalidData.into())
}
