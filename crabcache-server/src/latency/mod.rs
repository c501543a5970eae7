//! The latency monitor: slow events of a few classes, for LATENCY.
//!
//! A class (`command`, `expire-cycle`, ...) keeps its worst latency of each of the last 160 seconds
//! in which something was slower than `latency-monitor-threshold`.

pub mod graph;
pub mod histogram;

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::collections::VecDeque;

/// Samples that a class keeps.
const N_SAMPLES_MAX: usize = 160;

/// The slowest event of one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Unix time in seconds.
    pub at_s: i64,
    /// How long it took.
    pub latency_ms: u64,
}

/// What is known of a class of events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Series {
    /// Oldest first.
    pub samples: VecDeque<Sample>,
    /// The worst latency ever.
    pub max_ms: u64,
}

/// All classes.
#[derive(Debug, Default)]
pub struct Monitor {
    series: Mutex<BTreeMap<&'static str, Series>>,
}

impl Monitor {
    /// Notes a slow event.
    pub fn add(&self, event: &'static str, at_s: i64, latency_ms: u64) {
        let mut all = self.series.lock();
        let series = all.entry(event).or_default();
        series.max_ms = series.max_ms.max(latency_ms);
        if let Some(last) = series.samples.back_mut()
            && last.at_s == at_s
        {
            last.latency_ms = last.latency_ms.max(latency_ms);
            return;
        }
        if series.samples.len() == N_SAMPLES_MAX {
            series.samples.pop_front();
        }
        series.samples.push_back(Sample { at_s, latency_ms });
    }

    /// A copy of all classes that have samples.
    pub fn all(&self) -> BTreeMap<&'static str, Series> {
        self.series.lock().clone()
    }

    /// A copy of one class, with its name.
    pub fn get(&self, event: &[u8]) -> Option<(&'static str, Series)> {
        let all = self.series.lock();
        let found = all.iter().find(|(name, _)| name.as_bytes() == event);
        found.map(|(name, series)| (*name, series.clone()))
    }

    /// Forgets the classes that `is_wanted` accepts. Returns how many.
    pub fn reset(&self, is_wanted: impl Fn(&str) -> bool) -> usize {
        let mut all = self.series.lock();
        let n_before = all.len();
        all.retain(|event, _| !is_wanted(event));
        n_before - all.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_keeps_its_worst_latency() {
        let monitor = Monitor::default();
        for (at_s, latency_ms) in [(1, 5), (1, 9), (1, 7), (2, 6)] {
            monitor.add("command", at_s, latency_ms);
        }
        let (name, series) = monitor.get(b"command").unwrap();
        let samples: Vec<_> = series.samples.iter().map(|s| (s.at_s, s.latency_ms)).collect();
        assert_eq!((name, samples, series.max_ms), ("command", vec![(1, 9), (2, 6)], 9));
        assert!(monitor.get(b"fork").is_none());
    }

    #[test]
    fn old_samples_go() {
        let monitor = Monitor::default();
        (0..1000).for_each(|at_s| monitor.add("command", at_s, 1000 - at_s as u64));
        let (_, series) = monitor.get(b"command").unwrap();
        assert_eq!((series.samples.len(), series.samples[0].at_s, series.max_ms), (160, 840, 1000));
        assert_eq!(monitor.reset(|event| event == "fork"), 0);
        assert_eq!((monitor.reset(|_| true), monitor.all().len()), (1, 0));
    }
}
