//! A copy of everything at one moment, which another process opens as its data directory.
//!
//! Chunk files never change, so the copy shares their bytes by hard links; catalogs are copied; the
//! copy's log is new, and begins behind what the files hold.
//!
//! Invariant: a directory stands under its final name only when it is whole and on the disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::node;
use super::{METADATA, Store};
use crate::error::StorageError;
use crate::files::Disk;
use crate::wal::{EntryId, Log, LogConfig};

/// The copy's log holds nothing yet.
const LOG_SEGMENT_BYTES: u32 = 1 << 20;

impl Store {
    /// Makes the directory `snapshots/NAME-N` inside the data directory, for the first N that is
    /// free, and returns its name. It holds what was acknowledged before the call; without the
    /// heads, only what is in chunk files. It takes little space until files are merged and deleted
    /// here. Keys are not in it.
    pub fn snapshot(&self, name: &str, with_heads: bool) -> Result<String, StorageError> {
        let all = self.inner.config.dir.join("snapshots");
        fs::create_dir_all(&all).map_err(|e| StorageError::io("create", &all, e))?;
        let (name, temporary) = reserve(&all, name)?;
        let to = all.join(&name);
        let copied = self.copy_into(&temporary, with_heads).and_then(|()| {
            fs::rename(&temporary, &to).map_err(|e| StorageError::io("rename", &temporary, e))?;
            sync_dir(&all)
        });
        match copied {
            Ok(()) => Ok(name),
            Err(error) => {
                if let Err(error) = fs::remove_dir_all(&temporary) {
                    tracing::warn!(path = %temporary.display(), %error, "left an unfinished copy");
                }
                Err(error)
            }
        }
    }

    fn copy_into(&self, dir: &Path, with_heads: bool) -> Result<(), StorageError> {
        let config = &self.inner.config;
        let mut flushed = Vec::new();
        for shard in &self.inner.shards.shards {
            if with_heads {
                self.inner.flush(shard)?;
            }
            let shard_dir = dir.join("shards").join(format!("{:02}", shard.number));
            let chunks = shard_dir.join("chunks");
            fs::create_dir_all(&chunks).map_err(|e| StorageError::io("create", &chunks, e))?;
            flushed.push((u32::from(shard.number), shard.copy_into(&shard_dir)?));
            sync_dir(&chunks)?;
            sync_dir(&shard_dir)?;
        }
        sync_dir(&dir.join("shards"))?;
        for file in ["node.json", METADATA] {
            copy_if_there(&config.dir.join(file), &dir.join(file))?;
        }
        let identity = node::read_or_create(&config.dir, config.shards, config.node_id)?.id;
        let wal = dir.join("wal");
        fs::create_dir_all(&wal).map_err(|e| StorageError::io("create", &wal, e))?;
        let log_config = LogConfig { segment_bytes: LOG_SEGMENT_BYTES, identity };
        let mut log = Log::open(Arc::new(Disk), &wal, log_config)?;
        for (shard, index) in flushed {
            log.purge_prefix(shard, EntryId { term: 0, index })?;
        }
        log.sync()?;
        sync_dir(dir)
    }
}

/// A name that is free, and the folder in which its copy is made: whoever made that has the name.
fn reserve(all: &Path, name: &str) -> Result<(String, PathBuf), StorageError> {
    let mut n = 0u64;
    loop {
        let name = format!("{name}-{n:016x}");
        let temporary = all.join(format!("{name}.tmp"));
        if !all.join(&name).exists() {
            match fs::create_dir(&temporary) {
                Ok(()) => return Ok((name, temporary)),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(StorageError::io("create", &temporary, e)),
            }
        }
        n += 1;
    }
}

fn copy_if_there(from: &Path, to: &Path) -> Result<(), StorageError> {
    let copied = fs::copy(from, to).and_then(|_| fs::File::open(to)?.sync_all());
    match copied {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(StorageError::io("copy", from, e))
        }
        _ => Ok(()),
    }
}

fn sync_dir(dir: &Path) -> Result<(), StorageError> {
    let synced = fs::File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|e| StorageError::io("sync", dir, e))
}
