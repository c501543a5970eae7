//! Huge pages: with pages of 4 KB, nearly every look-up in a large keyspace waits for the page table
//! as well as for the data.
//!
//! The allocator asks for them wherever it takes memory (`.cargo/config.toml`); this module decides
//! whether the process gets any. It gets none
//!
//! - while it is small: a page of 2 MB that is begun counts as a whole;
//! - while the kernel holds more for it than the allocator does: where much was freed and given back,
//!   the kernel would fill the holes again.
//!
//! A process that forks must not have them, for a write copies a whole one. This one never forks.
//!
//! What this is not: it does not touch pages that are there. The kernel joins those of 4 KB in time,
//! and splits huge ones where the allocator gives back a part.

use super::Usage;
use nix::sys::prctl;
use std::sync::atomic::{AtomicU8, Ordering};

/// From so many bytes in use on, a few huge pages are no matter; below half of it, they are again.
const USED_BYTES_MIN: usize = 32 << 20;
/// What of the process's memory is not the allocator's.
const FOREIGN_BYTES: usize = 16 << 20;

/// Whoever has started the process does not want it to have any.
const FORBIDDEN: u8 = 0;
const OFF: u8 = 1;
const ON: u8 = 2;

/// Keeps huge pages from the process until somebody decides. To be called before anything is allocated:
/// the allocator asks for them from the first byte on. Returns whether it may have any at all.
pub fn hold_back() -> bool {
    // Where the kernel does not know the question, it has none to give.
    !prctl::get_thp_disable().unwrap_or(true) && prctl::set_thp_disable(true).is_ok()
}

/// Whether the process gets huge pages.
#[derive(Debug, Default)]
pub struct HugePages(AtomicU8);

impl HugePages {
    /// The process may have some, as [`hold_back`] has found.
    pub fn allow(&self) {
        self.0.store(OFF, Ordering::Relaxed);
    }

    /// Decides anew.
    pub fn adjust(&self, usage: &Usage, are_wanted: bool) {
        let state = self.0.load(Ordering::Relaxed);
        if state == FORBIDDEN {
            return;
        }
        let new = if are_wanted && are_good(state == ON, usage) { ON } else { OFF };
        if new != state {
            self.set(new);
        }
    }

    fn set(&self, state: u8) {
        if prctl::set_thp_disable(state == OFF).is_ok() {
            self.0.store(state, Ordering::Relaxed);
        }
    }
}

fn are_good(are_on: bool, usage: &Usage) -> bool {
    let is_large = usage.allocated >= if are_on { USED_BYTES_MIN / 2 } else { USED_BYTES_MIN };
    let held = usage.resident + usage.resident / if are_on { 8 } else { 16 } + FOREIGN_BYTES;
    is_large && usage.rss <= held
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_processes_without_holes_get_them() {
        let good = |are_on, allocated_mb: usize, resident_mb: usize, rss_mb: usize| {
            let [allocated, resident, rss] = [allocated_mb, resident_mb, rss_mb].map(|mb| mb << 20);
            are_good(are_on, &Usage { allocated, resident, rss, ..Usage::default() })
        };
        assert!(!good(false, 4, 5, 12) && !good(false, 31, 35, 40) && good(false, 33, 35, 40));
        // It stays with them until much was freed.
        assert!(good(true, 20, 35, 40) && !good(true, 15, 35, 40));
        // Given back, and filled again by the kernel.
        assert!(good(false, 500, 1000, 1050) && !good(false, 500, 1000, 1090));
        assert!(good(true, 500, 1000, 1090) && !good(true, 500, 1000, 1200));
    }
}
