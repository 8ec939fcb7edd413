//! Series without samples leave the index, and with them what recognises their labels.

use std::sync::atomic::Ordering;

use super::Inner;
use crate::error::StorageError;
use crate::exclusive::Exclusive;
use crate::shard::Shard;

impl Inner {
    /// Removes all series of a shard that have no samples. Writes wait for a step at a time.
    pub(super) fn forget(&self, shard: &Shard) -> Result<(), StorageError> {
        let pauses = &self.metrics.pauses;
        let hold_writes = || {
            let held = Exclusive::hold(&self.references, &pauses.references);
            let drained = self.committer.drain();
            Exclusive::hold(&self.known, &pauses.known).clear();
            drained.then_some(held)
        };
        // Step by step: what is gone is gone, also when a later step fails.
        let note_removed = |series| {
            self.series.fetch_sub(series, Ordering::Relaxed);
        };
        shard.forget(hold_writes, note_removed)
    }
}
