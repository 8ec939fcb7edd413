//! Series that have no samples any more leave the index and the catalog.
//!
//! The catalog goes first, so that a crash never leaves one series under two references.

use std::sync::atomic::Ordering;

use roaring::RoaringBitmap;

use super::Shard;
use crate::catalog::{Catalog, Publication};
use crate::chunk_file::ChunkFileError;
use crate::error::StorageError;

/// Series removed at once: writes wait for as many.
const AT_ONCE: usize = 8192;
/// References they may lie apart: each of the catalog's blocks between them is rewritten.
const APART_MAX: u32 = 1 << 16;

impl Shard {
    /// May there be series without samples, since the last time this was asked?
    pub fn forgetting_is_due(&self) -> bool {
        self.forget_due.swap(false, Ordering::Relaxed)
    }

    /// Samples went, or a reference was given out and not used.
    pub fn forget_soon(&self) {
        self.forget_due.store(true, Ordering::Relaxed);
    }

    /// Removes series without samples; returns how many. `hold_writes` must make sure that, until
    /// the guard is dropped, no write is between looking up a reference and being applied; it is
    /// asked once for each step. `None`: not now.
    pub fn forget<G>(&self, hold_writes: impl Fn() -> Option<G>) -> Result<u64, StorageError> {
        // Held throughout: no sample moves from memory to a file meanwhile.
        let mut maintenance = self.maintenance();
        if maintenance.pending.is_some() {
            return Ok(0);
        }
        let mut removed = 0;
        for idle in steps(&self.idle_series()?) {
            let Some(_held) = hold_writes() else { break };
            removed += self.remove(&mut maintenance.catalog, idle)?;
        }
        if removed > 0 {
            let Some(_held) = hold_writes() else { return Ok(removed) };
            removed += self.remove(&mut maintenance.catalog, self.undefined())?;
            // Whatever has a reference is defined now, or never will be.
            self.all_are_defined();
        }
        Ok(removed)
    }

    /// Removes those of the series that still have no samples.
    fn remove(&self, catalog: &mut Catalog, idle: RoaringBitmap) -> Result<u64, StorageError> {
        let idle = idle - self.occupied();
        if idle.is_empty() {
            return Ok(0);
        }
        let publication = Publication { removed_series: Some(&idle), ..Publication::default() };
        catalog.publish(publication)?;
        self.index_mut().remove(&idle);
        self.metrics.series_removed.add(idle.len());
        Ok(idle.len())
    }

    /// Series without samples. Reads all files' directories.
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
        Ok(self.index().all() - held)
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

/// The series in portions that may be removed at once.
fn steps(series: &RoaringBitmap) -> impl Iterator<Item = RoaringBitmap> {
    let mut rest = series.iter().peekable();
    std::iter::from_fn(move || {
        let first = *rest.peek()?;
        let near = |one: &u32| one - first < APART_MAX;
        Some(std::iter::from_fn(|| rest.next_if(near)).take(AT_ONCE).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_small_near_and_leave_nothing_out() {
        let series: RoaringBitmap = (0..20_000).chain((30_000..4_000_000).step_by(100)).collect();
        let all: Vec<RoaringBitmap> = steps(&series).collect();
        assert!(all.iter().all(|step| step.len() <= AT_ONCE as u64));
        let apart = |step: &RoaringBitmap| Some(step.max()? - step.min()?);
        assert!(all.iter().all(|step| apart(step).is_some_and(|apart| apart < APART_MAX)));
        assert_eq!(all.iter().map(RoaringBitmap::len).sum::<u64>(), series.len());
        assert_eq!(all.into_iter().fold(RoaringBitmap::new(), |sum, step| sum | step), series);
    }
}
