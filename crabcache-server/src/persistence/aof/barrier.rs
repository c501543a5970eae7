//! Holds back replies until what they tell of is as safe as the configuration promises.
//!
//! Under `appendfsync always` a reply leaves when the file is forced to disk up to the end that the
//! stream had when the reply was made: then neither what the client has written nor what it has read
//! of others can be lost. Otherwise replies leave at once, unless the writer is so far behind that
//! its buffer would grow without bounds.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

/// Bytes that may wait to be written while replies leave.
const UNWRITTEN_BYTES_MAX: u64 = 64 << 20;
/// The distance while nothing is held back.
const OFF: u64 = u64::MAX;

/// See the module's text.
#[derive(Debug)]
pub struct Barrier {
    /// The stream is safe up to here.
    safe: AtomicU64,
    /// So far beyond may replies go.
    distance: AtomicU64,
    waiting: Mutex<Vec<(u64, Waker)>>,
}

impl Default for Barrier {
    fn default() -> Self {
        Barrier {
            safe: AtomicU64::new(0),
            distance: AtomicU64::new(OFF),
            waiting: Mutex::default(),
        }
    }
}

impl Barrier {
    /// Whether replies may have to wait at all.
    #[inline]
    pub fn is_up(&self) -> bool {
        self.distance.load(Ordering::Relaxed) != OFF
    }

    /// Whether a reply may leave that was made when the stream ended at `end`.
    #[inline]
    pub fn lets_pass(&self, end: u64) -> bool {
        let distance = self.distance.load(Ordering::Acquire);
        end <= self.safe.load(Ordering::Acquire).saturating_add(distance)
    }

    /// Has `waker` woken when a reply may leave that was made at `end`. `false`: it may now.
    pub fn wait(&self, end: u64, waker: &Waker) -> bool {
        let mut waiting = self.waiting.lock();
        let must_wait = !self.lets_pass(end);
        if must_wait {
            waiting.push((end, waker.clone()));
        }
        must_wait
    }

    /// From now on replies wait until the stream is safe (`is_strict`), or nearly so.
    pub fn raise(&self, is_strict: bool) {
        let distance = if is_strict { 0 } else { UNWRITTEN_BYTES_MAX };
        if self.distance.swap(distance, Ordering::AcqRel) != distance {
            self.wake();
        }
    }

    /// Holds nothing back any more.
    pub fn lower(&self) {
        self.distance.store(OFF, Ordering::Release);
        self.wake();
    }

    /// The stream is safe up to `end`.
    pub fn advance(&self, end: u64) {
        self.safe.store(end, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        let mut waiting = self.waiting.lock();
        waiting.retain(|(end, waker)| {
            let passes = self.lets_pass(*end);
            if passes {
                waker.wake_by_ref();
            }
            !passes
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn replies_wait_for_their_position() {
        let (barrier, counter) = (Barrier::default(), Arc::new(Counter::default()));
        let waker = Waker::from(counter.clone());
        let n_woken = || counter.0.load(Ordering::Relaxed);
        assert!(!barrier.is_up() && !barrier.wait(7, &waker));
        barrier.raise(true);
        assert!(barrier.is_up() && barrier.wait(7, &waker) && barrier.wait(8, &waker));
        barrier.advance(7);
        assert!(n_woken() == 1 && barrier.lets_pass(7) && !barrier.lets_pass(8));
        barrier.raise(false);
        assert!(n_woken() == 2 && barrier.lets_pass(7 + UNWRITTEN_BYTES_MAX));
        assert!(barrier.wait(8 + UNWRITTEN_BYTES_MAX, &waker));
        barrier.lower();
        assert!(n_woken() == 3 && barrier.lets_pass(u64::MAX));
    }
}
