//! Series without samples leave the index, and with them what recognises their labels.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::Inner;
use crate::error::StorageError;
use crate::shard::Shard;

impl Inner {
    /// Removes all series of a shard that have no samples. Writes wait for a step at a time.
    pub(super) fn forget(&self, shard: &Shard) -> Result<(), StorageError> {
        loop {
            let removed = shard.forget(|| {
                let held = self.references.write().unwrap_or_else(PoisonError::into_inner);
                let drained = self.committer.drain();
                self.known.write().unwrap_or_else(PoisonError::into_inner).clear();
                drained.then_some(held)
            })?;
            if removed == 0 {
                return Ok(());
            }
            self.series.fetch_sub(removed as usize, Ordering::Relaxed);
        }
    }
}
