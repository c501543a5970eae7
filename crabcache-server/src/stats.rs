//! Counters. Each worker counts for itself; INFO adds up.
//!
//! Fields are spelled like the INFO field they feed. A worker's counters are written by it alone,
//! so counting is a load and a store, not an atomic addition. For the same reason a worker resets
//! its counters itself: CONFIG RESETSTAT begins a new period, each worker follows before it counts
//! again ([`Stats::begin`]), and until then its old counters are left out of all sums.

use crate::latency::histogram::{Distribution, Histogram};
use crabcache_store::Trace;
use crossbeam_utils::CachePadded;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::OnceLock;
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

    /// Sets it to `value` if that is more, on the thread that owns the counter.
    pub fn raise(&self, value: u64) {
        if value > self.get() {
            self.0.store(value, Ordering::Relaxed);
        }
    }

    /// The sum so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Begins anew, on the thread that owns the counter.
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
    /// Latencies, once there was a call.
    latencies: OnceLock<Histogram>,
}

impl CommandStats {
    /// Counts calls that ran, and took so long together.
    #[inline]
    pub fn count(&self, n_calls: u64, took_ns: u64, with_latency: bool) {
        self.calls.add(n_calls);
        self.nanoseconds.add(took_ns);
        if with_latency {
            self.latencies.get_or_init(Histogram::default).record(took_ns / n_calls, n_calls);
        }
    }

    fn reset(&self) {
        let CommandStats { calls, nanoseconds, rejected_calls, failed_calls, latencies } = self;
        [calls, nanoseconds, rejected_calls, failed_calls].into_iter().for_each(Counter::reset);
        if let Some(latencies) = latencies.get() {
            latencies.reset();
        }
    }
}

/// One worker's counters.
#[derive(Debug, Default)]
pub struct WorkerStats {
    /// The period that the counters belong to.
    period: AtomicU64,
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
    /// Batches of commands and turns of background work.
    pub eventloop_cycles: Counter,
    /// Time they took, in nanoseconds.
    pub eventloop_ns: Counter,
    /// Time of the longest of them, in nanoseconds.
    pub eventloop_max_ns: Counter,
    /// Most commands of one of them.
    pub eventloop_cmd_per_cycle_max: Counter,
    /// Commands that took longer than others should have to wait; not reset.
    pub n_long_commands: Counter,
    /// Changes of data since the start; not reset.
    pub dirty: Counter,
}

impl WorkerStats {
    /// Counts a batch of commands, or a turn of background work.
    #[inline]
    pub fn count_cycle(&self, took_ns: u64, n_commands: u64) {
        self.eventloop_cycles.add(1);
        self.eventloop_ns.add(took_ns);
        self.eventloop_max_ns.raise(took_ns);
        self.eventloop_cmd_per_cycle_max.raise(n_commands);
    }

    /// Counts the look-ups that a batch of commands has left in its trace.
    #[inline]
    pub fn count_lookups(&self, trace: &Trace) {
        self.keyspace_hits.add(trace.n_hits.take());
        self.keyspace_misses.add(trace.n_misses.take());
    }

    fn reset(&self) {
        let WorkerStats {
            period: _,
            commands,
            total_commands_processed,
            total_net_input_bytes,
            total_net_output_bytes,
            total_reads_processed,
            total_writes_processed,
            keyspace_hits,
            keyspace_misses,
            eventloop_cycles,
            eventloop_ns,
            eventloop_max_ns,
            eventloop_cmd_per_cycle_max,
            n_long_commands: _,
            dirty: _,
        } = self;
        commands.iter().for_each(CommandStats::reset);
        let counters = [
            total_commands_processed,
            total_net_input_bytes,
            total_net_output_bytes,
            total_reads_processed,
            total_writes_processed,
            keyspace_hits,
            keyspace_misses,
            eventloop_cycles,
            eventloop_ns,
            eventloop_max_ns,
            eventloop_cmd_per_cycle_max,
        ];
        counters.into_iter().for_each(Counter::reset);
    }
}

/// What became of the calls of one command, on all workers.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct CommandTotals {
    /// Calls that ran.
    pub calls: u64,
    /// Time they took.
    pub nanoseconds: u64,
    /// Calls refused before they ran.
    pub rejected_calls: u64,
    /// Calls that ran and failed.
    pub failed_calls: u64,
}

/// Error replies by code.
#[derive(Debug, Default)]
struct Errors {
    counts: BTreeMap<String, u64>,
    /// There were too many codes; none is counted until the next reset.
    is_disabled: bool,
}

/// All counters of a server.
#[derive(Debug, Default)]
pub struct Stats {
    /// By worker, then those of background threads.
    pub workers: Box<[CachePadded<WorkerStats>]>,
    /// How often the counters were reset.
    period: AtomicU64,
    /// Connections accepted.
    pub total_connections_received: AtomicU64,
    /// Connections refused because of `maxclients`.
    pub rejected_connections: AtomicU64,
    /// Clients cut because they sent too much that could not be served.
    pub client_query_buffer_limit_disconnections: AtomicU64,
    /// Clients cut because they took too little of what was for them.
    pub client_output_buffer_limit_disconnections: AtomicU64,
    /// Clients cut because all together took too much memory.
    pub evicted_clients: AtomicU64,
    /// Keys removed because memory was full.
    pub evicted_keys: AtomicU64,
    /// Failed authentications.
    pub acl_access_denied_auth: AtomicU64,
    /// Commands that users may not call.
    pub acl_access_denied_cmd: AtomicU64,
    /// Keys that users may not use.
    pub acl_access_denied_key: AtomicU64,
    /// Channels that users may not use.
    pub acl_access_denied_channel: AtomicU64,
    /// Keys removed because their time had come.
    pub expired_keys: AtomicU64,
    /// The same of fields of hashes.
    pub expired_subkeys: AtomicU64,
    /// Expire cycles that ended because their time was up.
    pub expired_time_cap_reached_count: AtomicU64,
    /// Microseconds of all expire cycles; INFO shows milliseconds.
    pub expire_cycle_cpu_microseconds: AtomicU64,
    /// Error replies.
    pub total_error_replies: AtomicU64,
    /// Error replies to commands that had been carried out elsewhere.
    pub unexpected_error_replies: AtomicU64,
    /// Replicas that got everything.
    pub sync_full: AtomicU64,
    /// Replicas that could go on.
    pub sync_partial_ok: AtomicU64,
    /// Replicas that wanted to go on and could not.
    pub sync_partial_err: AtomicU64,
    /// Bytes of primaries.
    pub total_net_repl_input_bytes: AtomicU64,
    /// Bytes for replicas.
    pub total_net_repl_output_bytes: AtomicU64,
    /// Snapshots begun in the background: what the reference forks for.
    pub total_forks: AtomicU64,
    errors: Mutex<Errors>,
    /// Rates of the last seconds.
    pub rates: Mutex<Rates>,
}

impl Stats {
    /// Counters for `n_workers` threads and `n_commands` rows, all 0.
    pub fn new(n_workers: usize, n_commands: usize) -> Stats {
        let worker = || WorkerStats {
            commands: (0..n_commands).map(|_| CommandStats::default()).collect(),
            ..WorkerStats::default()
        };
        let workers = (0..n_workers).map(|_| CachePadded::new(worker())).collect();
        Stats { workers, ..Stats::default() }
    }

    /// The counters of the calling thread, which is number `worker`, for the period under way.
    #[inline]
    pub fn begin(&self, worker: usize) -> &WorkerStats {
        let own = &self.workers[worker];
        let period = self.period.load(Ordering::Acquire);
        if own.period.load(Ordering::Relaxed) != period {
            own.reset();
            own.period.store(period, Ordering::Release);
        }
        own
    }

    /// Resets what CONFIG RESETSTAT resets. `worker` is the calling thread's number.
    pub fn reset(&self, worker: usize) {
        self.period.fetch_add(1, Ordering::AcqRel);
        self.begin(worker);
        let Stats {
            workers: _,
            period: _,
            total_connections_received,
            rejected_connections,
            client_query_buffer_limit_disconnections,
            client_output_buffer_limit_disconnections,
            evicted_clients,
            evicted_keys,
            acl_access_denied_auth,
            acl_access_denied_cmd,
            acl_access_denied_key,
            acl_access_denied_channel,
            expired_keys,
            expired_subkeys,
            expired_time_cap_reached_count,
            expire_cycle_cpu_microseconds,
            total_error_replies,
            unexpected_error_replies,
            sync_full,
            sync_partial_ok,
            sync_partial_err,
            total_net_repl_input_bytes,
            total_net_repl_output_bytes,
            total_forks,
            errors,
            rates,
        } = self;
        let totals = [
            total_connections_received,
            rejected_connections,
            client_query_buffer_limit_disconnections,
            client_output_buffer_limit_disconnections,
            evicted_clients,
            evicted_keys,
            acl_access_denied_auth,
            acl_access_denied_cmd,
            acl_access_denied_key,
            acl_access_denied_channel,
            expired_keys,
            expired_subkeys,
            expired_time_cap_reached_count,
            expire_cycle_cpu_microseconds,
            total_error_replies,
            unexpected_error_replies,
            sync_full,
            sync_partial_ok,
            sync_partial_err,
            total_net_repl_input_bytes,
            total_net_repl_output_bytes,
            total_forks,
        ];
        totals.into_iter().for_each(|total| total.store(0, Ordering::Relaxed));
        *errors.lock() = Errors::default();
        *rates.lock() = Rates::default();
    }

    /// The workers whose counters belong to the period under way.
    fn current(&self) -> impl Iterator<Item = &WorkerStats> {
        let period = self.period.load(Ordering::Acquire);
        let is_current = move |worker: &&CachePadded<WorkerStats>| {
            worker.period.load(Ordering::Acquire) == period
        };
        self.workers.iter().filter(is_current).map(|worker| &**worker)
    }

    /// The sum of a counter over all workers.
    pub fn sum(&self, counter: impl Fn(&WorkerStats) -> &Counter) -> u64 {
        self.current().map(|worker| counter(worker).get()).sum()
    }

    /// The largest value that a counter has on a worker.
    pub fn max(&self, counter: impl Fn(&WorkerStats) -> &Counter) -> u64 {
        self.current().map(|worker| counter(worker).get()).max().unwrap_or(0)
    }

    /// Reads from and writes to the sockets of a worker.
    pub fn io_of(&self, worker: usize) -> (u64, u64) {
        let period = self.period.load(Ordering::Acquire);
        let stats = &self.workers[worker];
        if stats.period.load(Ordering::Acquire) != period {
            return (0, 0);
        }
        (stats.total_reads_processed.get(), stats.total_writes_processed.get())
    }

    /// Changes of data since the start.
    pub fn dirty(&self) -> u64 {
        self.workers.iter().map(|worker| worker.dirty.get()).sum()
    }

    /// What became of the calls of the command in row `id`.
    pub fn command(&self, id: usize) -> CommandTotals {
        self.current().fold(CommandTotals::default(), |sum, worker| {
            let stats = &worker.commands[id];
            CommandTotals {
                calls: sum.calls + stats.calls.get(),
                nanoseconds: sum.nanoseconds + stats.nanoseconds.get(),
                rejected_calls: sum.rejected_calls + stats.rejected_calls.get(),
                failed_calls: sum.failed_calls + stats.failed_calls.get(),
            }
        })
    }

    /// The latencies of the command in row `id`, if there were calls.
    pub fn latencies(&self, id: usize) -> Option<Distribution> {
        let mut sum = Distribution::default();
        let histograms = self.current().filter_map(|worker| worker.commands[id].latencies.get());
        histograms.for_each(|histogram| sum.add(histogram));
        (sum.n_calls() > 0).then_some(sum)
    }

    /// Time spent in commands, in nanoseconds.
    pub fn command_ns(&self) -> u64 {
        let of_worker = |worker: &WorkerStats| -> u64 {
            worker.commands.iter().map(|command| command.nanoseconds.get()).sum()
        };
        self.current().map(of_worker).sum()
    }

    /// Counts an error reply.
    pub fn count_error(&self, code: &str) {
        /// Codes come from scripts too: with more than so many, counting them one by one ends.
        const N_CODES_MAX: usize = 128;
        self.total_error_replies.fetch_add(1, Ordering::Relaxed);
        let mut errors = self.errors.lock();
        if errors.is_disabled {
            return;
        }
        if let Some(count) = errors.counts.get_mut(code) {
            *count += 1;
        } else if errors.counts.len() < N_CODES_MAX {
            errors.counts.insert(code.to_string(), 1);
        } else {
            let codes: Vec<String> = std::mem::take(&mut errors.counts).into_keys().collect();
            tracing::warn!(
                "Errorstats stopped adding new errors because there are too many kinds of them. \
                 Some script may make up error codes. CONFIG RESETSTAT begins anew."
            );
            tracing::warn!("Current errors code list: {}", codes.join(", "));
            errors.counts.insert("ERRORSTATS_DISABLED".to_string(), 1);
            errors.is_disabled = true;
        }
    }

    /// Error replies by code.
    pub fn errors(&self) -> BTreeMap<String, u64> {
        self.errors.lock().counts.clone()
    }

    /// Takes a sample of all rates, if one is due; `now_ms` is on a clock that never goes back.
    pub fn sample_rates(&self, now_ms: u64) {
        const PERIOD_MS: u64 = 100;
        let cycles = self.sum(|worker| &worker.eventloop_cycles);
        let mut rates = self.rates.lock();
        if rates.ops.last.is_some_and(|(_, last_ms)| now_ms < last_ms + PERIOD_MS) {
            return;
        }
        let per_second = |rate: &mut Rate, sum: u64| rate.sample(sum, now_ms, 1000);
        let Rates { ops, input, output, eventloop_cycles, eventloop_us } = &mut *rates;
        per_second(ops, self.sum(|worker| &worker.total_commands_processed));
        per_second(input, self.sum(|worker| &worker.total_net_input_bytes));
        per_second(output, self.sum(|worker| &worker.total_net_output_bytes));
        per_second(eventloop_cycles, cycles);
        eventloop_us.sample(self.sum(|worker| &worker.eventloop_ns) / 1000, cycles, 1);
    }
}

/// The `instantaneous_*` fields.
#[derive(Debug, Default)]
pub struct Rates {
    /// Commands per second.
    pub ops: Rate,
    /// Bytes received per second.
    pub input: Rate,
    /// Bytes sent per second.
    pub output: Rate,
    /// Batches and turns of background work per second.
    pub eventloop_cycles: Rate,
    /// Microseconds of each of them.
    pub eventloop_us: Rate,
}

/// The mean of the last samples of how fast one number grows with another.
#[derive(Debug, Default)]
pub struct Rate {
    samples: [u64; 16],
    next: usize,
    /// The last pair of numbers.
    last: Option<(u64, u64)>,
}

impl Rate {
    fn sample(&mut self, value: u64, base: u64, factor: u64) {
        if let Some((last_value, last_base)) = self.last {
            let growth = u128::from(value.saturating_sub(last_value)) * u128::from(factor);
            let rate = growth.checked_div(u128::from(base.saturating_sub(last_base))).unwrap_or(0);
            self.samples[self.next] = u64::try_from(rate).unwrap_or(u64::MAX);
            self.next = (self.next + 1) % self.samples.len();
        }
        self.last = Some((value, base));
    }

    /// The mean.
    pub fn get(&self) -> u64 {
        let sum: u128 = self.samples.iter().map(|sample| u128::from(*sample)).sum();
        u64::try_from(sum / self.samples.len() as u128).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_leaves_no_worker_behind() {
        let stats = Stats::new(2, 1);
        stats.begin(0).commands[0].count(1, 1000, true);
        stats.begin(1).commands[0].count(1, 3000, false);
        stats.begin(1).dirty.add(5);
        stats.begin(1).commands[0].rejected_calls.add(1);
        let totals = stats.command(0);
        assert_eq!((totals.calls, totals.nanoseconds, totals.rejected_calls), (2, 4000, 1));
        assert_eq!(stats.latencies(0).map(|sum| sum.n_calls()), Some(1));
        stats.reset(0);
        // The other worker has not noticed yet, and what it still counts belongs to the past.
        stats.workers[1].total_commands_processed.add(1);
        assert_eq!(stats.command(0), CommandTotals::default());
        assert_eq!((stats.latencies(0), stats.sum(|w| &w.total_commands_processed)), (None, 0));
        stats.begin(1).total_commands_processed.add(1);
        assert_eq!(stats.sum(|w| &w.total_commands_processed), 1);
        assert_eq!((stats.dirty(), stats.command(0)), (5, CommandTotals::default()));
    }

    #[test]
    fn made_up_error_codes_are_not_counted_for_ever() {
        let stats = Stats::new(1, 0);
        (0..128).for_each(|number| stats.count_error(&number.to_string()));
        stats.count_error("7");
        assert_eq!((stats.errors().len(), stats.errors()["7"]), (128, 2));
        stats.count_error("one more");
        stats.count_error("7");
        let only = BTreeMap::from([("ERRORSTATS_DISABLED".to_string(), 1)]);
        assert_eq!(
            (stats.errors(), stats.total_error_replies.load(Ordering::Relaxed)),
            (only, 131)
        );
        stats.reset(0);
        stats.count_error("7");
        assert_eq!(stats.errors(), BTreeMap::from([("7".to_string(), 1)]));
    }

    #[test]
    fn rates_are_means_of_sixteen_samples() {
        let stats = Stats::new(1, 0);
        for tick in 0..=16 {
            stats.sample_rates(tick * 100);
            stats.sample_rates(tick * 100 + 50);
            stats.begin(0).total_commands_processed.add(50);
            stats.begin(0).count_cycle(7000, 50);
        }
        let rates = stats.rates.lock();
        assert_eq!((rates.ops.get(), rates.eventloop_cycles.get()), (500, 10));
        assert_eq!((rates.eventloop_us.get(), rates.input.get()), (7, 0));
    }
}
