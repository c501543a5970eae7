//! Memory that is given back on a thread of its own: flushed databases and big values, so that no
//! command waits for the allocator and no lock is held meanwhile.
//!
//! What is cheap to free is freed where it falls: handing it over would cost more. INFO counts what
//! the reference would have freed on another thread, and no more.

use crate::blocking::{Unblock, WaitKind};
use crate::client::ClientHandle;
use crate::config::Config;
use crate::memory::Used;
use crabcache_store::{Discard, Entry, Table, Trace};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};

/// What the thread has to do.
enum Job {
    /// Free an entry.
    Entry { entry: Entry, is_counted: bool },
    /// Free the tables of a flushed database.
    Tables { tables: Vec<Table<Entry>>, is_counted: bool },
    /// Tell a blocked client that all jobs before this one are done.
    Tell { client: Arc<ClientHandle> },
}

#[derive(Debug, Default)]
struct Counts {
    /// Jobs of the thread, the one under way included.
    n_jobs: AtomicU64,
    pending_objects: AtomicU64,
    freed_objects: AtomicU64,
}

/// The queue of what is to be freed. Without a thread, everything is freed at once.
#[derive(Debug, Default)]
pub struct LazyFree {
    queue: OnceLock<Sender<Job>>,
    counts: Arc<Counts>,
}

impl LazyFree {
    /// Starts the thread. It ends with the server. What it frees is told to `used`.
    pub fn start(&self, used: &Used) {
        let (sender, receiver) = channel();
        if self.queue.set(sender).is_ok() {
            let (counts, used) = (self.counts.clone(), used.clone());
            std::thread::spawn(move || work(&receiver, &counts, &used));
        }
    }

    /// Entries that wait to be freed: INFO's `lazyfree_pending_objects`.
    pub fn pending_objects(&self) -> u64 {
        self.counts.pending_objects.load(Ordering::Relaxed)
    }

    /// Whether the thread has something to free.
    pub fn is_at_work(&self) -> bool {
        self.counts.n_jobs.load(Ordering::Relaxed) > 0
    }

    /// Entries that were freed: INFO's `lazyfreed_objects`.
    pub fn freed_objects(&self) -> u64 {
        self.counts.freed_objects.load(Ordering::Relaxed)
    }

    /// Counts freed entries anew (CONFIG RESETSTAT).
    pub fn reset_stats(&self) {
        self.counts.freed_objects.store(0, Ordering::Relaxed);
    }

    /// Frees an entry that was taken out of the keyspace. `is_lazy`: the command or the
    /// configuration asks for it to be freed on another thread.
    #[inline]
    pub fn free(&self, entry: Entry, is_lazy: bool) {
        let is_counted = is_lazy && entry.is_freed_lazily();
        if is_counted || entry.is_costly_to_free() {
            self.count_pending(is_counted, 1);
            self.put(Job::Entry { entry, is_counted });
        }
    }

    /// Frees what the views discarded while commands ran.
    #[cold]
    pub fn free_discarded(&self, config: &Config, trace: &Trace) {
        for discarded in trace.discarded.take() {
            let is_lazy = match discarded.why {
                Discard::Deleted => config.lazyfree_lazy_server_del,
                Discard::Expired => config.lazyfree_lazy_expire,
            };
            self.free(discarded.entry, is_lazy);
        }
    }

    /// Frees the tables of flushed databases. `is_counted`: as lazily freed.
    pub fn free_tables(&self, tables: Vec<Table<Entry>>, is_counted: bool) {
        self.count_pending(is_counted, len_of(&tables));
        self.put(Job::Tables { tables, is_counted });
    }

    /// Whether there is a thread; else everything is freed at once.
    pub fn has_thread(&self) -> bool {
        self.queue.get().is_some()
    }

    /// Ends the wait of a client, which is blocked, as soon as all that was given to the thread so
    /// far is freed.
    pub fn tell_when_done(&self, client: &Arc<ClientHandle>) {
        self.put(Job::Tell { client: client.clone() });
    }

    fn count_pending(&self, is_counted: bool, n_objects: u64) {
        if is_counted {
            self.counts.pending_objects.fetch_add(n_objects, Ordering::Relaxed);
        }
    }

    fn put(&self, job: Job) {
        match self.queue.get() {
            // The thread lives as long as the sender; should it be gone, the job is dropped here.
            Some(queue) => {
                self.counts.n_jobs.fetch_add(1, Ordering::Relaxed);
                drop(queue.send(job));
            }
            None => carry_out(job, &self.counts),
        }
    }
}

fn work(queue: &Receiver<Job>, counts: &Counts, used: &Used) {
    while let Ok(job) = queue.recv() {
        carry_out(job, counts);
        used.note();
        counts.n_jobs.fetch_sub(1, Ordering::Relaxed);
    }
}

fn carry_out(job: Job, counts: &Counts) {
    let n_counted = match job {
        Job::Entry { entry, is_counted } => {
            drop(entry);
            u64::from(is_counted)
        }
        Job::Tables { tables, is_counted } => {
            let n_objects = len_of(&tables);
            drop(tables);
            if is_counted { n_objects } else { 0 }
        }
        Job::Tell { client } => {
            if client.end_wait(|kind| kind == WaitKind::Memory) {
                client.post(|mail| mail.unblock = Some(Unblock::Ended));
            }
            0
        }
    };
    counts.pending_objects.fetch_sub(n_counted, Ordering::Relaxed);
    counts.freed_objects.fetch_add(n_counted, Ordering::Relaxed);
}

fn len_of(tables: &[Table<Entry>]) -> u64 {
    tables.iter().map(|table| table.len() as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestServer;

    fn wait_until_done(t: &mut TestServer) {
        let client = t.client().client.handle.clone();
        let wait = t.server.blocking.begin(&client, WaitKind::Memory);
        t.server.lazyfree.tell_when_done(&client);
        while !wait.is_over() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn big_values_are_freed_on_the_thread_and_strings_are_not_counted() {
        let mut t = TestServer::new();
        t.server.lazyfree.start(&t.server.memory.used);
        let big = "x".repeat(2 << 20);
        for command in ["DEL k", "UNLINK k", "RENAME other k", "PEXPIRE k 0"] {
            t.run_words(&[b"SET", b"k", big.as_bytes()]);
            t.run("SET other v");
            assert!(!t.run(command).starts_with('-'));
        }
        wait_until_done(&mut t);
        assert_eq!(t.server.lazyfree.freed_objects(), 0);
        assert_eq!(t.server.lazyfree.pending_objects(), 0);
    }

    #[test]
    fn flushed_entries_are_counted_until_the_statistics_begin_anew() {
        let mut t = TestServer::new();
        t.server.lazyfree.start(&t.server.memory.used);
        for number in 0..1000 {
            t.run(&format!("SET {number} v"));
        }
        t.check("FLUSHALL ASYNC", "+OK");
        wait_until_done(&mut t);
        assert_eq!(t.server.lazyfree.freed_objects(), 1000);
        t.server.lazyfree.reset_stats();
        assert_eq!(t.server.lazyfree.freed_objects(), 0);
    }
}
