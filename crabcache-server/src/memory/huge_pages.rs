//! Huge pages: with pages of 4 KB, nearly every look-up in a large keyspace waits for the page table
//! as well as for the data.
//!
//! The process gets none by touching memory: whoever touches a huge page first waits until the kernel
//! has cleared 2 MB of it, which takes milliseconds where a virtual machine's host has to find them.
//! Instead, a thread of its own joins small pages when all of them are in use (`huge_pages/walk.rs`).
//! That needs Linux 6.1. Older kernels give huge pages where memory is touched, as all do while data is
//! loaded and nobody waits for an answer. Either way the process gets none
//!
//! - while it is small: a page of 2 MB that is begun counts as a whole;
//! - while the kernel holds more for it than the allocator does, if it gets them by touching: where much
//!   was freed and given back, the kernel would fill the holes again.
//!
//! A process that forks must not have them, for a write copies a whole one. This one never forks.

mod walk;

use super::Usage;
use crabcache_store::structures::pages::HUGE_BYTES;
use nix::sys::prctl;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::fs;
use std::sync::Arc;
use std::time::Duration;

/// From so many bytes in use on, a few huge pages are no matter; below half of it, they are again.
const USED_BYTES_MIN: usize = 32 << 20;
/// Memory that grows by more than this in [`SETTLE_TIME`] is left alone: to join pages takes new
/// ones, which new data wants as well, and gets sooner if it takes them one by one.
const GROWTH_BYTES_MAX: usize = 4 << 20;
/// Time in which memory that has settled grows little.
const SETTLE_TIME: Duration = Duration::from_millis(500);
/// What of the process's memory is not the allocator's.
const FOREIGN_BYTES: usize = 16 << 20;

/// Keeps huge pages from the process until somebody decides. To be called before anything is allocated:
/// the kernel may give them from the first byte on. Returns whether it may have any at all.
pub fn hold_back() -> bool {
    // Where the kernel does not know the question, it has none to give.
    !prctl::get_thp_disable().unwrap_or(true) && prctl::set_thp_disable(true).is_ok()
}

/// How the process gets huge pages.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Way {
    #[default]
    None,
    /// The kernel gives one where memory is touched for the first time.
    Touched,
    /// Small pages that are in use are joined.
    Joined,
}

#[derive(Debug, Default)]
struct State {
    /// Nobody has said that the process must not have any.
    is_allowed: bool,
    /// The kernel can join pages, and the system's owner has nothing against it.
    can_join: bool,
    way: Way,
    is_joining: bool,
    has_thread: bool,
    /// Bytes in use at the last look, and when the thread last began to go through all memory.
    used_bytes: usize,
    walked_bytes: usize,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// Whether and how the process gets huge pages.
#[derive(Debug, Default)]
pub struct HugePages(Arc<Shared>);

impl HugePages {
    /// The process may have some, as [`hold_back`] has found.
    pub fn allow(&self) {
        let mut state = self.0.state.lock();
        state.is_allowed = true;
        state.can_join = can_join();
    }

    /// Decides anew.
    pub fn adjust(&self, usage: &Usage, are_wanted: bool, is_loading: bool) {
        let mut state = self.0.state.lock();
        if !state.is_allowed {
            return;
        }
        let new = match are_wanted {
            true => way(state.way, usage, state.can_join && !is_loading),
            false => Way::None,
        };
        if new != state.way {
            state.way = new;
            state.walked_bytes = 0;
            state.tell_kernel();
        }
        state.used_bytes = usage.allocated;
        if state.has_work() {
            self.wake_thread(&mut state);
        }
    }

    fn wake_thread(&self, state: &mut State) {
        if !state.has_thread {
            let shared = self.0.clone();
            let thread = std::thread::Builder::new().name("huge pages".to_string());
            // Without a thread there are none; the next look tries again.
            state.has_thread = thread.spawn(move || walk::run(&shared)).is_ok();
        }
        self.0.changed.notify_one();
    }
}

impl State {
    fn tell_kernel(&self) {
        let are_given = self.way == Way::Touched || self.is_joining;
        // It has done so before, and has no reason not to.
        let _ = prctl::set_thp_disable(!are_given);
    }

    fn is_growing(&self) -> bool {
        self.used_bytes > self.walked_bytes + GROWTH_BYTES_MAX
    }

    fn has_work(&self) -> bool {
        let change = self.used_bytes.abs_diff(self.walked_bytes);
        self.way != Way::None && change >= HUGE_BYTES
    }
}

impl Shared {
    /// Waits until there is memory that the thread has not been through.
    fn wait(&self) -> Way {
        let mut state = self.state.lock();
        while !state.has_work() {
            self.changed.wait(&mut state);
        }
        while state.way == Way::Joined && state.is_growing() {
            state.walked_bytes = state.used_bytes;
            MutexGuard::unlocked(&mut state, || std::thread::sleep(SETTLE_TIME));
        }
        state.walked_bytes = state.used_bytes;
        state.way
    }

    /// Lets `join` run if pages are to be joined now, and returns what it does.
    fn while_joining<T>(&self, join: impl FnOnce() -> T) -> Option<T> {
        let set = |state: &mut State, is_joining| {
            state.is_joining = is_joining;
            state.tell_kernel();
        };
        {
            let mut state = self.state.lock();
            if state.way != Way::Joined || state.is_growing() {
                return None;
            }
            set(&mut state, true);
        }
        let joined = join();
        set(&mut self.state.lock(), false);
        Some(joined)
    }

    /// The kernel cannot join pages.
    fn give_up_joining(&self) {
        self.state.lock().can_join = false;
    }
}

/// Whether huge pages are of 2 MB here, and the system's owner has not forbidden them.
fn can_join() -> bool {
    let read = |name| {
        fs::read_to_string(format!("/sys/kernel/mm/transparent_hugepage/{name}"))
            .unwrap_or_default()
    };
    read("hpage_pmd_size").trim() == HUGE_BYTES.to_string() && !read("enabled").contains("[never]")
}

fn way(now: Way, usage: &Usage, can_join: bool) -> Way {
    let are_on = now != Way::None;
    if usage.allocated < if are_on { USED_BYTES_MIN / 2 } else { USED_BYTES_MIN } {
        return Way::None;
    }
    if can_join {
        return Way::Joined;
    }
    let held = usage.resident + usage.resident / if are_on { 8 } else { 16 } + FOREIGN_BYTES;
    if usage.rss <= held { Way::Touched } else { Way::None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(allocated_mb: usize, resident_mb: usize, rss_mb: usize) -> Usage {
        let [allocated, resident, rss] = [allocated_mb, resident_mb, rss_mb].map(|mb| mb << 20);
        Usage { allocated, resident, rss, ..Usage::default() }
    }

    #[test]
    fn large_processes_get_them() {
        let way = |now, used_mb: usize| way(now, &usage(used_mb, 35, 2000), true);
        assert_eq!([way(Way::None, 31), way(Way::None, 33)], [Way::None, Way::Joined]);
        // They stay with them until much was freed.
        assert_eq!([way(Way::Joined, 17), way(Way::Joined, 15)], [Way::Joined, Way::None]);
    }

    #[test]
    fn large_processes_without_holes_get_them_by_touching() {
        let good = |now, allocated_mb: usize, resident_mb: usize, rss_mb: usize| {
            way(now, &usage(allocated_mb, resident_mb, rss_mb), false) == Way::Touched
        };
        let (off, on) = (Way::None, Way::Touched);
        assert!(!good(off, 4, 5, 12) && !good(off, 31, 35, 40) && good(off, 33, 35, 40));
        assert!(good(on, 20, 35, 40) && !good(on, 15, 35, 40));
        // Given back, and filled again by the kernel.
        assert!(good(off, 500, 1000, 1050) && !good(off, 500, 1000, 1090));
        assert!(good(on, 500, 1000, 1090) && !good(on, 500, 1000, 1200));
    }

    #[test]
    fn the_thread_has_work_when_memory_has_changed() {
        let mut state = State { way: Way::Joined, used_bytes: 40 << 20, ..State::default() };
        assert!(state.has_work());
        state.walked_bytes = state.used_bytes;
        assert!(!state.has_work());
        state.used_bytes -= HUGE_BYTES;
        assert!(state.has_work());
        state.way = Way::None;
        assert!(!state.has_work());
    }
}
