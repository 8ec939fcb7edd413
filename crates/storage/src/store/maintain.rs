//! The store's background thread: flushes, merges, expires. One step at a time, paced by a tick, so
//! that it is never more than one file ahead of a stop.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Inner, METADATA, Store};
use crate::error::StorageError;
use crate::shard::{Aim, Bounds, Shard};

/// A merged file holds at most this part of what retention keeps: it is deleted as a whole.
const RETENTION_PARTS: u32 = 10;
/// How often the worker looks around.
const TICK: Duration = Duration::from_secs(1);
/// A stop leaves at most so many samples per shard to be replayed.
const REPLAYED_MAX: u64 = 100_000;
/// Metadata is saved after so many rounds.
const SLOW_ROUNDS: u64 = 60;

pub(super) struct Worker {
    stop: Arc<Stop>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Stop {
    stopped: Mutex<bool>,
    wake: Condvar,
}

impl Worker {
    pub fn start(inner: Arc<Inner>) -> std::io::Result<Self> {
        let stop = Arc::new(Stop::default());
        let own = stop.clone();
        let thread = std::thread::Builder::new().name("maintain".into()).spawn(move || {
            let mut rounds = 0u64;
            while !own.wait(TICK) {
                inner.maintain();
                rounds += 1;
                if let Err(error) = inner.keep_account(rounds) {
                    tracing::error!(%error, "cannot flush to free memory, will try again");
                }
                inner.reserve.keep();
                if rounds.is_multiple_of(SLOW_ROUNDS) {
                    inner.save_metadata();
                }
            }
        })?;
        Ok(Self { stop, thread: Mutex::new(Some(thread)) })
    }

    /// Lets the step at hand end, and ends the thread.
    pub fn stop(&self) {
        *self.stop.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.wake.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the maintenance thread panicked");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Stop {
    /// Waits; true when it is time to stop.
    fn wait(&self, timeout: Duration) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.wake.wait_timeout_while(stopped, timeout, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

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

    pub(super) fn aim(&self) -> Aim {
        let parts = i64::from(RETENTION_PARTS);
        let bounds = Bounds {
            window: self.config.retention_ms / parts,
            size: self.config.retention_bytes.map_or(u64::MAX, |max| max / parts as u64),
        };
        Aim { now: (self.clock)(), oldest: self.oldest(), bounds }
    }

    /// One round; a failure is logged and tried again in the next.
    fn maintain(&self) {
        let now = (self.clock)();
        for shard in &self.shards.shards {
            let done = self.flush_if_due(shard, now).and_then(|()| {
                self.spend(|| shard.expire(self.oldest()))?;
                shard.compact(self.aim())?;
                if !shard.forgetting_is_due() {
                    return Ok(());
                }
                self.forget(shard).inspect_err(|_| shard.forget_soon())
            });
            if let Err(error) = done {
                tracing::error!(shard = shard.number, %error, "maintenance failed, will try again");
            }
        }
        if let Err(error) = self.shrink() {
            tracing::error!(%error, "files beyond the retention size stay, will try again");
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
        // What is given back is not for the log.
        self.reserve.refuse_writes();
        drop(self.references.write().unwrap_or_else(PoisonError::into_inner));
        self.committer.drain();
        if self.reserve.give()? { act() } else { done }
    }
}
