//! Deleting samples: hidden for queries when the call returns, gone from the disk after a merge.

use std::sync::mpsc;

use metricstor_model::{Matcher, TimeRange};
use roaring::RoaringBitmap;

use super::{Inner, Store};
use crate::committer::{Commit, Part};
use crate::entry::Change;
use crate::error::StorageError;
use crate::outcome::{WriteError, WriteOutcome};
use crate::tombstone::Tombstone;

/// With more bytes of the series in memory a shard is flushed first: all writes wait while each of their
/// samples is looked at, and what is left of a series takes more memory than before until the next flush.
const BYTES_IN_MEMORY_MAX: usize = 128 << 10;

impl Store {
    /// Deletes the samples inside `range` of the series that satisfy all matchers of any of the
    /// `sets`. Durable and hidden from queries when this returns; samples written later are kept,
    /// whatever their time. Returns how many series matched.
    ///
    /// The bytes are gone after [`Store::clean_tombstones`], [`Store::compact`] or, by and by, from
    /// the maintenance in the background.
    ///
    /// # Errors
    /// As for writes: nothing is deleted then, or (after a failed fsync) it is unknown.
    pub fn delete(&self, sets: &[Vec<Matcher>], range: TimeRange) -> Result<u64, WriteError> {
        self.inner.delete(sets, range)
    }

    /// Rewrites all chunk files that hold deleted samples.
    pub fn clean_tombstones(&self) -> Result<(), StorageError> {
        for shard in &self.inner.shards.shards {
            self.inner.flush(shard)?;
            while shard.clean(self.inner.aim())? {}
            self.inner.forget(shard)?;
        }
        Ok(())
    }
}

impl Inner {
    fn delete(&self, sets: &[Vec<Matcher>], range: TimeRange) -> Result<u64, WriteError> {
        let mut parts = Vec::new();
        let mut matched = 0;
        for shard in &self.shards.shards {
            let mut series = RoaringBitmap::new();
            for matchers in sets {
                series |= shard.index().select(matchers);
            }
            // One entry is logged also for nothing: after a failed commit the log may hold samples
            // that a restart brings back, and the deletion must not seem done.
            let is_last = usize::from(shard.number) + 1 == self.shards.shards.len();
            if series.is_empty() && (matched > 0 || !is_last) {
                continue;
            }
            matched += series.len();
            if shard.head_exceeds(&series, BYTES_IN_MEMORY_MAX)
                && let Err(error) = self.flush(shard)
            {
                tracing::warn!(%error, "deleting from memory, for the head cannot be flushed");
            }
            series.optimize();
            let tombstone = Tombstone { position: 0, range, series };
            let mut payload = Vec::new();
            tombstone.encode(&mut payload);
            parts.push(Part { shard: shard.number, change: Change::Delete(tombstone), payload });
        }
        let (answer, answered) = mpsc::channel();
        let done = Box::new(move |result| {
            // The caller waits below.
            let _ = answer.send(result);
        });
        // Deleting frees memory in the end: it is not refused for want of some.
        let memory = self.config.memory.permit();
        let outcome = WriteOutcome::default();
        self.committer.submit(Commit { parts, outcome, done, memory });
        answered.recv().map_err(|_| WriteError::Closed)??;
        Ok(matched)
    }
}
