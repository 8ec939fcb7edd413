//! Opening a shard: its index from the catalog, its chunk files, and nothing else on the disk.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, Mutex, RwLock};

use metricstor_model::SeriesId;
use roaring::RoaringBitmap;

use super::{FileSet, Live, Maintenance, Shard};
use crate::batch::Batch;
use crate::catalog::{Catalog, CatalogError};
use crate::chunk_file::{self, BlockCache, ChunkFile};
use crate::error::StorageError;
use crate::files::Files;
use crate::head::Head;
use crate::metrics::Metrics;
use crate::outcome::WriteOutcome;
use crate::quarantine::Quarantine;
use crate::store::TENANT;

/// A shard before the log is replayed.
pub(crate) struct Opened {
    pub shard: Shard,
    /// The last log index that is in chunk files.
    pub flushed: u64,
    /// Files that the manifest does not name: of an unfinished flush or compaction, if the catalog is
    /// the log's.
    pub leftovers: Vec<PathBuf>,
}

impl Shard {
    pub fn open(
        dir: &Path,
        number: u16,
        files: Arc<dyn Files>,
        cache: Arc<BlockCache>,
        metrics: Arc<Metrics>,
        exemplars_max: usize,
    ) -> Result<Opened, StorageError> {
        let chunks_dir = dir.join("chunks");
        files.create_dir(&chunks_dir).map_err(|e| StorageError::io("create", &chunks_dir, e))?;
        let catalog_path = dir.join("index.db");
        if Catalog::is_absent(&catalog_path) && has_chunk_files(&*files, &chunks_dir)? {
            return Err(CatalogError::Missing { path: catalog_path }.into());
        }
        let catalog = Catalog::open(&catalog_path, u32::from(number))?;
        let index = catalog.load_series()?;
        let mut head = Head::default();
        head.define_below(index.next());
        let named = catalog.files()?;
        let leftovers = unknown(&*files, &chunks_dir, &named)?;
        let mut chunk_files = Vec::new();
        for name in &named {
            chunk_files.push(Arc::new(ChunkFile::open(&*files, &chunks_dir.join(name))?));
        }
        let flushed = catalog.flushed()?;
        let quarantine = Arc::new(Quarantine::default());
        let tombstones = catalog.tombstones()?;
        let file_set =
            FileSet::new(chunk_files, tombstones, cache, metrics.clone(), quarantine.clone());
        let live = Live {
            head,
            files: Arc::new(file_set),
            unpublished: Vec::new(),
            unpublished_tombstones: Vec::new(),
            applied: flushed,
            flushed,
            logged_samples: 0,
            head_since: None,
        };
        let shard = Shard {
            number,
            chunks_dir,
            files,
            defined_below: AtomicU32::new(index.next()),
            defined_before: AtomicU32::new(u32::MAX),
            index: RwLock::new(index),
            live: RwLock::new(live),
            lacks_room: AtomicBool::new(false),
            forget_due: AtomicBool::new(true),
            quarantine,
            exemplars_max,
            merging: Mutex::new(()),
            stopping: AtomicBool::new(false),
            maintenance: Mutex::new(Maintenance { catalog, pending: None }),
            metrics,
        };
        Ok(Opened { shard, flushed, leftovers })
    }

    /// Applies an entry from the log, series definitions included.
    pub fn replay(&self, batch: &Batch, log_index: u64, now: i64, outcome: &mut WriteOutcome) {
        let mut index = self.index_mut();
        let mut lacking = Vec::new();
        for definition in &batch.definitions {
            let pairs = || definition.labels.iter().map(|(n, v)| (n.as_str(), v.as_str()));
            let id = SeriesId::of_pairs(TENANT, pairs());
            if let Some(earlier) = index.get(id).filter(|earlier| *earlier != definition.series) {
                // It had lost all samples and was forgotten before it came again.
                index.remove(&RoaringBitmap::from_iter([earlier]));
            }
            if !index.all().contains(definition.series) {
                lacking.push(definition.series);
            }
            index.insert(definition.series, id, pairs());
        }
        // What was forgotten since had only samples that were deleted later, or were there already.
        let forgotten = |series: &u32| !index.all().contains(*series);
        let some_are = batch.series().any(|series| forgotten(&series));
        let kept = some_are.then(|| batch.retain(|series| !forgotten(&series)));
        drop(index);
        // References below the catalog's highest pass for defined: those it lacks are for the next flush.
        let mut live = self.live_mut();
        lacking.retain(|series| live.head.is_defined(*series));
        live.unpublished.append(&mut lacking);
        drop(live);
        self.apply(kept.as_ref().unwrap_or(batch), log_index, now, outcome);
    }
}

impl Shard {
    /// Ends the replay: whatever has a reference now is defined, and gaps are never used again.
    pub fn replayed(&self) {
        self.all_are_defined();
    }
}

/// With these, a new catalog would be a catalog lost: all of them would pass for leftovers.
fn has_chunk_files(files: &dyn Files, dir: &Path) -> Result<bool, StorageError> {
    let names = files.list(dir).map_err(|e| StorageError::io("list", dir, e))?;
    Ok(names.iter().any(|name| name.ends_with(chunk_file::EXTENSION)))
}

/// What the manifest does not name: it was never published.
fn unknown(files: &dyn Files, dir: &Path, named: &[String]) -> Result<Vec<PathBuf>, StorageError> {
    let names = files.list(dir).map_err(|e| StorageError::io("list", dir, e))?;
    let unknown = names.iter().filter(|name| !named.contains(name));
    Ok(unknown.map(|name| dir.join(name)).collect())
}
