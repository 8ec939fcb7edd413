//! A shard's chunk files at one moment: replaced as a whole, never changed.

use std::cell::RefCell;
use std::sync::Arc;

use metricstor_model::{Need, Room, Samples, SelectError, TimeRange};
use roaring::RoaringBitmap;

use crate::chunk_file::{
    BlockCache, ChunkFile, ChunkFileError, Exemplars, Needed, Scratch, SeriesKey,
};
use crate::metrics::Metrics;
use crate::quarantine::Quarantine;
use crate::settle::settle;
use crate::tombstone::{Tombstone, hide};

/// Scratch buffers a thread keeps: one for each file that a few shards' series are usually spread over.
const SCRATCHES: usize = 8;

thread_local! {
    static SCRATCH: RefCell<[Scratch; SCRATCHES]> = RefCell::default();
}

/// Chunk files in the order of their first sample, and what is deleted of them.
pub(crate) struct FileSet {
    files: Vec<Arc<ChunkFile>>,
    /// Of each file the times that no other one has samples of; possibly none, and then reversed.
    own: Vec<TimeRange>,
    /// In the order of their positions.
    tombstones: Vec<Arc<Tombstone>>,
    cache: Arc<BlockCache>,
    metrics: Arc<Metrics>,
    quarantine: Arc<Quarantine>,
}

impl FileSet {
    pub fn new(
        mut files: Vec<Arc<ChunkFile>>,
        tombstones: Vec<Arc<Tombstone>>,
        cache: Arc<BlockCache>,
        metrics: Arc<Metrics>,
        quarantine: Arc<Quarantine>,
    ) -> Self {
        files.sort_by_key(|f| (f.range().start, f.range().end));
        let own = own_times(&files);
        Self { files, own, tombstones, cache, metrics, quarantine }
    }

    fn with(&self, files: Vec<Arc<ChunkFile>>, tombstones: Vec<Arc<Tombstone>>) -> Self {
        let (metrics, quarantine) = (self.metrics.clone(), self.quarantine.clone());
        Self::new(files, tombstones, self.cache.clone(), metrics, quarantine)
    }

    /// This set with some files replaced by others, also by those of the same name.
    pub fn replace(&self, removed: &[String], added: Vec<Arc<ChunkFile>>) -> Self {
        let is_added = |file: &ChunkFile| added.iter().any(|new| name(new) == name(file));
        let is_removed = |file: &ChunkFile| removed.iter().any(|n| *n == name(file));
        let kept = self.files.iter().filter(|f| !is_removed(f) && !is_added(f));
        let files = kept.cloned().chain(added.iter().cloned()).collect();
        self.with(files, self.tombstones.clone())
    }

    /// This set with one more deletion.
    pub fn delete(&self, tombstone: Arc<Tombstone>) -> Self {
        let tombstones = self.tombstones.iter().cloned().chain([tombstone]).collect();
        self.with(self.files.clone(), tombstones)
    }

    /// This set without the deletions at these positions.
    pub fn without_tombstones(&self, dropped: &[u64]) -> Self {
        let kept = self.tombstones.iter().filter(|t| !dropped.contains(&t.position));
        self.with(self.files.clone(), kept.cloned().collect())
    }

    pub fn tombstones(&self) -> &[Arc<Tombstone>] {
        &self.tombstones
    }

    /// Does the file hold samples or exemplars that this deletion hides? `keys` are those of its series.
    pub fn is_touched(
        &self,
        file: &ChunkFile,
        tombstone: &Tombstone,
        keys: &[SeriesKey],
    ) -> Result<bool, ChunkFileError> {
        if tombstone.position <= file.meta().position || !tombstone.range.overlaps(file.range()) {
            return Ok(false);
        }
        let mut scratch = Scratch::default();
        for key in keys {
            if file.contains_in(*key, tombstone.range, &mut scratch)? {
                return Ok(true);
            }
        }
        let mut exemplars = Exemplars::new();
        let covered = |series| tombstone.series.contains(series);
        file.exemplars(tombstone.range, covered, &mut exemplars)?;
        Ok(!exemplars.is_empty())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<ChunkFile>> {
        self.files.iter()
    }

    /// The file of this name.
    pub fn find(&self, wanted: &str) -> Option<&Arc<ChunkFile>> {
        self.files.iter().find(|file| name(file) == wanted)
    }

    pub fn len(&self) -> usize {
        self.files.len()
    }

    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.size()).sum()
    }

    pub fn samples(&self) -> u64 {
        self.files.iter().map(|f| f.samples()).sum()
    }

    pub fn range(&self) -> Option<TimeRange> {
        let start = self.files.iter().map(|f| f.range().start).min()?;
        let end = self.files.iter().map(|f| f.range().end).max()?;
        Some(TimeRange::new(start, end))
    }

    /// Appends a series' samples inside `range`, sorted and unique.
    pub fn read(
        &self,
        key: SeriesKey,
        range: TimeRange,
        out: &mut Samples,
    ) -> Result<(), SelectError> {
        self.read_needed(key, range, Need::Every, None, &mut |_| true, out)
    }

    /// As [`FileSet::read`], what is needed of them; `in_memory` are the times of what is not in files.
    pub fn read_needed(
        &self,
        key: SeriesKey,
        range: TimeRange,
        need: Need,
        in_memory: Option<TimeRange>,
        room: Room<'_>,
        out: &mut Samples,
    ) -> Result<(), SelectError> {
        let (mut asked, mut is_left) = (0, true);
        let has_room = &mut |read: &Samples| {
            if read.len() > 2 * asked {
                (asked, is_left) = (read.len(), room(read));
            }
            is_left
        };
        for (file, own) in self.files.iter().zip(&self.own) {
            if !file.range().overlaps(range) {
                continue;
            }
            let start = out.len();
            // What another place may hide, replace or repeat is looked at sample by sample.
            let alone = self.tombstones.is_empty() && !in_memory.is_some_and(|m| m.overlaps(*own));
            let need = if alone { Needed::of_chunks(need, *own) } else { Needed::EVERY };
            self.with_scratch(file, |scratch| {
                file.read_needed(key, range, need, has_room, out, scratch)
            })
            .map_err(|error| self.select_error(&error))?;
            if !has_room(out) {
                return Err(SelectError::Cancelled);
            }
            hide(&self.tombstones, key.series, file.meta().position, out, start);
            settle(out, start);
        }
        Ok(())
    }

    /// Adds the exemplars inside `range` of the `wanted` series.
    pub fn exemplars(
        &self,
        range: TimeRange,
        wanted: &RoaringBitmap,
        out: &mut Exemplars,
    ) -> Result<(), SelectError> {
        for file in self.files.iter().filter(|file| file.range().overlaps(range)) {
            let mut found = Exemplars::new();
            file.exemplars(range, |series| wanted.contains(series), &mut found)
                .map_err(|error| self.select_error(&error))?;
            for (series, exemplars) in found {
                let column = out.entry(series).or_default();
                for exemplar in exemplars {
                    if !self.hides(file, series, exemplar.timestamp) {
                        exemplar.insert_into(column);
                    }
                }
            }
        }
        Ok(())
    }

    /// Is what the file has of a series at a time deleted?
    pub fn hides(&self, file: &ChunkFile, series: u32, time: i64) -> bool {
        let logged = file.meta().position;
        self.tombstones.iter().any(|t| t.range.contains(time) && t.covers(series, logged))
    }

    /// Takes away the series that may have samples inside `range` in some file. Looks at no samples.
    pub fn subtract_held(&self, series: &mut RoaringBitmap, range: TimeRange) {
        for file in self.files.iter().filter(|file| file.range().overlaps(range)) {
            // A damaged directory page is reported by the read that follows.
            let Ok(held) = file.series_set() else { return series.clear() };
            let mut held = &*series & &*held;
            for tombstone in self.tombstones.iter().filter(|t| hides_all(t, file, range)) {
                held -= &tombstone.series;
            }
            *series -= held;
        }
    }

    /// Puts a damaged place into quarantine.
    pub fn report(&self, error: &ChunkFileError) {
        if self.quarantine.note(error) {
            tracing::error!(%error, "a chunk file is damaged: what it holds there cannot be read");
        }
    }

    /// Is no place of the file known to be damaged?
    pub fn is_sound(&self, file: &ChunkFile) -> bool {
        !self.quarantine.has(file.path())
    }

    /// Reads with the calling thread's buffers for this file.
    fn with_scratch<T>(&self, file: &ChunkFile, read: impl FnOnce(&mut Scratch) -> T) -> T {
        SCRATCH.with_borrow_mut(|all| {
            let scratch = &mut all[file.id() as usize % SCRATCHES];
            scratch.look_into(&self.cache);
            read(scratch)
        })
    }

    fn select_error(&self, error: &ChunkFileError) -> SelectError {
        match error {
            ChunkFileError::Io { .. } => SelectError::Failed(error.to_string()),
            _ => {
                self.metrics.damaged_reads.add(1);
                self.report(error);
                SelectError::Damaged(error.to_string())
            }
        }
    }
}

/// Of each file, sorted by their beginnings, the times that no other one has samples of.
fn own_times(files: &[Arc<ChunkFile>]) -> Vec<TimeRange> {
    let mut before = i64::MIN;
    let mut own = Vec::with_capacity(files.len());
    for (i, file) in files.iter().enumerate() {
        let TimeRange { start, end } = file.range();
        let next = files.get(i + 1).map_or(i64::MAX, |next| next.range().start);
        let alone = (start.max(before.saturating_add(1)), end.min(next.saturating_sub(1)));
        own.push(TimeRange::new(alone.0, alone.1));
        before = before.max(end);
    }
    own
}

/// Does the deletion hide all that the file may have of its series inside `range`?
fn hides_all(tombstone: &Tombstone, file: &ChunkFile, range: TimeRange) -> bool {
    let (start, end) = (range.start.max(file.range().start), range.end.min(file.range().end));
    tombstone.position > file.meta().position
        && tombstone.range.contains(start)
        && tombstone.range.contains(end)
}

/// A file's name in its folder.
pub(crate) fn name(file: &ChunkFile) -> &str {
    file.path().file_name().and_then(|name| name.to_str()).unwrap_or_default()
}
