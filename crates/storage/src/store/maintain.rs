//! What a store does beside writes and reads: flush, merge, expire, forget. Each piece of it is one step
//! that ends by itself; `worker` has the threads.

use std::sync::PoisonError;

use super::{Inner, METADATA, Store};
use crate::error::StorageError;
use crate::shard::{Aim, Bounds, Shard};

/// A merged file holds at most this part of what retention keeps: it is deleted as a whole.
const RETENTION_PARTS: u32 = 10;
/// A stop leaves at most so many samples per shard to be replayed.
const REPLAYED_MAX: u64 = 100_000;

impl Store {
    /// Flushes every head and merges everything that may share a file; returns when it is done.
    pub fn compact(&self) -> Result<(), StorageError> {
        for shard in &self.inner.shards.shards {
            self.inner.flush(shard)?;
            shard.compact_everything(self.inner.aim())?;
            self.inner.forget(shard)?;
        }
        Ok(())
    }
}

impl Store {
    /// Deletes what is beyond the retention, by age and by size, now.
    pub fn expire(&self) -> Result<(), StorageError> {
        let oldest = self.inner.oldest();
        for shard in &self.inner.shards.shards {
            shard.expire(oldest)?;
        }
        self.inner.shrink()?;
        self.inner.shards.shards.iter().try_for_each(|shard| self.inner.forget(shard))
    }
}

impl Inner {
    /// Flushes the heads whose replay would take a start long, side by side.
    pub(super) fn flush_large_heads(&self) {
        std::thread::scope(|scope| {
            for shard in self.shards.shards.iter().filter(|s| s.logged_samples() > REPLAYED_MAX) {
                scope.spawn(|| {
                    // The log has everything; only the next start takes longer.
                    if let Err(error) = shard.flush() {
                        tracing::warn!(shard = shard.number, %error, "not flushed before the stop");
                    }
                });
            }
        });
    }

    /// Saves what senders said about metrics, if it changed.
    pub(super) fn save_metadata(&self) {
        let path = self.config.dir.join(METADATA);
        if let Err(error) = self.metadata.save(&path) {
            tracing::warn!(path = %path.display(), %error, "cannot save, will try again");
        }
    }

    /// The oldest timestamp that is kept.
    fn oldest(&self) -> i64 {
        (self.clock)().saturating_sub(self.config.retention_ms)
    }

    /// For merges that somebody asked for: they try.
    pub(super) fn aim(&self) -> Aim {
        let parts = i64::from(RETENTION_PARTS);
        let bounds = Bounds {
            window: self.config.retention_ms / parts,
            size: self.config.retention_bytes.map_or(u64::MAX, |max| max / parts as u64),
        };
        Aim { now: (self.clock)(), oldest: self.oldest(), bounds, room: u64::MAX, free: u64::MAX }
    }

    /// Flushes what is due and drops what is too old; a failure is logged and tried again in the
    /// next round.
    pub(super) fn flush_and_expire(&self) {
        let now = (self.clock)();
        for shard in &self.shards.shards {
            // Each for itself: a flush may have to wait for the space that what is too old takes.
            let flushed = self.flush_if_due(shard, now);
            let expired = self.spend(|| shard.expire(self.oldest()));
            for error in [flushed.err(), expired.err()].into_iter().flatten() {
                tracing::error!(shard = shard.number, %error, "maintenance failed, will try again");
            }
        }
        if let Err(error) = self.shrink() {
            tracing::error!(%error, "files beyond the retention size stay, will try again");
        }
        if let Err(error) = self.relieve() {
            tracing::error!(%error, "cannot flush to free memory, will try again");
        }
    }

    /// Does one merge per shard, where one is due, and removes series without samples.
    pub(super) fn merge_and_forget(&self) {
        for shard in &self.shards.shards {
            let forget = || {
                if !shard.forgetting_is_due() {
                    return Ok(());
                }
                self.forget(shard).inspect_err(|_| shard.forget_soon())
            };
            // One that fills the disk would be tried again and again.
            let free = self.reserve.free().unwrap_or(u64::MAX);
            let aim = Aim { room: self.reserve.room(), free, ..self.aim() };
            match shard.compact(aim).and_then(|_| forget()) {
                Ok(()) => {}
                Err(StorageError::Stopped) => return,
                Err(error) => {
                    tracing::error!(shard = shard.number, %error, "merging failed, will try again");
                }
            }
        }
    }

    /// Deletes the files with the oldest samples until the others fit the retention by size.
    fn shrink(&self) -> Result<(), StorageError> {
        let Some(max) = self.config.retention_bytes else { return Ok(()) };
        let shards = &self.shards.shards;
        while shards.iter().map(|shard| shard.file_bytes()).sum::<u64>() > max {
            let oldest = shards.iter().filter_map(|shard| Some((shard.oldest_file()?, shard)));
            let Some((end, shard)) = oldest.min_by_key(|(end, _)| *end) else { return Ok(()) };
            tracing::info!(
                shard = shard.number,
                until = end,
                "deleting a file to keep to the size"
            );
            self.spend(|| shard.drop_files(|file| file.range().end <= end))?;
        }
        Ok(())
    }

    fn flush_if_due(&self, shard: &Shard, now: i64) -> Result<(), StorageError> {
        let interval = i64::try_from(self.config.flush_interval.as_millis()).unwrap_or(i64::MAX);
        if shard.flush_is_due(now, interval, self.config.flush_head_bytes) {
            self.flush(shard)?;
        }
        Ok(())
    }

    pub(super) fn flush(&self, shard: &Shard) -> Result<(), StorageError> {
        if let Some(upto) = self.spend(|| shard.flush())? {
            self.committer.purge(shard.number, upto);
        }
        Ok(())
    }

    /// Does something that may need space; on a full disk once more with what was kept aside.
    fn spend<T>(&self, act: impl Fn() -> Result<T, StorageError>) -> Result<T, StorageError> {
        self.reserve.keep();
        let done = act();
        if !done.as_ref().is_err_and(StorageError::is_full) {
            return done;
        }
        // What is given back is not for the log, from here until it is used.
        let _giving = self.reserve.refuse_writes();
        drop(self.references.write().unwrap_or_else(PoisonError::into_inner));
        self.committer.drain();
        if self.reserve.give()? { act() } else { done }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::ErrorKind;
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::config::StoreConfig;
    use crate::files::Simulated;

    const RESERVE: u64 = 1 << 20;

    #[test]
    fn no_write_is_admitted_while_the_reserve_is_used() {
        let (dir, disk) = (tempfile::tempdir().unwrap(), Simulated::new());
        let mut config = StoreConfig::new(dir.path());
        config.shards = 1;
        config.log_segment_bytes = 64 << 10;
        config.reserve_bytes = RESERVE;
        let (store, _) =
            Store::open(config, Arc::new(disk.clone()), Arc::new(|| 1_800_000_000_000)).unwrap();
        disk.set_capacity(Some(2 * RESERVE));
        let (inner, tries) = (&store.inner, Cell::new(0));
        let full = || StorageError::io("write", Path::new("file"), ErrorKind::StorageFull.into());
        let done = inner.spend(|| {
            tries.set(tries.get() + 1);
            if tries.get() == 1 {
                return Err(full());
            }
            assert!(inner.reserve.refuses_writes());
            assert_eq!(inner.reserve.held(), 0);
            Ok(())
        });
        assert!(done.is_ok() && tries.get() == 2);
        assert!(!inner.reserve.refuses_writes());
        assert_eq!(inner.reserve.held(), RESERVE);
        assert!(inner.spend(|| Err::<(), _>(full())).is_err());
        assert!(!inner.reserve.refuses_writes());
    }
}
