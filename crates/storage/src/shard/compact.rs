//! Merging chunk files, leaving out what is deleted or too old, and dropping whole files.
//!
//! All of it works on files that never change, beside writes, reads and flushes; only the swap of the
//! set of files takes the shard's lock, for as long as it takes to replace a pointer. What became of the
//! inputs meanwhile is looked at before anything is published. One merge at a time in a shard.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use metricstor_model::{Samples, StoredExemplar, TimeRange};

use super::file_set::name;
use super::plan::{self, Bounds, Candidate, Plan};
use super::{FileSet, Shard};
use crate::catalog::Publication;
use crate::chunk_file::{
    ChunkFile, ChunkFileError, ChunkFileWriter, ExemplarCursor, FileMeta, FileSummary, Merge,
};
use crate::error::StorageError;
use crate::tombstone::{cut, hide};

/// What merges are made for; times in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Aim {
    pub now: i64,
    /// The oldest time that is kept.
    pub oldest: i64,
    pub bounds: Bounds,
    /// Bytes of the disk that a merge may take.
    pub room: u64,
    /// Bytes of the disk that are left: rewriting what is deleted may take all, for it frees some.
    pub free: u64,
}

impl Shard {
    /// Does one merge if one is due, else rewrites one file that has deleted samples; true when it
    /// did either. What there is no room for waits.
    pub fn compact(&self, aim: Aim) -> Result<bool, StorageError> {
        let mut waits = false;
        let choose = |files: &[Candidate]| {
            let (plan, waiting) = plan::next_within(files, aim.now, aim.bounds, aim.room);
            waits |= waiting;
            plan
        };
        let done = self.merge_planned(aim, choose)? || self.clean_within(aim, &mut waits)?;
        if waits || !done {
            self.note_room(waits, aim.room);
        }
        Ok(done)
    }

    /// Says when merges begin to wait for room, and when they do not any more.
    fn note_room(&self, waits: bool, room: u64) {
        match (self.lacks_room.swap(waits, Ordering::Relaxed), waits) {
            (false, true) => {
                tracing::warn!(shard = self.number, room, "merges wait for space on the disk");
            }
            (true, false) => tracing::info!(shard = self.number, "merges go on: there is space"),
            _ => {}
        }
    }

    /// Merges everything that may share a file, and leaves out everything that is deleted.
    pub fn compact_everything(&self, aim: Aim) -> Result<(), StorageError> {
        while self.merge_planned(aim, |files| plan::everything(files, aim.bounds))? {}
        while self.clean(aim)? {}
        Ok(())
    }

    /// Rewrites one file that has deleted samples; true when there was one. Tombstones that hide
    /// nothing any more are dropped.
    pub fn clean(&self, aim: Aim) -> Result<bool, StorageError> {
        self.clean_within(aim, &mut false)
    }

    /// Notes in `waits` that there is no room for a file that should be rewritten.
    fn clean_within(&self, aim: Aim, waits: &mut bool) -> Result<bool, StorageError> {
        let _merging = self.merging();
        let files = self.live().files.clone();
        // What is damaged may be hidden and readable again from a copy.
        let all_are_sound = files.iter().all(|file| files.is_sound(file));
        let mut done = Vec::new();
        for tombstone in files.tombstones() {
            let mut is_done = all_are_sound;
            let keys = self.by_metric(&tombstone.series.iter().collect::<Vec<_>>());
            for file in files.iter().filter(|file| files.is_sound(file)) {
                let touched = files.is_touched(file, tombstone, &keys);
                if !touched.inspect_err(|error| files.report(error))? {
                    continue;
                }
                if file.size() <= aim.free {
                    let inputs = vec![name(file).to_owned()];
                    let plan = Plan { inputs, level: file.meta().level };
                    self.carry_out(&files, plan, aim)?;
                    return Ok(true);
                }
                (*waits, is_done) = (true, false);
            }
            if is_done {
                done.push(tombstone.position);
            }
        }
        if !done.is_empty() {
            self.drop_tombstones(&files, &done)?;
        }
        Ok(false)
    }

    /// Drops the tombstones at these positions, which hide nothing in `files`.
    fn drop_tombstones(&self, files: &Arc<FileSet>, done: &[u64]) -> Result<(), StorageError> {
        let mut maintenance = self.maintenance();
        // What is frozen may become a file that a tombstone is for, or did since.
        if maintenance.pending.is_some() || !Arc::ptr_eq(files, &self.live().files) {
            return Ok(());
        }
        let publication = Publication { dropped_tombstones: done, ..Publication::default() };
        maintenance.catalog.publish(publication)?;
        let mut live = self.live_mut();
        live.files = Arc::new(live.files.without_tombstones(done));
        live.unpublished_tombstones.retain(|t| !done.contains(&t.position));
        drop(live);
        self.forget_soon();
        Ok(())
    }

    fn merge_planned(
        &self,
        aim: Aim,
        choose: impl FnOnce(&[Candidate]) -> Option<Plan>,
    ) -> Result<bool, StorageError> {
        let _merging = self.merging();
        let files = self.live().files.clone();
        let candidate = |f: &Arc<ChunkFile>| Candidate {
            name: name(f).to_owned(),
            level: f.meta().level,
            range: f.range(),
            size: f.size(),
        };
        let sound = files.iter().filter(|file| files.is_sound(file));
        let candidates: Vec<Candidate> = sound.map(candidate).collect();
        let Some(plan) = choose(&candidates) else { return Ok(false) };
        self.carry_out(&files, plan, aim)?;
        Ok(true)
    }

    fn carry_out(&self, files: &FileSet, plan: Plan, aim: Aim) -> Result<(), StorageError> {
        let started = std::time::Instant::now();
        let merged = self.merge(files, &plan, aim.oldest).inspect_err(|error| {
            if let StorageError::ChunkFile(error) = error {
                // The next plan goes without this file.
                files.report(error);
            }
        })?;
        let open = |file: &FileSummary| {
            ChunkFile::open(&*self.files, &self.chunks_dir.join(&file.name)).map(Arc::new)
        };
        let opened = merged.iter().map(open).collect::<Result<_, _>>()?;
        let mut maintenance = self.maintenance();
        if !self.has_files(&plan.inputs) {
            // Retention was faster; the next plan is made without them.
            return merged.iter().try_for_each(|file| self.discard(&file.name));
        }
        // What comes out may be an input again, byte for byte.
        let is_new = |input: &String| merged.as_ref().is_none_or(|file| file.name != *input);
        let removed: Vec<String> = plan.inputs.into_iter().filter(is_new).collect();
        let (added, removed) = (merged.as_slice(), removed.as_slice());
        maintenance.catalog.publish(Publication { added, removed, ..Publication::default() })?;
        self.swap(removed, opened)?;
        // What was too old may have been all that a series had.
        self.forget_soon();
        self.metrics.compacted_bytes.add(merged.iter().map(|file| file.size).sum());
        self.metrics.compaction.observe(started.elapsed());
        Ok(())
    }

    fn has_files(&self, names: &[String]) -> bool {
        let files = self.live().files.clone();
        names.iter().all(|input| files.find(input).is_some())
    }

    /// Deletes a file that was never published, unless one of the same content was.
    fn discard(&self, name: &String) -> Result<(), StorageError> {
        if self.has_files(std::slice::from_ref(name)) {
            return Ok(());
        }
        let path = self.chunks_dir.join(name);
        self.files.remove(&path).map_err(|e| StorageError::io("remove", &path, e))
    }

    /// The inputs as one file, without what is deleted or older than `oldest`; `None` when nothing
    /// is left.
    fn merge(
        &self,
        files: &FileSet,
        plan: &Plan,
        oldest: i64,
    ) -> Result<Option<FileSummary>, StorageError> {
        let chosen = |f: &&Arc<ChunkFile>| plan.inputs.iter().any(|input| input == name(f));
        let inputs: Vec<&ChunkFile> = files.iter().filter(chosen).map(|f| &**f).collect();
        let logged = inputs.iter().map(|file| file.meta().position);
        // Not beyond what the catalog knows: a copy goes on from there with a log of its own.
        let flushed = self.live().flushed;
        let done = files.tombstones().iter().map(|t| t.position).filter(|at| *at <= flushed);
        let position = logged.chain(done).max();
        let meta = FileMeta {
            position: position.unwrap_or(0),
            ..FileMeta::new(plan.level, u32::from(self.number))
        };
        let expired = TimeRange::new(i64::MIN, oldest.saturating_sub(1));
        let edit = |file: &ChunkFile, series: u32, samples: &mut Samples| {
            hide(files.tombstones(), series, file.meta().position, samples, 0);
            cut(samples, 0, expired);
        };
        let mut writer = ChunkFileWriter::create(&*self.files, &self.chunks_dir, meta)?;
        let mut merge = Merge::new(&inputs, &edit);
        let mut samples = Samples::default();
        while let Some((series, labels)) = merge.next(&mut samples)? {
            if self.stopping.load(Ordering::Relaxed) {
                return Err(StorageError::Stopped);
            }
            writer.add(series, &labels, &samples)?;
        }
        merge_exemplars(&inputs, files, expired.end, &mut writer)?;
        Ok(if writer.is_empty() { None } else { Some(writer.finish()?) })
    }

    /// Deletes the files whose newest sample is older than `oldest`; returns how many.
    pub fn expire(&self, oldest: i64) -> Result<usize, StorageError> {
        self.drop_files(|file| file.range().end < oldest)
    }

    /// The newest timestamp of the file that ends first.
    pub fn oldest_file(&self) -> Option<i64> {
        self.live().files.iter().map(|file| file.range().end).min()
    }

    /// Deletes the files that satisfy `doomed`; returns how many.
    pub fn drop_files(&self, doomed: impl Fn(&ChunkFile) -> bool) -> Result<usize, StorageError> {
        let mut maintenance = self.maintenance();
        let files = self.live().files.clone();
        let doomed = files.iter().filter(|file| doomed(file));
        let removed: Vec<String> = doomed.map(|file| name(file).to_owned()).collect();
        if removed.is_empty() {
            return Ok(0);
        }
        let publication = Publication { removed: &removed, ..Publication::default() };
        maintenance.catalog.publish(publication)?;
        self.swap(&removed, vec![])?;
        self.metrics.chunk_files_expired.add(removed.len() as u64);
        self.forget_soon();
        Ok(removed.len())
    }

    /// Makes a published change visible, then deletes the files that readers no longer find: as many as
    /// can be. Those that read one at this moment keep it open.
    fn swap(&self, removed: &[String], added: Vec<Arc<ChunkFile>>) -> Result<(), StorageError> {
        let mut live = self.live_mut();
        live.files = Arc::new(live.files.replace(removed, added));
        drop(live);
        let mut all = Ok(());
        for name in removed {
            self.quarantine.forget(name);
            let path = self.chunks_dir.join(name);
            match self.files.remove(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), "was deleted by somebody else");
                }
                removed => {
                    all = all.and(removed.map_err(|e| StorageError::io("remove", &path, e)));
                }
            }
        }
        all
    }
}

/// Writes the inputs' exemplars, but those that are deleted or not younger than `expired`.
fn merge_exemplars(
    inputs: &[&ChunkFile],
    files: &FileSet,
    expired: i64,
    writer: &mut ChunkFileWriter<'_>,
) -> Result<(), ChunkFileError> {
    let mut cursors: Vec<_> = inputs.iter().map(|file| ExemplarCursor::new(file)).collect();
    let mut column: Vec<StoredExemplar> = Vec::new();
    loop {
        let mut least = None;
        for cursor in &mut cursors {
            let series = cursor.series()?;
            least = least.into_iter().chain(series).min();
        }
        let Some(series) = least else { return Ok(()) };
        column.clear();
        for (cursor, file) in cursors.iter_mut().zip(inputs) {
            while let Some(exemplar) = cursor.next_of(series)? {
                let time = exemplar.timestamp;
                if time > expired && !files.hides(file, series, time) {
                    exemplar.insert_into(&mut column);
                }
            }
        }
        writer.add_exemplars(series, &column)?;
    }
}
