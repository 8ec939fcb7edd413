//! Counters, gauges and histograms: cheap to clone, updated without locks.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Counts up from 0 at the start of the process.
#[derive(Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    pub fn inc(&self) {
        self.add(1);
    }

    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Clone, Default)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    pub fn set(&self, n: i64) {
        self.0.store(n, Ordering::Relaxed);
    }

    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts one until the guard is dropped.
    pub fn hold(&self) -> GaugeGuard {
        self.add(1);
        GaugeGuard(self.clone())
    }
}

pub struct GaugeGuard(Gauge);

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

/// Upper bounds in seconds, from a local query to the slowest that is allowed.
pub const LATENCY_SECONDS: [f64; 16] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    120.0,
];

/// A distribution of durations.
#[derive(Clone)]
pub struct Histogram(Arc<Distribution>);

struct Distribution {
    /// One count per bound, and one for everything above.
    counts: [AtomicU64; LATENCY_SECONDS.len() + 1],
    sum_nanos: AtomicU64,
}

impl Histogram {
    pub(super) fn latency() -> Self {
        Self(Arc::new(Distribution {
            counts: [const { AtomicU64::new(0) }; LATENCY_SECONDS.len() + 1],
            sum_nanos: AtomicU64::new(0),
        }))
    }

    pub fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = LATENCY_SECONDS.partition_point(|bound| *bound < seconds);
        self.0.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.0.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Counts per bucket (not cumulative; the last is unbounded) and the sum in seconds.
    pub(super) fn read(&self) -> (Vec<u64>, f64) {
        let counts = self.0.counts.iter().map(|c| c.load(Ordering::Relaxed)).collect();
        (counts, self.0.sum_nanos.load(Ordering::Relaxed) as f64 / 1e9)
    }
}
