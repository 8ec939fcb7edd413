//! Opening a data directory: lock it, open every shard, replay the log, start the threads.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::Path;
use std::sync::{Arc, RwLock};

use serde::{Deserialize, Serialize};

use super::{Clock, Inner, Shards, Store, maintain};
use crate::batch::{Batch, Malformed};
use crate::committer::Committer;
use crate::config::StoreConfig;
use crate::error::StorageError;
use crate::files::Files;
use crate::known::Known;
use crate::metadata::MetadataStore;
use crate::metrics::Metrics;
use crate::outcome::WriteOutcome;
use crate::shard::{Opened, Shard};
use crate::wal::{Log, LogConfig};

/// The version of the directory's layout; a later one is refused.
const FORMAT_VERSION: u32 = 1;

/// `node.json`: what must never change in a data directory.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Node {
    format_version: u32,
    shards: u16,
}

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
        let node = node(dir, config.shards)?;
        let metrics = Arc::new(Metrics::default());
        let mut recovery = Recovery::default();
        let opened = open_shards(&config, &files, node.shards, &metrics)?;
        let mut flushed = BTreeMap::new();
        let mut shards = Vec::new();
        for Opened { shard, flushed: upto, leftovers } in opened {
            flushed.insert(u32::from(shard.number), upto);
            recovery.leftovers += leftovers;
            shards.push(Arc::new(shard));
        }
        let log = open_log(&config, &files, &mut recovery)?;
        let now = clock();
        replay(&log, &shards, &flushed, now, &mut recovery)?;
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
        let inner = Arc::new(Inner {
            clock,
            shards,
            known: RwLock::new(Known::default()),
            committer,
            series: recovery.series.into(),
            metadata: MetadataStore::default(),
            metrics,
            _lock: lock,
            config,
        });
        let worker = maintain::Worker::start(inner.clone())
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

/// Reads `node.json`, or writes it for a new directory.
fn node(dir: &Path, shards: u16) -> Result<Node, StorageError> {
    let path = dir.join("node.json");
    let node = match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| StorageError::Format {
            path: path.clone(),
            reason: format!("{e}; restore the file from a copy"),
        })?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let node = Node { format_version: FORMAT_VERSION, shards: shards.clamp(1, 4096) };
            write_node(&path, &node).map_err(|e| StorageError::io("write", &path, e))?;
            node
        }
        Err(e) => return Err(StorageError::io("read", &path, e)),
    };
    if node.format_version != FORMAT_VERSION || node.shards == 0 {
        let found = node.format_version;
        let reason = format!("format version {found}, this program reads {FORMAT_VERSION}");
        return Err(StorageError::Format { path, reason });
    }
    Ok(node)
}

/// Whole or not at all, before anything else exists in the directory.
fn write_node(path: &Path, node: &Node) -> std::io::Result<()> {
    let temporary = path.with_extension("tmp");
    std::fs::write(&temporary, serde_json::to_vec(node)?)?;
    std::fs::File::open(&temporary)?.sync_all()?;
    std::fs::rename(&temporary, path)?;
    std::fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// Opens all shards side by side: reading the index is most of a start's work.
fn open_shards(
    config: &StoreConfig,
    files: &Arc<dyn Files>,
    count: u16,
    metrics: &Arc<Metrics>,
) -> Result<Vec<Opened>, StorageError> {
    std::thread::scope(|scope| {
        let open = |number| {
            let dir = config.dir.join("shards").join(format!("{number:02}"));
            scope.spawn(move || Shard::open(&dir, number, files.clone(), metrics.clone()))
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
    files: &Arc<dyn Files>,
    recovery: &mut Recovery,
) -> Result<Log, StorageError> {
    let segment_bytes = u32::try_from(config.log_segment_bytes).unwrap_or(u32::MAX);
    let log_config = LogConfig { segment_bytes, ..LogConfig::default() };
    let log = Log::open(files.clone(), &config.dir.join("wal"), log_config)?;
    recovery.torn_tail =
        log.torn_tail().map(|torn| format!("{} at byte {}", torn.path.display(), torn.offset));
    Ok(log)
}

/// Applies what the log has beyond the chunk files.
fn replay(
    log: &Log,
    shards: &[Arc<Shard>],
    flushed: &BTreeMap<u32, u64>,
    now: i64,
    recovery: &mut Recovery,
) -> Result<(), StorageError> {
    let mut batch = Batch::default();
    let from = |group: u32| flushed.get(&group).map_or(u64::MAX, |upto| upto + 1);
    log.replay(from, |entry| {
        let shard = &shards[entry.group as usize];
        batch.decode(entry.payload).map_err(|Malformed(reason)| {
            let (group, index) = (entry.group, entry.index);
            StorageError::Format {
                path: "wal".into(),
                reason: format!("entry {index} of shard {group}: {reason}"),
            }
        })?;
        recovery.replayed_entries += 1;
        recovery.replayed_samples += batch.timestamps.len() as u64;
        shard.replay(&batch, entry.index, now, &mut WriteOutcome::default());
        Ok::<(), StorageError>(())
    })?;
    shards.iter().for_each(|shard| shard.replayed());
    Ok(())
}
