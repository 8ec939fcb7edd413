//! A shard's chunk files at one moment: replaced as a whole, never changed.

use std::cell::RefCell;
use std::sync::Arc;

use metricstor_model::{Samples, SelectError, TimeRange};

use crate::chunk_file::{ChunkFile, ChunkFileError, Scratch};
use crate::head::History;
use crate::metrics::Metrics;
use crate::settle::settle;

/// Scratch buffers a thread keeps: one for each file that a series is usually spread over.
const SCRATCHES: usize = 8;

thread_local! {
    static SCRATCH: RefCell<[Scratch; SCRATCHES]> = RefCell::default();
}

/// Chunk files in the order of their first sample.
pub(crate) struct FileSet {
    files: Vec<Arc<ChunkFile>>,
    metrics: Arc<Metrics>,
}

impl FileSet {
    pub fn new(mut files: Vec<Arc<ChunkFile>>, metrics: Arc<Metrics>) -> Self {
        files.sort_by_key(|f| (f.range().start, f.range().end));
        Self { files, metrics }
    }

    /// This set with some files replaced by others.
    pub fn replace(&self, removed: &[String], added: Vec<Arc<ChunkFile>>) -> Self {
        let kept = self.files.iter().filter(|f| !removed.iter().any(|n| *n == name(f)));
        let files = kept.cloned().chain(added).collect();
        Self::new(files, self.metrics.clone())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<ChunkFile>> {
        self.files.iter()
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

    /// Does any file reach into `range`?
    pub fn overlaps(&self, range: TimeRange) -> bool {
        self.files.iter().any(|f| f.range().overlaps(range))
    }

    /// Appends a series' samples inside `range`, sorted and unique.
    pub fn read(
        &self,
        series: u32,
        range: TimeRange,
        out: &mut Samples,
    ) -> Result<(), SelectError> {
        for (i, file) in self.files.iter().enumerate().filter(|(_, f)| f.range().overlaps(range)) {
            let start = out.len();
            with_scratch(i, |scratch| file.read(series, range, out, scratch))
                .map_err(|error| self.select_error(&error))?;
            settle(out, start);
        }
        Ok(())
    }

    /// May a series have samples inside `range`? Looks at directories only.
    pub fn may_hold(&self, series: u32, range: TimeRange) -> bool {
        let mut files = self.files.iter().enumerate().filter(|(_, f)| f.range().overlaps(range));
        // A damaged directory page is reported by the read that follows.
        files.any(|(i, f)| with_scratch(i, |scratch| f.contains(series, scratch)).unwrap_or(true))
    }

    fn select_error(&self, error: &ChunkFileError) -> SelectError {
        match error {
            ChunkFileError::Io { .. } => SelectError::Failed(error.to_string()),
            _ => {
                self.metrics.damaged_blocks.add(1);
                tracing::error!(%error, "a chunk file is damaged");
                SelectError::Damaged(error.to_string())
            }
        }
    }
}

/// A file's name in its folder.
pub(super) fn name(file: &ChunkFile) -> &str {
    file.path().file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// The calling thread's buffers for the file at position `i` of its set.
fn with_scratch<T>(i: usize, read: impl FnOnce(&mut Scratch) -> T) -> T {
    SCRATCH.with_borrow_mut(|all| read(&mut all[i % SCRATCHES]))
}

impl History for FileSet {
    fn end(&self) -> i64 {
        self.range().map_or(i64::MIN, |range| range.end)
    }

    fn read(&self, series: u32, range: TimeRange, out: &mut Samples) {
        if let Err(error) = FileSet::read(self, series, range, out) {
            tracing::error!(series, %error, "a late sample could not be compared with stored ones");
            out.clear();
        }
    }
}
