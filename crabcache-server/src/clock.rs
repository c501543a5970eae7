//! The only reader of the system's clocks. Tests can move it forward.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall clock and monotonic clock of one server.
#[derive(Debug)]
pub struct Clock {
    start: Instant,
    /// What tests added to the wall clock.
    advanced_ms: AtomicI64,
}

impl Default for Clock {
    fn default() -> Self {
        Clock { start: Instant::now(), advanced_ms: AtomicI64::new(0) }
    }
}

impl Clock {
    /// Unix time in microseconds.
    pub fn unix_us(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_us = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        now_us.saturating_add(self.advanced_ms.load(Ordering::Relaxed) * 1000)
    }

    /// Unix time in milliseconds.
    pub fn unix_ms(&self) -> i64 {
        self.unix_us() / 1000
    }

    /// Time since the clock was made, in nanoseconds; never goes back.
    #[inline]
    pub fn elapsed_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Time since the clock was made.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Moves the wall clock forward, for tests of expiry.
    pub fn advance_ms(&self, by_ms: i64) {
        self.advanced_ms.fetch_add(by_ms, Ordering::Relaxed);
    }
}
