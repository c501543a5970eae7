//! Conditions of the whole server that make the dispatcher look twice.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

/// Set of conditions, each a bit of one word: every command reads it.
#[derive(Debug, Default)]
pub struct Conditions {
    bits: AtomicU32,
    /// When the pause ends: Unix milliseconds.
    pause_until_ms: AtomicI64,
}

const PAUSED_WRITE: u32 = 1;
const PAUSED_ALL: u32 = 1 << 1;

impl Conditions {
    /// Whether there is any.
    #[inline]
    pub fn any(&self) -> bool {
        self.bits.load(Ordering::Relaxed) != 0
    }

    /// Whether commands are paused (CLIENT PAUSE), or such as `may_replicate`.
    pub fn is_paused(&self, may_replicate: bool) -> bool {
        let bits = self.bits.load(Ordering::Relaxed);
        bits & PAUSED_ALL != 0 || (bits & PAUSED_WRITE != 0 && may_replicate)
    }

    /// Pauses commands until `until_ms`: all, or only those that may replicate. A pause in force
    /// is never shortened or narrowed.
    pub fn pause(&self, until_ms: i64, all: bool) {
        self.pause_until_ms.fetch_max(until_ms, Ordering::Relaxed);
        self.bits.fetch_or(if all { PAUSED_ALL } else { PAUSED_WRITE }, Ordering::Relaxed);
    }

    /// Ends a pause. Returns whether there was one; its clients are to be woken.
    pub fn unpause(&self) -> bool {
        self.pause_until_ms.store(0, Ordering::Relaxed);
        self.bits.fetch_and(!(PAUSED_ALL | PAUSED_WRITE), Ordering::Relaxed) != 0
    }

    /// Ends a pause whose time has come. As [`Conditions::unpause`].
    pub fn unpause_if_due(&self, now_ms: i64) -> bool {
        let is_due = self.any() && self.pause_until_ms.load(Ordering::Relaxed) <= now_ms;
        is_due && self.unpause()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_only_grow_until_they_end() {
        let conditions = Conditions::default();
        assert!(!conditions.any());
        conditions.pause(100, false);
        assert!(conditions.is_paused(true) && !conditions.is_paused(false));
        conditions.pause(50, true);
        assert!(conditions.is_paused(false));
        assert!(!conditions.unpause_if_due(99));
        assert!(conditions.unpause_if_due(100) && !conditions.any());
    }
}
