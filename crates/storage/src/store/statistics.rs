//! What the store holds, for operators and for the limits of others.

use std::sync::PoisonError;

use metricstor_model::TimeRange;

use super::Store;
use crate::chunk_file::ChunkFile;
use crate::index::Cardinality;
use crate::shard::Usage;

/// Label pairs counted under one lock: new series wait for as many.
const PAIRS_AT_ONCE: u32 = 1 << 13;

/// Sums over all shards at about one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statistics {
    pub series: usize,
    /// Series with samples in memory.
    pub active_series: usize,
    pub head_samples: u64,
    pub head_bytes: usize,
    pub index_bytes: usize,
    pub chunk_files: usize,
    pub chunk_file_bytes: u64,
    pub chunk_file_samples: u64,
    /// Deletions whose samples are still in chunk files, one per shard.
    pub tombstones: usize,
    /// First and last sample; `None` for an empty store.
    pub range: Option<TimeRange>,
    /// Bytes that recognise known series by their encoding.
    pub known_bytes: usize,
    /// Bytes of requests that wait for the disk.
    pub commit_queue_bytes: usize,
    /// Bytes of disk kept aside.
    pub reserve_bytes: u64,
    /// When the scrub had last read every file; milliseconds since the epoch.
    pub scrubbed: Option<i64>,
    /// Bytes of the disk that are left; `None` if it does not say.
    pub free_bytes: Option<u64>,
}

/// A chunk file, as operators see it.
#[derive(Debug, Clone, PartialEq)]
pub struct ChunkFileSummary {
    /// The hash of its bytes, in hexadecimal digits.
    pub name: String,
    /// 0 for a flushed head, one more for each merge since.
    pub level: u8,
    /// First and last sample.
    pub range: TimeRange,
    pub series: u64,
    pub chunks: u64,
    pub samples: u64,
}

impl ChunkFileSummary {
    fn of(file: &ChunkFile) -> Self {
        Self {
            name: file.name(),
            level: file.meta().level,
            range: file.range(),
            series: file.series(),
            chunks: file.chunks(),
            samples: file.samples(),
        }
    }
}

impl Store {
    /// All published chunk files, the oldest samples first.
    pub fn chunk_files(&self) -> Vec<ChunkFileSummary> {
        let files = self.inner.shards.shards.iter().flat_map(|shard| shard.chunk_files());
        let mut files: Vec<_> = files.map(|file| ChunkFileSummary::of(&file)).collect();
        files.sort_by(|a, b| (a.range.start, &a.name).cmp(&(b.range.start, &b.name)));
        files
    }

    pub fn statistics(&self) -> Statistics {
        let commit_queue_bytes = self.inner.committer.waiting_bytes();
        let known_bytes = self.inner.known.read().unwrap_or_else(PoisonError::into_inner).size();
        let reserve = &self.inner.reserve;
        let mut sum = Statistics {
            commit_queue_bytes,
            known_bytes,
            reserve_bytes: reserve.held(),
            free_bytes: reserve.free(),
            scrubbed: self.inner.scrub.last_pass(),
            ..Default::default()
        };
        for shard in &self.inner.shards.shards {
            sum.add(shard.usage());
        }
        sum
    }

    /// The times of all samples; `None` for an empty store.
    pub fn range(&self) -> Option<TimeRange> {
        self.inner.shards.shards.iter().filter_map(|shard| shard.range()).reduce(TimeRange::union)
    }

    /// Chunk files with damaged places, and how many places of each are known.
    pub fn quarantined(&self) -> Vec<(String, usize)> {
        self.inner.shards.shards.iter().flat_map(|shard| shard.quarantined()).collect()
    }

    /// Walks the whole index, a step at a time: for people, not for every minute.
    pub fn cardinality(&self) -> Cardinality {
        let mut sum = Cardinality::default();
        for shard in &self.inner.shards.shards {
            let count = shard.index().pair_count();
            for from in (0..count).step_by(PAIRS_AT_ONCE as usize) {
                let some = from..count.min(from + PAIRS_AT_ONCE);
                shard.index().count_into(some, &mut sum);
            }
        }
        sum
    }
}

impl Statistics {
    fn add(&mut self, usage: Usage) {
        self.series += usage.series;
        self.active_series += usage.active_series;
        self.head_samples += usage.head_samples;
        self.head_bytes += usage.head_bytes;
        self.index_bytes += usage.index_bytes;
        self.chunk_files += usage.files;
        self.chunk_file_bytes += usage.file_bytes;
        self.chunk_file_samples += usage.file_samples;
        self.tombstones += usage.tombstones;
        self.range = [self.range, usage.range].into_iter().flatten().reduce(TimeRange::union);
    }
}
