//! Who wants to know what commands do: one word that every command looks at.
//!
//! While nobody watches a key, listens to events or replicates, handlers only count their changes.

use bitflags::bitflags;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

bitflags! {
    /// Kinds of interest.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Interest: u32 {
        /// Some client watches keys.
        const WATCH = 1;
        /// Keyspace events are on.
        const EVENTS = 1 << 1;
        /// Keyspace events of missed keys are on.
        const MISSES = 1 << 2;
        /// Changes are replicated or logged.
        const PROPAGATION = 1 << 3;
        /// Some client monitors commands.
        const MONITOR = 1 << 4;
        /// Keyspace events beyond those that `A` stands for are on: new, overwritten, type_changed.
        const FINE_EVENTS = 1 << 5;
        /// Some client is told of changed keys that it may have cached.
        const TRACKING = 1 << 6;
    }
}

/// All interests of a server.
#[derive(Debug, Default)]
pub struct Interests {
    bits: AtomicU32,
    n_watching: Mutex<usize>,
}

impl Interests {
    /// The interests now. Read with the stripes locked, so that a WATCH of one of their keys, which
    /// had them locked before, is seen.
    #[inline]
    pub fn get(&self) -> Interest {
        Interest::from_bits_truncate(self.bits.load(Ordering::Acquire))
    }

    /// Sets or ends an interest.
    pub fn set(&self, interest: Interest, is_wanted: bool) {
        if is_wanted {
            self.bits.fetch_or(interest.bits(), Ordering::AcqRel);
        } else {
            self.bits.fetch_and(!interest.bits(), Ordering::AcqRel);
        }
    }

    /// A client begins to watch; to be called before it locks the keys' stripes.
    pub fn watching_begins(&self) {
        let mut n_watching = self.n_watching.lock();
        *n_watching += 1;
        self.set(Interest::WATCH, true);
    }

    /// A client's watches have ended.
    pub fn watching_ends(&self) {
        let mut n_watching = self.n_watching.lock();
        *n_watching -= 1;
        self.set(Interest::WATCH, *n_watching > 0);
    }

    /// Clients that watch keys.
    pub fn n_watching(&self) -> usize {
        *self.n_watching.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watching_is_counted() {
        let interests = Interests::default();
        interests.watching_begins();
        interests.watching_begins();
        interests.watching_ends();
        assert_eq!((interests.get(), interests.n_watching()), (Interest::WATCH, 1));
        interests.set(Interest::EVENTS, true);
        interests.watching_ends();
        assert_eq!(interests.get(), Interest::EVENTS);
    }
}
