//! The storage settings, as the rest of the crate uses them: validated, with units in the names.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use metricstor_memory::Budget;

pub use crate::known::HashSecret;

/// What a store needs to know; plain data.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreConfig {
    /// The data directory.
    pub dir: PathBuf,
    /// Who owns a new data directory, chosen at random; an existing one keeps its own.
    pub node_id: u128,
    /// Keys the recognition of label bytes; drawn at random at every start.
    pub hash_secret: HashSecret,
    /// Samples older than this are refused and deleted; milliseconds.
    pub retention_ms: i64,
    /// The oldest files are deleted until the others are no larger together; bytes.
    pub retention_bytes: Option<u64>,
    /// Samples further in the future than this are refused; milliseconds.
    pub future_max_ms: i64,
    /// Shards of a new data directory; an existing one keeps its own number.
    pub shards: u16,
    /// Series with samples in memory or on disk, all shards together.
    pub series_max: usize,
    pub labels: LabelLimits,
    /// Exemplars in memory between flushes; more are dropped and counted.
    pub exemplars_max: usize,
    /// Bytes of requests that may wait for the disk.
    pub commit_queue_bytes: usize,
    /// How long a commit waits for company; 0: not at all.
    pub commit_linger: Duration,
    /// The memory that the store shares with others: writes are refused beyond it.
    pub memory: Arc<Budget>,
    /// The part of it that is for blocks of chunk files that were read lately; bytes.
    pub block_cache_bytes: usize,
    /// Size of a log segment in bytes.
    pub log_segment_bytes: u64,
    /// Bytes of disk kept aside when space runs out, so that a full one can still be flushed to.
    pub reserve_bytes: u64,
    /// Every chunk file is read once in so long, to find damage; milliseconds, 0: never.
    pub scrub_interval_ms: i64,
    /// A shard is flushed when its head holds this many bytes…
    pub flush_head_bytes: usize,
    /// …or its oldest sample in memory has waited this long.
    pub flush_interval: Duration,
}

/// Bounds on the labels of one series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelLimits {
    pub count_max: usize,
    /// Bytes of a label's name.
    pub name_size_max: usize,
    /// Bytes of a label's value.
    pub value_size_max: usize,
}

impl StoreConfig {
    /// The defaults, for a data directory.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            node_id: 0,
            hash_secret: HashSecret::default(),
            retention_ms: 15 * 24 * 3_600_000,
            retention_bytes: None,
            future_max_ms: 10 * 60_000,
            shards: 4,
            series_max: 20_000_000,
            labels: LabelLimits { count_max: 64, name_size_max: 1024, value_size_max: 4096 },
            exemplars_max: 100_000,
            commit_queue_bytes: 64 << 20,
            commit_linger: Duration::ZERO,
            memory: Budget::unlimited(),
            block_cache_bytes: 64 << 10,
            log_segment_bytes: 64 << 20,
            reserve_bytes: 0,
            scrub_interval_ms: 7 * 24 * 3_600_000,
            flush_head_bytes: 64 << 20,
            flush_interval: Duration::from_secs(30 * 60),
        }
    }
}
