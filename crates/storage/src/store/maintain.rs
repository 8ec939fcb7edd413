//! The store's background thread: flushes, merges, expires. One step at a time, paced by a tick, so
//! that it is never more than one file ahead of a stop.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Inner, Store};
use crate::error::StorageError;
use crate::shard::{Shard, Times};

/// How often the worker looks around.
const TICK: Duration = Duration::from_secs(1);

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
            while !own.wait(TICK) {
                inner.maintain();
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
            shard.compact_everything(self.inner.times())?;
        }
        Ok(())
    }
}

impl Store {
    /// Deletes the files that are older than the retention, now.
    pub fn expire(&self) -> Result<(), StorageError> {
        let oldest = self.inner.oldest();
        self.inner.shards.shards.iter().try_for_each(|shard| shard.expire(oldest).map(|_| ()))
    }
}

impl Inner {
    /// The oldest timestamp that is kept.
    fn oldest(&self) -> i64 {
        (self.clock)().saturating_sub(self.config.retention_ms)
    }

    pub(super) fn times(&self) -> Times {
        Times { now: (self.clock)(), oldest: self.oldest() }
    }

    /// One round; a failure is logged and tried again in the next.
    fn maintain(&self) {
        let now = (self.clock)();
        for shard in &self.shards.shards {
            let done = self.flush_if_due(shard, now).and_then(|()| {
                shard.expire(self.oldest())?;
                shard.compact(self.times())
            });
            if let Err(error) = done {
                tracing::error!(shard = shard.number, %error, "maintenance failed, will try again");
            }
        }
    }

    fn flush_if_due(&self, shard: &Shard, now: i64) -> Result<(), StorageError> {
        let interval = i64::try_from(self.config.flush_interval.as_millis()).unwrap_or(i64::MAX);
        if shard.flush_is_due(now, interval, self.config.flush_head_bytes) {
            self.flush(shard)?;
        }
        Ok(())
    }

    pub(super) fn flush(&self, shard: &Shard) -> Result<(), StorageError> {
        if let Some(upto) = shard.flush()? {
            self.committer.purge(shard.number, upto);
        }
        Ok(())
    }
}
