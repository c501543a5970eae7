//! The thread that goes through the process's memory for pages to join.
//!
//! It takes a tenth of a processor at most. What it joins is out of reach for half a millisecond;
//! pages that are not all in use it leaves alone, so that hardly any memory is taken for them.
//!
//! What this is not: it does not know what is in memory, and keeps no list of allocations. The kernel
//! tells which memory there is (`/proc/self/maps`) and what of it is in use (`/proc/self/pagemap`).

use super::{Shared, Way};
use crate::clock::Clock;
use crabcache_store::structures::pages::{self, HUGE_BYTES, Spare};
use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::sys::utsname::uname;
use nix::unistd::Pid;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

const SMALL_PAGE_BYTES: usize = 4096;
const SMALL_PAGES: usize = HUGE_BYTES / SMALL_PAGE_BYTES;
/// With so many of its small pages in use, a huge one takes 3 % more memory at most.
const USED_PAGES_MIN: usize = SMALL_PAGES - SMALL_PAGES / 32;
/// Bytes that tell of one small page, in the last of which the highest bit says that it is in use.
const PAGEMAP_ENTRY_BYTES: usize = 8;
/// How long the thread waits for the one that has stepped back, when all processors are busy.
const PATIENCE: Duration = Duration::from_millis(100);
/// For each unit of time that it works, the thread rests so many.
const REST: u32 = 9;

/// Goes through the memory whenever it has changed, until the process ends.
pub(super) fn run(shared: &Shared) {
    let clock = Clock::default();
    let mut joiner = match Joiner::new(&clock) {
        Ok(joiner) => Some(joiner),
        Err(_) => {
            shared.give_up_joining();
            None
        }
    };
    loop {
        let way = shared.wait();
        let Ok(maps) = fs::read_to_string("/proc/self/maps") else { continue };
        match (way, &mut joiner) {
            (Way::Joined, Some(joiner)) => joiner.walk(shared, data(&maps)),
            // What cannot be had touched stays as it is.
            (Way::Touched, _) => data(&maps).for_each(|range| drop(pages::allow(range))),
            _ => {}
        }
    }
}

/// Ranges of memory that are neither files nor a thread's stack.
fn data(maps: &str) -> impl Iterator<Item = Range<usize>> {
    let mut guard_end = 0;
    maps.lines().filter_map(move |line| {
        // Addresses, rights, offset, device, inode, and a name if there is one.
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        let range = address(start)?..address(end)?;
        let rights = words.next()?;
        let is_stack = range.start == guard_end;
        if rights == "---p" {
            guard_end = range.end;
        }
        let is_anonymous =
            words.nth(2)? == "0" && words.next().is_none_or(|n| n.starts_with("[anon"));
        (rights == "rw-p" && is_anonymous && !is_stack).then_some(range)
    })
}

/// The huge pages that lie within `range`.
fn huge_pages(range: Range<usize>) -> impl Iterator<Item = usize> {
    let n = range.end.saturating_sub(range.start.next_multiple_of(HUGE_BYTES)) / HUGE_BYTES;
    (0..n).map(move |i| range.start.next_multiple_of(HUGE_BYTES) + i * HUGE_BYTES)
}

/// What joins pages.
struct Joiner<'a> {
    clock: &'a Clock,
    /// When the thread last rested.
    rested_at: Duration,
    pagemap: File,
    finder: Finder,
    /// Addresses of what is joined. The kernel may have taken it apart again, if a part was given back.
    joined: HashSet<usize>,
}

impl Joiner<'_> {
    fn new(clock: &Clock) -> io::Result<Joiner<'_>> {
        let pagemap = File::open("/proc/self/pagemap")?;
        let (finder, joined) = (Finder::new()?, HashSet::new());
        Ok(Joiner { clock, rested_at: clock.elapsed(), pagemap, finder, joined })
    }

    /// Joins all that is in use, or some of it if pages are not to be joined any more.
    fn walk(&mut self, shared: &Shared, ranges: impl Iterator<Item = Range<usize>>) {
        self.rested_at = self.clock.elapsed();
        self.join_all(shared, ranges);
        self.finder.put_away();
        self.rest();
    }

    fn join_all(&mut self, shared: &Shared, ranges: impl Iterator<Item = Range<usize>>) {
        for page in ranges.flat_map(huge_pages) {
            if !self.is_in_use(page) {
                self.joined.remove(&page);
            } else if !self.joined.contains(&page) {
                match shared.while_joining(|| self.join(page)) {
                    None => return,
                    Some(Err(error)) if error.kind() == ErrorKind::InvalidInput => {
                        if self.joined.is_empty() {
                            return shared.give_up_joining();
                        }
                    }
                    // Gone meanwhile, or there is none to be had.
                    Some(Err(_)) => {}
                    Some(Ok(())) => drop(self.joined.insert(page)),
                }
                self.rest();
            }
        }
    }

    fn join(&mut self, page: usize) -> io::Result<()> {
        let began = self.clock.elapsed();
        let join = |spare: &Spare| {
            spare.give_back();
            pages::join(page)
        };
        match self.finder.find() {
            Some(cpu) => {
                self.rested_at += self.clock.elapsed().saturating_sub(began);
                on_cpu(cpu, || join(&self.finder.spare))
            }
            None => join(&self.finder.spare),
        }
    }

    fn is_in_use(&self, page: usize) -> bool {
        let mut entries = [0; SMALL_PAGES * PAGEMAP_ENTRY_BYTES];
        let offset = (page / SMALL_PAGE_BYTES * PAGEMAP_ENTRY_BYTES) as u64;
        let n_used = |entries: &[u8]| {
            entries.chunks_exact(PAGEMAP_ENTRY_BYTES).filter(|entry| entry[7] & 0x80 != 0).count()
        };
        let is_read = self.pagemap.read_exact_at(&mut entries, offset).is_ok();
        is_read && n_used(&entries) >= USED_PAGES_MIN
    }

    fn rest(&mut self) {
        let worked = self.clock.elapsed().saturating_sub(self.rested_at);
        std::thread::sleep(worked * REST);
        self.rested_at = self.clock.elapsed();
    }
}

/// Runs `act` where the kernel keeps what it was given back on this processor.
fn on_cpu<T>(cpu: usize, act: impl FnOnce() -> T) -> T {
    let this_thread = Pid::from_raw(0);
    let all = sched_getaffinity(this_thread);
    let mut one = CpuSet::new();
    // Where it may not move, it acts where it is, and takes longer.
    let _ = one.set(cpu).and_then(|()| sched_setaffinity(this_thread, &one));
    let result = act();
    let _ = all.and_then(|all| sched_setaffinity(this_thread, &all));
    result
}

/// What finds memory for the next huge page: on a thread that steps back for all others, for a host may
/// take milliseconds to find it.
struct Finder {
    spare: Arc<Spare>,
    orders: Sender<()>,
    /// On which processor it was found.
    found: Receiver<usize>,
    is_searching: bool,
}

impl Finder {
    fn new() -> io::Result<Finder> {
        let spare = Arc::new(Spare::new()?);
        let ((orders, ordered), (tell, found)) = (channel(), channel());
        if has_locks_for_ranges() {
            let room = spare.clone();
            let thread = std::thread::Builder::new().name("huge pages idle".to_string());
            thread.spawn(move || serve(&room, &ordered, &tell))?;
        }
        Ok(Finder { spare, orders, found, is_searching: false })
    }

    /// Returns when the spare page is there, and on which processor if the other thread has found it.
    fn find(&mut self) -> Option<usize> {
        self.is_searching &= self.found.try_recv().is_err();
        if !self.is_searching {
            self.is_searching = self.orders.send(()).is_ok();
        }
        if self.is_searching
            && let Ok(cpu) = self.found.recv_timeout(PATIENCE)
        {
            self.is_searching = false;
            return Some(cpu);
        }
        self.spare.touch();
        None
    }

    /// Keeps no spare page: not even one that is found late.
    fn put_away(&mut self) {
        if self.is_searching {
            self.is_searching = self.found.recv().is_err();
        }
        self.spare.give_back();
    }
}

fn serve(spare: &Spare, orders: &Receiver<()>, found: &Sender<usize>) {
    if pages::step_back().is_err() {
        return;
    }
    while orders.recv().is_ok() {
        spare.touch();
        let Ok(cpu) = sched_getcpu() else { return };
        if found.send(cpu).is_err() {
            return;
        }
    }
}

/// Whether a thread that waits for memory keeps others from nothing but the range that this memory is
/// in, as from Linux 6.4 on. One that had stepped back could hold up the whole process before.
fn has_locks_for_ranges() -> bool {
    let Ok(name) = uname() else { return false };
    let release = name.release().to_string_lossy();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_with_data_is_found() {
        let maps = "\
55d0a0000000-55d0a0400000 r-xp 00000000 fe:00 123 /usr/bin/server
55d0a0400000-55d0a0500000 rw-p 00400000 fe:00 123 /usr/bin/server
55d0a0500000-55d0a0600000 rw-p 00000000 00:00 0
55d0a0600000-55d0a0700000 rw-p 00000000 00:00 0 [heap]
7f0000000000-7f0000800000 rw-p 00000000 00:00 0
7f0000800000-7f0000801000 ---p 00000000 00:00 0
7f0000801000-7f0001001000 rw-p 00000000 00:00 0
7f0001001000-7f0001801000 rw-p 00000000 00:00 0 [anon:data]
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0 [stack]
";
        let found: Vec<_> = data(maps).map(|range| range.start).collect();
        assert_eq!(found, [0x55d0_a050_0000, 0x7f00_0000_0000, 0x7f00_0100_1000]);
    }

    #[test]
    fn huge_pages_lie_within() {
        let pages =
            |start: usize, end: usize| huge_pages(start << 20..end << 20).collect::<Vec<_>>();
        assert_eq!(pages(2, 6), [2 << 20, 4 << 20]);
        assert_eq!(pages(1, 7), [2 << 20, 4 << 20]);
        assert!(pages(1, 3).is_empty() && pages(3, 3).is_empty() && pages(1, 1).is_empty());
    }

    #[test]
    fn pages_in_use_are_told_from_others() {
        let clock = Clock::default();
        let joiner = Joiner::new(&clock).unwrap();
        let mut bytes: Vec<u8> = Vec::with_capacity(4 * HUGE_BYTES);
        let page = bytes.as_ptr().addr().next_multiple_of(HUGE_BYTES);
        assert!(!joiner.is_in_use(page));
        bytes.resize(bytes.capacity(), 1);
        assert!(joiner.is_in_use(page) && bytes.iter().all(|byte| *byte == 1));
    }
}
