//! Memory of the process as the allocator and the system tell it.
//!
//! What is used is a sum of what threads tell: the allocator counts for each what it has allocated and
//! freed, and reading that costs nothing. The allocator's own sum is a bound for it: it counts what
//! threads keep for their next allocations, too, some hundred kilobytes each. It is read when somebody
//! asks (INFO, MEMORY) and ten times a second by the cron thread, which is how the peak is known, and
//! costs some 20 microseconds.

pub mod huge_pages;

use crate::clock::Throttle;
use huge_pages::HugePages;
use parking_lot::Mutex;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use tikv_jemalloc_ctl::thread::{ThreadLocal, allocatedp, deallocatedp};
use tikv_jemalloc_ctl::{Access, AsName, background_thread, epoch, stats};

/// A thread tells of what it has allocated and freed when it is more than that.
const NOTED_BYTES_MIN: i64 = 4 * 1024;
/// What threads keep for their next allocations, at most, or have not told.
const KEPT_BYTES_MAX: i64 = 4 * 1024 * 1024;

/// What is remembered between two looks.
#[derive(Debug, Default)]
pub struct Memory {
    startup: AtomicUsize,
    peak: AtomicUsize,
    peak_at_s: AtomicI64,
    /// Bytes of the keyspace's tables, without entries.
    tables: AtomicUsize,
    tables_look: Throttle,
    drift: Mutex<Drift>,
    /// Bytes that are in use.
    pub used: Used,
    /// Whether the process gets huge pages.
    pub huge_pages: HugePages,
}

/// How far the sum of what threads tell has been from what the allocator says, at the least, in one
/// second. A thread in the middle of its work has not told of it yet; what is off all the time has
/// been lost.
#[derive(Debug, Default, Clone, Copy)]
struct Drift {
    second: i64,
    least: i64,
}

impl Drift {
    fn add(&mut self, deviation: i64) {
        self.least = if self.least.signum() != deviation.signum() {
            0
        } else if deviation.abs() < self.least.abs() {
            deviation
        } else {
            self.least
        };
    }
}

/// Bytes in use by the whole process, as far as threads have told.
#[derive(Debug, Default, Clone)]
pub struct Used(Arc<AtomicI64>);

impl Used {
    /// Tells what the calling thread has allocated and freed, if that is worth it. Costs two reads.
    #[inline]
    pub fn note(&self) {
        self.tell(NOTED_BYTES_MIN);
    }

    /// Tells it if it is so many bytes at least.
    #[inline]
    fn tell(&self, n_bytes_min: i64) {
        COUNTS.with(|counts| {
            let Some(counts) = counts else { return };
            let held = counts.held();
            let change = held - counts.told.get();
            if change.abs() >= n_bytes_min {
                counts.told.set(held);
                self.0.fetch_add(change, Ordering::Relaxed);
            }
        });
    }

    /// Bytes.
    #[inline]
    pub fn bytes(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Bytes, with those that the calling thread has not told yet.
    #[inline]
    pub fn bytes_here(&self) -> i64 {
        let untold = COUNTS
            .with(|counts| counts.as_ref().map_or(0, |counts| counts.held() - counts.told.get()));
        self.bytes() + untold
    }

    /// What the calling thread has allocated, less what it has freed.
    pub fn held_here() -> i64 {
        COUNTS.with(|counts| counts.as_ref().map_or(0, ThreadCounts::held))
    }

    /// Pretends that so much is in use: the allocator of tests is another one.
    #[cfg(test)]
    pub(crate) fn pretend(&self, n_bytes: i64) {
        self.0.store(n_bytes, Ordering::Relaxed);
    }
}

/// Bytes of memory that somebody is about to give back.
#[derive(Debug, Default, Clone)]
pub struct PassingSum {
    n_bytes: Arc<AtomicUsize>,
    used: Used,
}

impl PassingSum {
    /// A sum of nothing, of memory that `used` counts.
    pub fn new(used: &Used) -> PassingSum {
        PassingSum { n_bytes: Arc::default(), used: used.clone() }
    }

    /// Bytes.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.n_bytes.load(Ordering::Acquire)
    }
}

/// A share of such a sum, which ends with it. The memory goes before, on the same thread.
#[derive(Debug, Default)]
pub struct Passing {
    n_bytes: usize,
    sum: Option<PassingSum>,
}

impl Passing {
    /// Makes it larger.
    pub fn add(&mut self, n_bytes: usize, sum: &PassingSum) {
        self.n_bytes += n_bytes;
        self.sum.get_or_insert_with(|| sum.clone()).n_bytes.fetch_add(n_bytes, Ordering::Relaxed);
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if let Some(sum) = &self.sum {
            // In this order: in between, others would take what has gone for memory in use.
            sum.used.tell(0);
            sum.n_bytes.fetch_sub(self.n_bytes, Ordering::Release);
        }
    }
}

/// What the allocator counts for this thread, and how much of it has been told.
struct ThreadCounts {
    allocated: ThreadLocal<u64>,
    freed: ThreadLocal<u64>,
    told: Cell<i64>,
}

thread_local! {
    /// `None` if the allocator does not tell.
    static COUNTS: Option<ThreadCounts> = ThreadCounts::new();
}

impl ThreadCounts {
    fn new() -> Option<ThreadCounts> {
        let (allocated, freed) = (allocatedp::read().ok()?, deallocatedp::read().ok()?);
        // What it has allocated before it first tells something belongs to the sum as well.
        Some(ThreadCounts { allocated, freed, told: Cell::new(0) })
    }

    /// Bytes allocated less bytes freed; negative where others' memory is freed.
    fn held(&self) -> i64 {
        self.allocated.get().wrapping_sub(self.freed.get()).cast_signed()
    }
}

/// One look.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Bytes in use.
    pub used: usize,
    /// Bytes that the allocator has given to threads.
    pub allocated: usize,
    /// Bytes of pages with allocations.
    pub active: usize,
    /// Bytes of pages that the allocator holds.
    pub resident: usize,
    /// Bytes of the process's pages.
    pub rss: usize,
    /// Most bytes ever in use.
    pub peak: usize,
    /// When that was: Unix seconds.
    pub peak_at_s: i64,
    /// Bytes in use before there were data and clients.
    pub startup: usize,
    /// Bytes of the keyspace's tables, without entries.
    pub tables: usize,
}

impl Memory {
    /// Looks now. The first call says what the process needs without data.
    pub fn look(&self, now_s: i64) -> Usage {
        // The allocator's figures are as of the last `advance`; it cannot fail but for lack of memory.
        let _ = epoch::advance();
        let allocated = stats::allocated::read().unwrap_or(0);
        self.used.tell(1);
        let used = self.bound(allocated, now_s);
        // Of all callers only the first finds no figure yet.
        let _ = self.startup.compare_exchange(0, used, Ordering::Relaxed, Ordering::Relaxed);
        if used > self.peak.fetch_max(used, Ordering::Relaxed) {
            self.peak_at_s.store(now_s, Ordering::Relaxed);
        }
        Usage {
            used,
            allocated,
            active: stats::active::read().unwrap_or(0),
            resident: stats::resident::read().unwrap_or(0),
            rss: rss(),
            peak: self.peak.load(Ordering::Relaxed),
            peak_at_s: self.peak_at_s.load(Ordering::Relaxed),
            startup: self.startup.load(Ordering::Relaxed),
            tables: self.tables.load(Ordering::Relaxed),
        }
    }

    /// The sum of what threads tell, within what the allocator says. What a whole second was not
    /// enough to make up for is corrected.
    fn bound(&self, allocated: usize, now_s: i64) -> usize {
        let allocated = i64::try_from(allocated).unwrap_or(i64::MAX);
        let within = |used: i64| used.clamp((allocated - KEPT_BYTES_MAX).max(0), allocated);
        let mut drift = self.drift.lock();
        if drift.second != now_s {
            self.used.0.fetch_sub(drift.least, Ordering::Relaxed);
            let used = self.used.bytes();
            *drift = Drift { second: now_s, least: used - within(used) };
        }
        let used = self.used.bytes();
        drift.add(used - within(used));
        usize::try_from(within(used)).unwrap_or(0)
    }

    /// Whether it is time to look at the keyspace's tables again.
    pub fn tables_are_due(&self, now_ms: i64) -> bool {
        const LOOKED_EVERY_MS: i64 = 1000;
        self.tables_look.is_due(now_ms, LOOKED_EVERY_MS)
    }

    /// Notes the size of the keyspace's tables.
    pub fn note_tables(&self, bytes: usize) {
        self.tables.store(bytes, Ordering::Relaxed);
    }
}

impl Usage {
    /// `part` of `whole`; 0 where there is no whole.
    pub fn ratio(part: usize, whole: usize) -> f64 {
        if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
    }

    /// How far `part` is beyond `whole`, which may be a negative number.
    pub fn beyond(part: usize, whole: usize) -> i64 {
        part as i64 - whole as i64
    }
}

/// Bytes of the process's pages in memory.
fn rss() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let n_pages = statm.split(' ').nth(1).and_then(|n_pages| n_pages.parse().ok());
    n_pages.unwrap_or(0) * page_bytes()
}

fn page_bytes() -> usize {
    sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
}

/// Bytes of the machine's memory.
pub fn system_bytes() -> usize {
    sysconf(nix::unistd::SysconfVar::_PHYS_PAGES) * page_bytes()
}

fn sysconf(variable: nix::unistd::SysconfVar) -> usize {
    let value = nix::unistd::sysconf(variable).ok().flatten();
    value.and_then(|value| usize::try_from(value).ok()).unwrap_or(0)
}

/// The allocator's name and version, as `jemalloc-5.3.0`.
pub fn allocator() -> String {
    let version = tikv_jemalloc_ctl::version::read().unwrap_or("");
    format!("jemalloc-{}", version.split('-').next().unwrap_or(version))
}

/// What the allocator has to say about itself at length.
pub fn allocator_report() -> Vec<u8> {
    let mut report = Vec::new();
    // Writing to a `Vec` does not fail.
    let _ = tikv_jemalloc_ctl::stats_print::stats_print(&mut report, Default::default());
    report
}

/// Has the allocator give unused pages back after some seconds, on a thread of its own, or only when
/// memory is allocated or freed.
///
/// # Errors
/// If there cannot be a thread.
pub fn set_background_thread(is_wanted: bool) -> Result<(), tikv_jemalloc_ctl::Error> {
    background_thread::write(is_wanted)
}

/// Lets the allocator give unused pages back to the system.
pub fn purge() {
    let n_arenas = tikv_jemalloc_ctl::arenas::narenas::read().unwrap_or(0);
    for arena in 0..n_arenas {
        for kind in ["dirty", "muzzy"] {
            let name = format!("arena.{arena}.{kind}_decay_ms\0");
            // An arena that does not exist yet has nothing to give back.
            let decay: Result<isize, _> = name.as_str().name().read();
            if let Ok(decay) = decay {
                // A decay time of 0 takes effect at once.
                let _ = name.as_str().name().write(0isize);
                let _ = name.as_str().name().write(decay);
            }
        }
    }
}

/// Bytes as people read them, such as `1.50K`.
pub fn human(bytes: usize) -> String {
    const UNITS: [(u32, char); 5] = [(50, 'P'), (40, 'T'), (30, 'G'), (20, 'M'), (10, 'K')];
    match UNITS.iter().find(|(bits, _)| bytes >> bits > 0) {
        Some((bits, unit)) => format!("{:.2}{unit}", bytes as f64 / (1u64 << bits) as f64),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_for_people() {
        let cases = [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.00K"),
            (869_456, "849.08K"),
            (7_319_552, "6.98M"),
            (25_276_502_016, "23.54G"),
            (1 << 40, "1.00T"),
            (3 << 50, "3.00P"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(human(bytes), expected);
        }
    }

    /// A thread that has freed much and not told yet must not have the sum corrected: it would be
    /// wrong for good as soon as the thread tells.
    #[test]
    fn only_what_stays_off_is_corrected() {
        const MB: i64 = 1 << 20;
        let memory = Memory::default();
        let look = |used_mb: i64, allocated_mb: i64, now_s: i64| {
            memory.used.0.store(used_mb * MB, Ordering::Relaxed);
            let shown = memory.bound((allocated_mb * MB) as usize, now_s);
            (shown as i64 / MB, memory.used.bytes() / MB)
        };
        assert_eq!(look(50, 50, 1), (50, 50));
        // Off at some looks, on both sides.
        assert_eq!(look(50, 60, 1), (56, 50));
        assert_eq!(look(50, 50, 1), (50, 50));
        assert_eq!(look(50, 40, 2), (40, 50));
        assert_eq!(look(50, 49, 2), (49, 50));
        assert_eq!(look(50, 50, 2), (50, 50));
        assert_eq!(look(50, 50, 3), (50, 50));
        // Off all the time: by ten at the least.
        assert_eq!(look(50, 66, 4), (62, 50));
        assert_eq!(look(50, 64, 4), (60, 50));
        assert_eq!(look(50, 64, 5), (60, 60));
        assert_eq!(look(60, 57, 6), (57, 60));
        assert_eq!(look(60, 57, 7), (57, 57));
    }

    #[test]
    fn a_look_finds_something() {
        let memory = Memory::default();
        memory.note_tables(7);
        let usage = memory.look(5);
        assert!(usage.rss > 0 && system_bytes() > usage.rss);
        assert!(usage.peak >= usage.used && usage.tables == 7);
        assert!(allocator().starts_with("jemalloc-5."));
        purge();
    }
}
