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

    /// Asked once in a while: a reference that was given out for a write that was refused, and not used
    /// since, makes the log define all later ones again and again.
    pub fn look_for_unused(&self) {
        let below = self.defined_below.load(Ordering::Acquire);
        let stands = self.defined_before.swap(below, Ordering::Relaxed) == below;
        if stands && below < self.index().next() {
            self.forget_soon();
        }
    }

    /// Removes series without samples, and says of each step how many. `hold_writes` must make sure
    /// that, until the guard is dropped, no write is between looking up a reference and being applied;
    /// it is asked once for each step. `None`: not now.
    pub fn forget<G>(
        &self,
        hold_writes: impl Fn() -> Option<G>,
        note_removed: impl Fn(usize),
    ) -> Result<(), StorageError> {
        // Held throughout: no sample moves from memory to a file meanwhile.
        let mut maintenance = self.maintenance();
        if maintenance.pending.is_some() {
            self.forget_soon();
            return Ok(());
        }
        let mut some_went = false;
        for idle in steps(&self.idle_series()?) {
            let Some(_held) = hold_writes() else { break };
            let removed = self.remove(&mut maintenance.catalog, idle)?;
            note_removed(removed);
            some_went |= removed > 0;
        }
        if some_went {
            let Some(_held) = hold_writes() else { return Ok(()) };
            note_removed(self.remove(&mut maintenance.catalog, self.undefined())?);
            // Whatever has a reference is defined now, or never will be.
            self.all_are_defined();
        }
        Ok(())
    }

    /// Removes those of the series that still have no samples.
    fn remove(&self, catalog: &mut Catalog, idle: RoaringBitmap) -> Result<usize, StorageError> {
        let idle = idle - self.occupied();
        if idle.is_empty() {
            return Ok(0);
        }
        let publication = Publication { removed_series: Some(&idle), ..Publication::default() };
        catalog.publish(publication)?;
        self.index_mut().remove(&idle);
        self.metrics.series_removed.add(idle.len());
        Ok(idle.len() as usize)
    }

    /// Series without samples. Reads all files' directories.
    fn idle_series(&self) -> Result<RoaringBitmap, StorageError> {
        let files = self.live().files.clone();
        let mut held = self.occupied();
        for file in files.iter() {
            match file.series_set() {
                Err(error @ ChunkFileError::Damaged { .. }) => {
                    // Who knows which series it holds.
                    files.report(&error);
                    return Ok(RoaringBitmap::new());
                }
                series => held |= &*series?,
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
    use std::cell::Cell;
    use std::path::Path;
    use std::sync::Arc;

    use metricstor_model::SeriesId;

    use super::*;
    use crate::batch::{Batch, Definition};
    use crate::chunk_file::BlockCache;
    use crate::files::Disk;
    use crate::metrics::Metrics;
    use crate::outcome::WriteOutcome;
    use crate::shard::Opened;

    fn shard(dir: &Path) -> Shard {
        let metrics = Arc::new(Metrics::default());
        let memory = metricstor_memory::Budget::new(1 << 20);
        let cache = Arc::new(BlockCache::new(0, &memory, metrics.clone()));
        let Opened { shard, .. } = Shard::open(dir, 0, Arc::new(Disk), cache, metrics, 0).unwrap();
        shard
    }

    fn break_catalog(dir: &Path) {
        let catalog = rusqlite::Connection::open(dir.join("index.db")).unwrap();
        catalog.execute("ALTER TABLE series_block RENAME TO gone", []).unwrap();
    }

    #[test]
    fn what_is_removed_before_a_failure_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let shard = shard(dir.path());
        for series in [1, 2, 2 * APART_MAX] {
            let name = series.to_string();
            let pairs = || std::iter::once(("name", name.as_str()));
            shard.index_mut().insert(series, SeriesId::of_pairs("", pairs()), pairs());
        }
        let (asked, removed) = (Cell::new(0), Cell::new(0));
        let hold_writes = || {
            if asked.replace(asked.get() + 1) == 1 {
                break_catalog(dir.path());
            }
            Some(())
        };
        shard.forget(hold_writes, |series| removed.set(removed.get() + series)).unwrap_err();
        assert_eq!((removed.get(), shard.index().len()), (2, 1));
    }

    #[test]
    fn while_a_flush_is_unfinished_forgetting_stays_due() {
        let dir = tempfile::tempdir().unwrap();
        let shard = shard(dir.path());
        break_catalog(dir.path());
        shard.live_mut().applied = 1;
        shard.flush().unwrap_err();
        shard.forget_soon();
        assert!(shard.forgetting_is_due());
        shard.forget(|| Some(()), |_| {}).unwrap();
        assert!(shard.forgetting_is_due());
    }

    #[test]
    fn a_reference_that_stays_unused_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let shard = shard(dir.path());
        shard.forgetting_is_due();
        let create = |name| {
            let pairs = || std::iter::once(("name", name));
            shard.index_mut().create(SeriesId::of_pairs("", pairs()), pairs())
        };
        let define = |series| {
            let labels = shard.index().labels(series);
            let labels = labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            let definitions = vec![Definition { series, labels }];
            let batch = Batch { definitions, ..Batch::default() };
            shard.apply(&batch, 1, 0, &mut WriteOutcome::default());
        };
        let one = create("on its way");
        shard.look_for_unused();
        define(one);
        shard.look_for_unused();
        let (unused, next) = (create("refused"), create("next"));
        define(next);
        assert!(!shard.forgetting_is_due() && shard.needs_definition(next));
        shard.look_for_unused();
        assert!(shard.forgetting_is_due());
        shard.forget(|| Some(()), |_| {}).unwrap();
        assert!(!shard.needs_definition(next));
        assert_eq!(shard.index().id(unused), None);
        shard.forgetting_is_due();
        for _ in 0..3 {
            shard.look_for_unused();
            assert!(!shard.forgetting_is_due());
        }
    }

    /// The last process may have ended between what took the samples and the forgetting.
    #[test]
    fn after_a_start_forgetting_is_due() {
        let dir = tempfile::tempdir().unwrap();
        assert!(shard(dir.path()).forgetting_is_due());
    }

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
