//! Counters. Each worker counts for itself; INFO adds up.
//!
//! Fields are spelled like the INFO field they feed. A worker's counters are written by it alone,
//! so counting is a load and a store, not an atomic addition.

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one thread writes and all read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds, on the thread that owns the counter.
    #[inline]
    pub fn add(&self, by: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
    }

    /// The sum so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Begins anew (CONFIG RESETSTAT). May lose what is being added at this moment.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// What became of the calls of one command, on one worker.
#[derive(Debug, Default)]
pub struct CommandStats {
    /// Calls that ran.
    pub calls: Counter,
    /// Time they took.
    pub nanoseconds: Counter,
    /// Calls refused before they ran.
    pub rejected_calls: Counter,
    /// Calls that ran and failed.
    pub failed_calls: Counter,
}

/// One worker's counters.
#[derive(Debug)]
pub struct WorkerStats {
    /// By the row's number.
    pub commands: Box<[CommandStats]>,
    /// Commands run.
    pub total_commands_processed: Counter,
    /// Bytes received.
    pub total_net_input_bytes: Counter,
    /// Bytes sent.
    pub total_net_output_bytes: Counter,
    /// Reads from sockets.
    pub total_reads_processed: Counter,
    /// Writes to sockets.
    pub total_writes_processed: Counter,
    /// Look-ups that found their key.
    pub keyspace_hits: Counter,
    /// Look-ups that did not.
    pub keyspace_misses: Counter,
    /// Changes of data.
    pub dirty: Counter,
    /// Connections served now.
    pub connections: Counter,
}

/// All counters of a server.
#[derive(Debug)]
pub struct Stats {
    /// By worker, then those of background threads.
    pub workers: Box<[CachePadded<WorkerStats>]>,
    /// Connections accepted.
    pub total_connections_received: AtomicU64,
    /// Connections refused because of `maxclients`.
    pub rejected_connections: AtomicU64,
    /// Keys removed because their time had come.
    pub expired_keys: AtomicU64,
    /// Error replies, by code.
    pub errors: Mutex<BTreeMap<String, u64>>,
    /// Error replies.
    pub total_error_replies: AtomicU64,
}

impl Stats {
    /// Counters for `n_workers` threads and `n_commands` rows, all 0.
    pub fn new(n_workers: usize, n_commands: usize) -> Stats {
        let worker = || WorkerStats {
            commands: (0..n_commands).map(|_| CommandStats::default()).collect(),
            total_commands_processed: Counter::default(),
            total_net_input_bytes: Counter::default(),
            total_net_output_bytes: Counter::default(),
            total_reads_processed: Counter::default(),
            total_writes_processed: Counter::default(),
            keyspace_hits: Counter::default(),
            keyspace_misses: Counter::default(),
            dirty: Counter::default(),
            connections: Counter::default(),
        };
        Stats {
            workers: (0..n_workers).map(|_| CachePadded::new(worker())).collect(),
            total_connections_received: AtomicU64::new(0),
            rejected_connections: AtomicU64::new(0),
            expired_keys: AtomicU64::new(0),
            errors: Mutex::default(),
            total_error_replies: AtomicU64::new(0),
        }
    }

    /// The sum of a counter over all workers.
    pub fn sum(&self, counter: impl Fn(&WorkerStats) -> &Counter) -> u64 {
        self.workers.iter().map(|worker| counter(worker).get()).sum()
    }

    /// Counts an error reply.
    pub fn count_error(&self, code: &str) {
        /// Codes come from scripts too: past so many, new ones are not counted one by one.
        const N_CODES_MAX: usize = 128;
        self.total_error_replies.fetch_add(1, Ordering::Relaxed);
        let mut errors = self.errors.lock();
        if let Some(count) = errors.get_mut(code) {
            *count += 1;
        } else if errors.len() < N_CODES_MAX {
            errors.insert(code.to_string(), 1);
        }
    }
}
