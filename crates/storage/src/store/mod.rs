//! The façade: one node's storage, all shards behind one log.

mod account;
mod assembly;
mod delete;
mod forget;
mod maintain;
mod node;
mod open;
mod replay;
mod reserve;
mod scrub;
mod select;
mod snapshot;
mod statistics;
mod worker;
mod write;

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, RwLock};

use metricstor_memory::Budget;

pub(crate) use open::GIVE_UP;
pub use open::Recovery;
pub use select::Selection;
pub use statistics::{ChunkFileSummary, Statistics};
pub(crate) use write::TENANT;

use crate::chunk_file::BlockCache;
use crate::committer::{Apply, Committer, Part};
use crate::config::{LabelLimits, StoreConfig};
use crate::entry::Change;
use crate::known::Known;
use crate::metadata::MetadataStore;
use crate::metrics::Metrics;
use crate::outcome::WriteOutcome;
use crate::shard::Shard;

/// In the data directory: what senders said about metrics.
const METADATA: &str = "metadata.json";

/// Milliseconds since the epoch, from whatever clock the composition root chose.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// A node's storage. All methods are synchronous and may be called from any thread.
pub struct Store {
    inner: Arc<Inner>,
    worker: worker::Worker,
}

/// What the store's own threads share with it.
struct Inner {
    config: StoreConfig,
    clock: Clock,
    shards: Arc<Shards>,
    known: RwLock<Known>,
    /// Shared by writes from looking up references until they are handed to the commit thread.
    references: RwLock<()>,
    committer: Committer,
    /// Series of all shards, for the limit.
    series: AtomicUsize,
    index_growth: account::Growth,
    metadata: MetadataStore,
    account: Mutex<account::Account>,
    block_cache: Arc<BlockCache>,
    reserve: reserve::Reserve,
    scrub: scrub::Scrub,
    metrics: Arc<Metrics>,
    /// Held as long as the store lives, so that no second process opens the directory.
    _lock: std::fs::File,
}

/// All shards; what the commit thread applies to.
struct Shards {
    shards: Vec<Arc<Shard>>,
    clock: Clock,
}

impl Apply for Shards {
    fn apply(&self, part: &Part, log_index: u64, outcome: &mut WriteOutcome) {
        let shard = &self.shards[usize::from(part.shard)];
        let now = (self.clock)();
        match &part.change {
            Change::Write(batch) => shard.apply(batch, log_index, now, outcome),
            Change::Delete(tombstone) => shard.delete(tombstone, log_index, now),
        }
    }
}

impl Store {
    /// What the store counts about itself.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// The memory that the store shares with others.
    pub fn memory(&self) -> &Arc<Budget> {
        &self.inner.config.memory
    }

    /// Bytes of blocks kept in memory.
    pub fn block_cache_bytes(&self) -> f64 {
        self.inner.block_cache.size() as f64
    }

    /// What senders said about metrics.
    pub fn metadata(&self) -> &MetadataStore {
        &self.inner.metadata
    }

    /// What the labels of a series may be, unless a writer has limits of its own.
    pub fn label_limits(&self) -> LabelLimits {
        self.inner.config.labels
    }

    /// Commits what was accepted, stops the background work and closes the files. Much in memory is
    /// flushed, so that the next start is quick; a little stays in the log, to be replayed.
    pub fn close(&self) {
        self.worker.stop();
        self.inner.committer.close();
        self.inner.flush_large_heads();
        self.inner.save_metadata();
    }
}
