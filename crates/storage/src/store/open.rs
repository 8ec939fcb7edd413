//! Opening a data directory: lock it, open every shard, replay the log, start the threads.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};

use super::METADATA;
use super::account::{Account, Growth};
use super::node::{self, Node};
use super::replay::replay;
use super::reserve::Reserve;
use super::scrub::Scrub;
use super::worker::Worker;
use super::{Clock, Inner, Shards, Store};
use crate::chunk_file::BlockCache;
use crate::committer::Committer;
use crate::config::StoreConfig;
use crate::error::StorageError;
use crate::files::Files;
use crate::known::Known;
use crate::metadata::MetadataStore;
use crate::metrics::Metrics;
use crate::shard::{Opened, Shard};
use crate::wal::{EntryId, Log, LogConfig};

/// In the log's folder: an operator's word that what only the log held may be given up.
pub(crate) const GIVE_UP: &str = "give-up";

/// What a start found; for the log and the operator.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recovery {
    pub series: usize,
    pub chunk_files: usize,
    /// Files of an unfinished flush or compaction, deleted.
    pub leftovers: usize,
    pub replayed_entries: u64,
    pub replayed_samples: u64,
    /// Bytes at the log's end that no answer had acknowledged, cut off.
    pub torn_tail: Option<String>,
}

impl Store {
    /// Opens or creates a store. Fails, with the file and the next step named, rather than start
    /// with less than was acknowledged.
    pub fn open(
        config: StoreConfig,
        files: Arc<dyn Files>,
        clock: Clock,
    ) -> Result<(Self, Recovery), StorageError> {
        let dir = &config.dir;
        files.create_dir(dir).map_err(|e| StorageError::io("create", dir, e))?;
        std::fs::create_dir_all(dir).map_err(|e| StorageError::io("create", dir, e))?;
        let lock = lock(dir)?;
        let node = node::read_or_create(dir, config.shards, config.node_id)?;
        let metrics = Arc::new(Metrics::default());
        let mut recovery = Recovery::default();
        let block_cache =
            Arc::new(BlockCache::new(config.block_cache_bytes, &config.memory, metrics.clone()));
        let opened = open_shards(&config, &files, node.shards, &block_cache, &metrics)?;
        let mut flushed = BTreeMap::new();
        let (mut shards, mut leftovers) = (Vec::new(), Vec::new());
        for Opened { shard, flushed: upto, leftovers: own } in opened {
            flushed.insert(u32::from(shard.number), upto);
            leftovers.extend(own);
            shards.push(Arc::new(shard));
        }
        let mut log = open_log(&config, &node, &files, &mut recovery)?;
        check_reach(&mut log, &dir.join("wal"), &flushed)?;
        let now = clock();
        replay(&log, &shards, &flushed, now, &mut recovery)?;
        // Not before: to an older catalog, what was published since would be left over.
        for path in &leftovers {
            files.remove(path).map_err(|e| StorageError::io("remove", path, e))?;
        }
        recovery.leftovers = leftovers.len();
        let next = (0u32..).zip(&shards).map(|(group, _)| {
            let logged = log.last_index(group).unwrap_or(0);
            logged.max(flushed[&group]) + 1
        });
        let next = next.collect();
        for shard in &shards {
            let usage = shard.usage();
            recovery.series += usage.series;
            recovery.chunk_files += usage.files;
        }
        let shards = Arc::new(Shards { shards, clock: clock.clone() });
        let (bytes, linger) = (config.commit_queue_bytes, config.commit_linger);
        let committer = Committer::start(log, next, shards.clone(), metrics.clone(), bytes, linger)
            .map_err(|e| StorageError::io("start a thread for", dir.join("wal"), e))?;
        // A stop flushes after the log is closed.
        for (&shard, &upto) in flushed.iter().filter(|(_, upto)| **upto > 0) {
            committer.purge(shard as u16, upto);
        }
        let inner = Arc::new(Inner {
            clock,
            shards,
            known: RwLock::new(Known::default()),
            references: RwLock::new(()),
            reserve: Reserve::new(files.clone(), &config.dir, config.reserve_bytes),
            account: Mutex::new(Account {
                heads: config.memory.permit(),
                tables: config.memory.permit(),
                series: 0,
            }),
            block_cache,
            committer,
            series: recovery.series.into(),
            index_growth: Growth::default(),
            scrub: Scrub::default(),
            metadata: MetadataStore::load(&config.dir.join(METADATA)),
            metrics,
            _lock: lock,
            config,
        });
        inner.note_memory(0);
        let worker = Worker::start(inner.clone())
            .map_err(|e| StorageError::io("start a thread for", &inner.config.dir, e))?;
        Ok((Self { inner, worker }, recovery))
    }
}

fn lock(dir: &Path) -> Result<std::fs::File, StorageError> {
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|e| StorageError::io("open", &path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StorageError::InUse(dir.to_owned())),
        Err(std::fs::TryLockError::Error(e)) => Err(StorageError::io("lock", &path, e)),
    }
}

/// Opens all shards side by side: reading the index is most of a start's work.
fn open_shards(
    config: &StoreConfig,
    files: &Arc<dyn Files>,
    count: u16,
    cache: &Arc<BlockCache>,
    metrics: &Arc<Metrics>,
) -> Result<Vec<Opened>, StorageError> {
    std::thread::scope(|scope| {
        let open = |number| {
            let dir = config.dir.join("shards").join(format!("{number:02}"));
            let exemplars_max = config.exemplars_max.div_ceil(usize::from(count));
            let (cache, metrics) = (cache.clone(), metrics.clone());
            scope.spawn(move || {
                Shard::open(&dir, number, files.clone(), cache, metrics, exemplars_max)
            })
        };
        let threads: Vec<_> = (0..count).map(open).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

fn open_log(
    config: &StoreConfig,
    node: &Node,
    files: &Arc<dyn Files>,
    recovery: &mut Recovery,
) -> Result<Log, StorageError> {
    let segment_bytes = u32::try_from(config.log_segment_bytes).unwrap_or(u32::MAX);
    let log_config = LogConfig { segment_bytes, identity: node.id };
    let log = Log::open(files.clone(), &config.dir.join("wal"), log_config)?;
    recovery.torn_tail =
        log.torn_tail().map(|torn| format!("{} at byte {}", torn.path.display(), torn.offset));
    Ok(log)
}

/// A log that ends before what is in chunk files was lost, and with it perhaps what no file has. One
/// that begins after it was shortened for a later catalog than this.
fn check_reach(
    log: &mut Log,
    dir: &Path,
    flushed: &BTreeMap<u32, u64>,
) -> Result<(), StorageError> {
    let word = dir.join(GIVE_UP);
    let given_up = word.exists();
    for (&shard, &expected) in flushed {
        if let Some(purged) = log.purged(shard).filter(|purged| purged.index > expected) {
            let (flushed, purged) = (expected, purged.index);
            return Err(StorageError::OldCatalog { shard, flushed, purged });
        }
        if log.last_index(shard).unwrap_or(0) >= expected {
            continue;
        }
        if !given_up {
            return Err(StorageError::LostLog { dir: dir.to_owned(), shard, expected });
        }
        tracing::warn!(shard, expected, "the log was lost and given up");
        log.purge_prefix(shard, EntryId { term: 0, index: expected })?;
    }
    if given_up {
        log.sync()?;
        std::fs::remove_file(&word).map_err(|e| StorageError::io("remove", &word, e))?;
    }
    Ok(())
}
