//! What storage counts about itself; read by whoever shows metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::outcome::{RefusalReason, WriteOutcome};

/// Counters of one store; all monotonic unless said otherwise.
#[derive(Debug, Default)]
pub struct Metrics {
    pub samples_accepted: Count,
    pub samples_duplicate: Count,
    refused: [Count; RefusalReason::ALL.len()],
    pub exemplars: Count,
    /// Exemplars beyond the limits; their samples are stored all the same.
    pub exemplars_dropped: Count,
    pub series_created: Count,
    /// Series that lost their last sample and left the index.
    pub series_removed: Count,
    pub writes_shed: Count,
    pub log_bytes: Count,
    pub log_entries: Count,
    /// Requests that shared a commit with another are `commit_requests` minus `commit`'s count.
    pub commit_requests: Count,
    /// From append to durable.
    pub fsync: Latency,
    /// Freeing one segment of the log; commits wait meanwhile.
    pub reclaim: Latency,
    pub log_segments_freed: Count,
    /// Applying one commit to the heads.
    pub apply: Latency,
    pub flush: Latency,
    pub flushed_samples: Count,
    pub compaction: Latency,
    pub compacted_bytes: Count,
    pub chunk_files_expired: Count,
    /// Deletions applied, one per shard.
    pub deletions: Count,
    /// Blocks and directory pages that were read and verified, because no cache had them.
    pub blocks_read: Count,
    /// Reads that failed because the file is damaged.
    pub damaged_reads: Count,
    /// Bytes read by the scrub.
    pub scrubbed_bytes: Count,
    /// Damaged places that the scrub met.
    pub scrub_damage: Count,
    /// Rounds of a background thread that a bug ended; the next one is begun after a pause.
    pub maintenance_panics: Count,
    pub pauses: Pauses,
}

/// How long writes or reads could not have gone on: each time one of these locks was held by one alone.
#[derive(Debug, Default)]
pub struct Pauses {
    /// A shard's head and set of files.
    pub live: Latency,
    /// A shard's index.
    pub index: Latency,
    /// The recognition of label bytes.
    pub known: Latency,
    /// References: held against writes while series are forgotten.
    pub references: Latency,
}

impl Pauses {
    pub fn by_lock(&self) -> [(&'static str, &Latency); 4] {
        [
            ("live", &self.live),
            ("index", &self.index),
            ("known", &self.known),
            ("references", &self.references),
        ]
    }
}

impl Metrics {
    /// Counts what was refused before the log.
    pub(crate) fn refused(&self, outcome: &WriteOutcome) {
        for (count, refused) in self.refused.iter().zip(outcome.refused_by_reason) {
            count.add(refused);
        }
    }

    pub(crate) fn conflicts(&self, samples: u64) {
        self.refused[RefusalReason::ValueConflict as usize].add(samples);
    }

    /// Samples refused so far for this reason.
    pub fn samples_refused(&self, reason: RefusalReason) -> u64 {
        self.refused[reason as usize].get()
    }
}

/// A counter.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }
}

/// How long something took: a histogram with a bucket per power of two, 64 µs to 134 s.
#[derive(Debug, Default)]
pub struct Latency {
    buckets: [AtomicU64; BUCKETS],
    count: AtomicU64,
    nanoseconds: AtomicU64,
    longest: AtomicU64,
}

const BUCKETS: usize = 22;
/// The first bucket's upper bound is 2^16 ns.
const FIRST_EXPONENT: u32 = 16;

impl Latency {
    pub(crate) fn observe(&self, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let exponent = u64::BITS - ns.saturating_sub(1).leading_zeros();
        let bucket = exponent.saturating_sub(FIRST_EXPONENT) as usize;
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Relaxed);
        }
        self.count.fetch_add(1, Relaxed);
        self.nanoseconds.fetch_add(ns, Relaxed);
        self.longest.fetch_max(ns, Relaxed);
    }

    /// Cumulative (upper bound in seconds, count) pairs without +Inf.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let mut below = 0;
        self.buckets.iter().enumerate().map(move |(i, bucket)| {
            below += bucket.load(Relaxed);
            ((1u64 << (FIRST_EXPONENT + i as u32)) as f64 / 1e9, below)
        })
    }

    pub fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    pub fn sum_seconds(&self) -> f64 {
        self.nanoseconds.load(Relaxed) as f64 / 1e9
    }

    pub fn longest_seconds(&self) -> f64 {
        self.longest.load(Relaxed) as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_their_bucket() {
        let latency = Latency::default();
        latency.observe(Duration::from_nanos(1 << 16));
        latency.observe(Duration::from_nanos((1 << 16) + 1));
        latency.observe(Duration::from_secs(3600));
        let buckets: Vec<_> = latency.buckets().collect();
        assert_eq!(buckets[0], (65_536e-9, 1));
        assert_eq!(buckets[1], (131_072e-9, 2));
        assert_eq!(buckets.last().unwrap().1, 2);
        assert_eq!(latency.count(), 3);
        assert_eq!(latency.longest_seconds(), 3600.0);
    }
}
