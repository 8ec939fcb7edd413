//! Series that have no samples any more leave the index and the catalog.
//!
//! The catalog goes first, so that a crash never leaves one series under two references.

use std::sync::atomic::Ordering;

use roaring::RoaringBitmap;

use super::Shard;
use crate::catalog::Publication;
use crate::chunk_file::ChunkFileError;
use crate::error::StorageError;

/// Series removed at once: writes wait for as many.
const AT_ONCE: usize = 1 << 16;

impl Shard {
    /// May there be series without samples, since the last time this was asked?
    pub fn forgetting_is_due(&self) -> bool {
        self.forget_due.swap(false, Ordering::Relaxed)
    }

    /// Samples went, or a reference was given out and not used.
    pub fn forget_soon(&self) {
        self.forget_due.store(true, Ordering::Relaxed);
    }

    /// Removes series without samples, a bounded number; returns how many. `hold_writes` must make
    /// sure that, until the guard is dropped, no write is between looking up a reference and being
    /// applied; `None`: not now.
    pub fn forget<G>(&self, hold_writes: impl FnOnce() -> Option<G>) -> Result<u64, StorageError> {
        // Held throughout: no sample moves from memory to a file meanwhile.
        let mut maintenance = self.maintenance();
        if maintenance.pending.is_some() {
            return Ok(0);
        }
        let idle = self.idle_series()?;
        if idle.is_empty() {
            return Ok(0);
        }
        let Some(_held) = hold_writes() else { return Ok(0) };
        let idle = (idle - self.occupied()) | self.undefined();
        let publication = Publication { removed_series: Some(&idle), ..Publication::default() };
        maintenance.catalog.publish(publication)?;
        let mut index = self.index_mut();
        index.remove(&idle);
        let next = index.next();
        drop(index);
        // Whatever has a reference is defined now, or never will be.
        self.live_mut().head.define_below(next);
        self.defined_below.store(next, Ordering::Release);
        self.metrics.series_removed.add(idle.len());
        Ok(idle.len())
    }

    /// Series without samples, as many as may be removed at once. Reads all files' directories.
    fn idle_series(&self) -> Result<RoaringBitmap, StorageError> {
        let files = self.live().files.clone();
        let mut held = self.occupied();
        for file in files.iter() {
            match file.collect_series(&mut held) {
                Err(error @ ChunkFileError::Damaged { .. }) => {
                    // Who knows which series it holds.
                    files.report(&error);
                    return Ok(RoaringBitmap::new());
                }
                collected => collected?,
            }
        }
        Ok((self.index().all() - held).iter().take(AT_ONCE).collect())
    }

    /// Series that got a reference for a write that was refused.
    fn undefined(&self) -> RoaringBitmap {
        let live = self.live();
        let mut new = self.index().all().clone();
        new.remove_range(..live.head.defined_below());
        new.iter().filter(|series| !live.head.is_defined(*series)).collect()
    }

    /// Series with samples in memory, or whose definition is not in the catalog yet.
    fn occupied(&self) -> RoaringBitmap {
        let live = self.live();
        let mut occupied = live.head.occupied();
        occupied.extend(live.unpublished.iter().copied());
        occupied
    }
}
