//! Latencies of one command on one worker: how many calls took about how long.
//!
//! Log-linear: every power of two is cut into 32 parts, so a value is known to 3 %. Recording is a
//! shift and a counter that one thread writes. What takes longer than a second counts as a second.

use crate::stats::Counter;

/// Parts of a power of two, as a power of two.
const PART_BITS: u32 = 5;
/// Longest latency that is told apart.
const NS_MAX: u64 = 1_000_000_000;
const N_BUCKETS: usize = bucket_of(NS_MAX) + 1;

const fn bucket_of(ns: u64) -> usize {
    let shift = (u64::BITS - (ns | 1).leading_zeros()).saturating_sub(PART_BITS + 1);
    ((shift as usize) << PART_BITS) + (ns >> shift) as usize
}

/// The longest latency of a bucket.
const fn longest_of(bucket: usize) -> u64 {
    let shift = (bucket >> PART_BITS).saturating_sub(1);
    ((bucket - (shift << PART_BITS) + 1) as u64) << shift
}

/// See the module's text.
#[derive(Debug)]
pub struct Histogram(Box<[Counter]>);

impl Default for Histogram {
    fn default() -> Self {
        Histogram((0..N_BUCKETS).map(|_| Counter::default()).collect())
    }
}

impl Histogram {
    /// Counts calls that took so long each, on the thread that owns the histogram.
    #[inline]
    pub fn record(&self, ns: u64, n_calls: u64) {
        self.0[bucket_of(ns.min(NS_MAX))].add(n_calls);
    }

    /// Forgets all calls.
    pub fn reset(&self) {
        self.0.iter().for_each(Counter::reset);
    }
}

/// Several workers' histograms of one command, added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    counts: Vec<u64>,
    n_calls: u64,
}

impl Default for Distribution {
    fn default() -> Self {
        Distribution { counts: vec![0; N_BUCKETS], n_calls: 0 }
    }
}

impl Distribution {
    /// Adds a worker's calls.
    pub fn add(&mut self, histogram: &Histogram) {
        for (sum, counter) in self.counts.iter_mut().zip(&histogram.0) {
            let count = counter.get();
            *sum += count;
            self.n_calls += count;
        }
    }

    /// Number of calls.
    pub fn n_calls(&self) -> u64 {
        self.n_calls
    }

    /// The latency in nanoseconds that `percent` of the calls did not exceed.
    pub fn percentile_ns(&self, percent: f64) -> u64 {
        let wanted = ((percent / 100.0 * self.n_calls as f64) + 0.5) as u64;
        let wanted = wanted.clamp(1, self.n_calls.max(1));
        let mut n_calls = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            n_calls += count;
            if n_calls >= wanted {
                return longest_of(bucket) - 1;
            }
        }
        0
    }

    /// For powers of two of about a microsecond each: the limit in microseconds and how many calls
    /// stayed below. Limits that no further call stayed below are left out.
    pub fn cumulative_us(&self) -> Vec<(u64, u64)> {
        const FIRST_NS: u64 = 1024;
        const LAST_NS: u64 = 1 << 30;
        let (mut limit_ns, mut bucket) = (FIRST_NS, 0);
        let (mut n_calls, mut n_told) = (0, 0);
        let mut limits = Vec::new();
        while limit_ns <= LAST_NS {
            while bucket < N_BUCKETS && longest_of(bucket) <= limit_ns {
                n_calls += self.counts[bucket];
                bucket += 1;
            }
            if n_calls > n_told {
                // Compat: the reference's limits lie a 128th above the powers of two, but the last.
                let shown_ns =
                    if limit_ns == LAST_NS { limit_ns } else { limit_ns + limit_ns / 128 };
                limits.push(((shown_ns - 1) / 1000, n_calls));
                n_told = n_calls;
            }
            limit_ns *= 2;
        }
        limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn distribution(latencies_ns: &[u64]) -> Distribution {
        let histogram = Histogram::default();
        latencies_ns.iter().for_each(|ns| histogram.record(*ns, 1));
        let mut sum = Distribution::default();
        sum.add(&histogram);
        sum
    }

    #[test]
    fn buckets_follow_each_other() {
        assert_eq!((bucket_of(0), bucket_of(63), bucket_of(64), bucket_of(65)), (0, 63, 64, 64));
        for bucket in 1..N_BUCKETS {
            assert_eq!(bucket_of(longest_of(bucket - 1)), bucket);
            assert_eq!(bucket_of(longest_of(bucket) - 1), bucket);
        }
    }

    #[test]
    fn percentiles() {
        let latencies: Vec<u64> = (1..=1000).map(|n| n * 1000).collect();
        let sum = distribution(&latencies);
        assert_eq!(sum.n_calls(), 1000);
        for (percent, expected) in [(0.0, 1000.0), (50.0, 5e5), (99.0, 9.9e5), (100.0, 1e6)] {
            let ratio = sum.percentile_ns(percent) as f64 / expected;
            assert!((0.99..1.04).contains(&ratio), "{percent} {ratio}");
        }
        assert_eq!(Distribution::default().percentile_ns(50.0), 0);
    }

    #[test]
    fn limits_are_those_of_the_reference() {
        let us = 1000;
        let latencies =
            [100 * us, 110 * us, 120 * us, 200 * us, 9000 * us, 600_000 * us, 2_000_000 * us];
        let expected = [(132, 3), (264, 4), (16908, 5), (1_073_741, 7)];
        assert_eq!(distribution(&latencies).cumulative_us(), expected);
        assert_eq!(distribution(&[1, 1023, 1024]).cumulative_us(), [(1, 2), (2, 3)]);
        assert!(distribution(&[]).cumulative_us().is_empty());
    }

    proptest! {
        #[test]
        fn every_call_is_in_a_bucket_of_its_size(ns in any::<u64>()) {
            let sum = distribution(&[ns]);
            let found = sum.percentile_ns(100.0);
            let ns = ns.min(NS_MAX);
            prop_assert!(found >= ns && found <= ns + ns / 32);
            prop_assert_eq!(sum.cumulative_us().last().map(|(_, count)| *count), Some(1));
        }
    }
}
