//! A shard: a fixed slice of all series, a directory, the unit of recovery and compaction.
//!
//! Lock order: `merging`, `maintenance`, `live`, `index`. The last two are held for one short step
//! each: writes and reads wait for them. What a reader sees of one series (head, frozen tier, chunk
//! files) comes from one look at `live`.

mod apply;
mod compact;
mod copy;
mod file_set;
mod flush;
mod forget;
mod open;
mod plan;
mod read;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use metricstor_model::TimeRange;
use roaring::RoaringBitmap;

pub(crate) use compact::Aim;
pub(crate) use file_set::{FileSet, name};
pub(crate) use open::Opened;
pub(crate) use plan::Bounds;

use crate::catalog::Catalog;
use crate::chunk_file::ChunkFile;
use crate::exclusive::Exclusive;
use crate::files::Files;
use crate::head::Head;
use crate::index::Index;
use crate::metrics::Metrics;
use crate::quarantine::Quarantine;
use crate::tombstone::Tombstone;

/// See the module.
pub(crate) struct Shard {
    pub number: u16,
    chunks_dir: PathBuf,
    files: Arc<dyn Files>,
    index: RwLock<Index>,
    live: RwLock<Live>,
    /// Every series below is defined by an entry that is applied: the log need not repeat it.
    defined_below: AtomicU32,
    /// What `defined_below` was when somebody last looked whether it goes on.
    defined_before: AtomicU32,
    /// Held while files are merged, which may take minutes.
    merging: Mutex<()>,
    maintenance: Mutex<Maintenance>,
    /// A merge at work should give up.
    stopping: AtomicBool,
    /// A merge waits for space on the disk; said once.
    lacks_room: AtomicBool,
    /// There may be series without samples.
    forget_due: AtomicBool,
    quarantine: Arc<Quarantine>,
    /// Exemplars in memory between flushes.
    exemplars_max: usize,
    metrics: Arc<Metrics>,
}

/// Where samples are, at one moment.
struct Live {
    head: Head,
    files: Arc<FileSet>,
    /// Defined by applied entries, not yet in the catalog.
    unpublished: Vec<u32>,
    /// The log index of the last applied entry.
    applied: u64,
    /// The log index up to which chunk files and catalog have everything.
    flushed: u64,
    /// Samples that the log has beyond `flushed`, also those that were there already.
    logged_samples: u64,
    /// Deletions that only the log has.
    unpublished_tombstones: Vec<Arc<Tombstone>>,
    /// When the oldest entry that is not frozen arrived; milliseconds since the epoch.
    head_since: Option<i64>,
}

/// What publishes share; merges take it only for their end.
struct Maintenance {
    catalog: Catalog,
    /// A flush that froze the head and has not been published yet.
    pending: Option<flush::Pending>,
}

impl Shard {
    /// The index, for reading.
    pub fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index, for new series.
    pub fn index_mut(&self) -> Exclusive<'_, Index> {
        Exclusive::hold(&self.index, &self.metrics.pauses.index)
    }

    /// Must the log define this series again?
    #[inline]
    pub fn needs_definition(&self, series: u32) -> bool {
        series >= self.defined_below.load(Ordering::Acquire)
    }

    /// Notes that no reference given out so far needs a definition any more.
    fn all_are_defined(&self) {
        let next = self.index().next();
        self.live_mut().head.define_below(next);
        self.defined_below.store(next, Ordering::Release);
    }

    fn live(&self) -> RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn live_mut(&self) -> Exclusive<'_, Live> {
        Exclusive::hold(&self.live, &self.metrics.pauses.live)
    }

    fn maintenance(&self) -> MutexGuard<'_, Maintenance> {
        self.maintenance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The published chunk files.
    pub fn chunk_files(&self) -> Vec<Arc<ChunkFile>> {
        self.live().files.iter().cloned().collect()
    }

    fn merging(&self) -> MutexGuard<'_, ()> {
        self.merging.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends merges, this one and all later ones.
    pub fn stop_merging(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// The chunk files at this moment.
    pub fn files(&self) -> Arc<FileSet> {
        self.live().files.clone()
    }

    /// Bytes of all chunk files.
    pub fn file_bytes(&self) -> u64 {
        self.live().files.bytes()
    }

    /// The times of all samples; `None` when there are none.
    pub fn range(&self) -> Option<TimeRange> {
        self.live().range()
    }

    /// Samples that a start would have to replay.
    pub fn logged_samples(&self) -> u64 {
        self.live().logged_samples
    }

    /// Bytes of memory of the head.
    pub fn head_bytes(&self) -> usize {
        self.live().head.size()
    }

    /// Has the head more than so many bytes of these series that are not frozen?
    pub fn head_exceeds(&self, series: &RoaringBitmap, bytes_max: usize) -> bool {
        self.live().head.exceeds(series, bytes_max)
    }

    /// Bytes of memory of the index.
    pub fn index_bytes(&self) -> usize {
        self.index().size()
    }

    /// Bytes of memory of the open files' tables.
    pub fn file_table_bytes(&self) -> usize {
        let files = self.live().files.clone();
        files.iter().map(|file| file.memory()).sum()
    }

    /// Damaged files and how many places of each are known.
    pub fn quarantined(&self) -> Vec<(String, usize)> {
        self.quarantine.files()
    }

    /// Bytes and counts, for limits and statistics.
    pub fn usage(&self) -> Usage {
        let live = self.live();
        let index = self.index();
        Usage {
            series: index.len(),
            active_series: live.head.active_series(),
            head_samples: live.head.samples(),
            head_bytes: live.head.size(),
            index_bytes: index.size(),
            files: live.files.len(),
            file_bytes: live.files.bytes(),
            file_samples: live.files.samples(),
            tombstones: live.files.tombstones().len(),
            range: live.range(),
        }
    }
}

/// What a shard holds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub series: usize,
    pub active_series: usize,
    pub head_samples: u64,
    pub head_bytes: usize,
    pub index_bytes: usize,
    pub files: usize,
    pub file_bytes: u64,
    pub file_samples: u64,
    /// Deletions whose samples are still in chunk files.
    pub tombstones: usize,
    pub range: Option<TimeRange>,
}

impl Live {
    /// Are all samples inside `range`, and none of them hidden?
    fn is_whole_within(&self, range: TimeRange) -> bool {
        let within = |own: TimeRange| range.start <= own.start && own.end <= range.end;
        self.range().is_some_and(within) && self.files.tombstones().is_empty()
    }

    fn range(&self) -> Option<TimeRange> {
        [self.head.range(), self.files.range()].into_iter().flatten().reduce(TimeRange::union)
    }
}
