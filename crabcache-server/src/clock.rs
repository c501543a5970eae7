//! The only reader of the system's clocks. Tests can move it forward.

use nix::time::{ClockId, clock_gettime};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall clock and monotonic clock of one server.
#[derive(Debug)]
pub struct Clock {
    start: Instant,
    /// The processor's time stamp counter: every command reads it, and it takes 10 ns where the
    /// system's clock takes 40. Calibrated at the start, in less than a millisecond, to about 20
    /// millionths.
    counter: quanta::Clock,
    start_ticks: u64,
    /// Nanoseconds of 2^32 ticks.
    ns_of_ticks: u64,
    /// What tests added to the wall clock.
    advanced_ms: AtomicI64,
    /// Where tests have stopped the wall clock; 0: it goes on.
    #[cfg(test)]
    frozen_us: AtomicI64,
}

impl Default for Clock {
    fn default() -> Self {
        let counter = quanta::Clock::new();
        Clock {
            start: Instant::now(),
            start_ticks: counter.raw(),
            ns_of_ticks: counter.delta_as_nanos(0, 1 << 32),
            counter,
            advanced_ms: AtomicI64::new(0),
            #[cfg(test)]
            frozen_us: AtomicI64::new(0),
        }
    }
}

/// How long an answer of the system's clock is carried on by the processor's counter.
const CARRIED_NS: u64 = 500_000;
/// An answer that took longer is not: the thread may have been held up before or behind it.
const ANSWER_NS_MAX: u64 = 20_000;

thread_local! {
    /// When the thread last asked for the time, by the processor's counter, and the answer in
    /// microseconds; 0: never. A process that serves has one clock.
    static ANSWER: Cell<(u64, i64)> = const { Cell::new((0, 0)) };
}

/// Unix time in microseconds, for the log, which is there before any server.
pub fn wall_us() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}

impl Clock {
    /// Unix time in microseconds.
    pub fn unix_us(&self) -> i64 {
        self.base_us().saturating_add(self.advanced_ms.load(Ordering::Relaxed) * 1000)
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "tests have their own form")]
    fn base_us(&self) -> i64 {
        wall_us()
    }

    #[cfg(test)]
    fn base_us(&self) -> i64 {
        match self.frozen_us.load(Ordering::Relaxed) {
            0 => wall_us(),
            frozen_us => frozen_us,
        }
    }

    /// Stops the wall clock, for tests that look at times left; it still can be advanced.
    #[cfg(test)]
    pub fn freeze(&self) {
        self.frozen_us.store(wall_us(), Ordering::Relaxed);
    }

    /// Unix time in milliseconds.
    pub fn unix_ms(&self) -> i64 {
        self.unix_us() / 1000
    }

    /// The same by the processor's counter, if the calling thread has asked the system less than half a
    /// millisecond ago. For what is asked with every batch of commands: a third of the cost.
    #[inline]
    pub fn carried_unix_ms(&self) -> i64 {
        // Tests stop and advance their clocks.
        if cfg!(test) { self.unix_ms() } else { self.carried_unix_us() / 1000 }
    }

    #[inline]
    fn carried_unix_us(&self) -> i64 {
        let now_ns = self.elapsed_ns();
        let (at_ns, us) = ANSWER.get();
        let since_ns = now_ns.wrapping_sub(at_ns);
        if us != 0 && since_ns < CARRIED_NS {
            return us + since_ns as i64 / 1000;
        }
        let us = self.unix_us();
        let answered_ns = self.elapsed_ns();
        let is_exact = answered_ns.wrapping_sub(now_ns) < ANSWER_NS_MAX;
        ANSWER.set(if is_exact { (answered_ns, us) } else { (0, 0) });
        us
    }

    /// Time since the clock was made, in nanoseconds, for measuring how long something takes. Cheap;
    /// processors whose counters differ may make it step back by a trifle.
    #[inline]
    pub fn elapsed_ns(&self) -> u64 {
        let n_ticks = self.counter.raw().wrapping_sub(self.start_ticks);
        ((u128::from(n_ticks) * u128::from(self.ns_of_ticks)) >> 32) as u64
    }

    /// Time since the clock was made; never goes back.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Processor time that a thread of this process has had, in nanoseconds; `None` if it is gone.
    pub fn thread_cpu_ns(&self, thread_id: i32) -> Option<u64> {
        /// The clock of one thread, scheduled time: `CPUCLOCK_PERTHREAD_MASK | CPUCLOCK_SCHED` of Linux.
        const OF_THREAD: i32 = 6;
        let clock = ClockId::from_raw(!thread_id << 3 | OF_THREAD);
        let time = clock_gettime(clock).ok()?;
        u64::try_from(Duration::from(time).as_nanos()).ok()
    }

    /// Moves the wall clock forward, for tests of expiry.
    pub fn advance_ms(&self, by_ms: i64) {
        self.advanced_ms.fetch_add(by_ms, Ordering::Relaxed);
    }
}

/// Lets something through at most once in a while: log lines that clients can provoke.
#[derive(Debug)]
pub struct Throttle {
    last_ms: AtomicI64,
}

impl Default for Throttle {
    fn default() -> Self {
        Throttle { last_ms: AtomicI64::new(i64::MIN) }
    }
}

impl Throttle {
    /// Whether more than `every_ms` have passed since this last was true.
    pub fn is_due(&self, now_ms: i64, every_ms: i64) -> bool {
        let last_ms = self.last_ms.load(Ordering::Relaxed);
        let is_due = now_ms.saturating_sub(last_ms) > every_ms;
        is_due
            && self
                .last_ms
                .compare_exchange(last_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client that has just looked at its clock must not find the server behind it.
    #[test]
    fn the_time_that_is_carried_on_is_the_systems() {
        const ERROR_US_MAX: i64 = 50;
        let clock = Clock::default();
        let end_us = wall_us() + 20_000;
        loop {
            let before_us = wall_us();
            let carried_us = clock.carried_unix_us();
            let after_us = wall_us();
            let right = before_us - ERROR_US_MAX..=after_us + ERROR_US_MAX;
            assert!(right.contains(&carried_us), "{carried_us}, not {right:?}");
            if after_us > end_us {
                return;
            }
        }
    }

    #[test]
    fn a_throttle_opens_once_in_a_while() {
        let throttle = Throttle::default();
        let open: Vec<bool> = [5, 6, 15, 16].map(|now_ms| throttle.is_due(now_ms, 10)).into();
        assert_eq!(open, [true, false, false, true]);
    }
}
