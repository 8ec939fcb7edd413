//! Reading a chunk file: open checks header, footer and tables; a read checks every block it uses.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metricstor_chunk::body;
use metricstor_model::{Room, Samples, TimeRange};
use roaring::RoaringBitmap;

use super::blocks::{read_at, read_tables};
use super::directory::Entry;
use super::format::{FOOTER_SIZE, FileMeta, Footer, HEADER_SIZE};
use super::key::SeriesKey;
use super::needed::Needed;
use super::scratch::Scratch;
use super::tables::Tables;
use super::{ChunkFileError, DECODED_HISTOGRAMS_SIZE_MAX};
use crate::files::{File, Files};

/// An open chunk file; shared by any number of readers.
pub struct ChunkFile {
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn File>,
    /// In bytes.
    pub(super) size: u64,
    pub(super) meta: FileMeta,
    pub(super) footer: Footer,
    pub(super) tables: Tables,
    /// Tells the files of this process apart, for `Scratch`.
    pub(super) id: u64,
}

/// The samples of a chunk that a read wants.
struct Wanted {
    entry: Entry,
    /// Samples in the chunk.
    count: usize,
    range: Range<usize>,
}

impl ChunkFile {
    /// Opens and verifies what stays in memory (three quarters of a byte per chunk); directory pages
    /// and blocks are verified when they are read.
    pub fn open(files: &dyn Files, path: &Path) -> Result<Self, ChunkFileError> {
        static IDS: AtomicU64 = AtomicU64::new(1);
        let io = |error| ChunkFileError::io(path, error);
        let file = files.open(path).map_err(io)?;
        let size = file.len().map_err(io)?;
        if size < (HEADER_SIZE + FOOTER_SIZE) as u64 {
            return Err(ChunkFileError::damaged(path, size, "too short for a chunk file"));
        }
        let mut header = [0; HEADER_SIZE];
        read_at(&*file, path, &mut header, 0)?;
        let meta = FileMeta::read(&header, path)?;
        let mut footer = [0; FOOTER_SIZE];
        read_at(&*file, path, &mut footer, size - FOOTER_SIZE as u64)?;
        let footer = Footer::read(&footer, size, path)?;
        let tables = read_tables(&*file, path, &meta, &footer, size)?;
        let id = IDS.fetch_add(1, Ordering::Relaxed);
        Ok(Self { path: path.to_owned(), file, size, meta, footer, tables, id })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name without what says that it is a chunk file: the hash of the bytes.
    pub fn name(&self) -> String {
        self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// In bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Tells the files of this process apart.
    pub fn id(&self) -> u64 {
        self.id
    }

    pub fn meta(&self) -> FileMeta {
        self.meta
    }

    /// The first and last timestamp of all samples.
    pub fn range(&self) -> TimeRange {
        self.footer.range
    }

    pub fn series(&self) -> u64 {
        self.footer.series
    }

    pub fn chunks(&self) -> u64 {
        self.footer.chunks
    }

    pub fn samples(&self) -> u64 {
        self.footer.samples
    }

    /// The bytes of memory that the open file takes.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.tables.size()
    }

    /// Does the file hold samples of the series?
    pub fn contains(&self, key: SeriesKey, scratch: &mut Scratch) -> Result<bool, ChunkFileError> {
        if let Some(series) = &self.tables.series {
            return Ok(series.contains(key.series));
        }
        let mut found = false;
        self.for_chunks(key, scratch, |_, _| {
            found = true;
            Ok(false)
        })?;
        Ok(found)
    }

    /// The references of all series of the file.
    pub fn series_set(&self) -> Result<Cow<'_, RoaringBitmap>, ChunkFileError> {
        match &self.tables.series {
            Some(series) => Ok(Cow::Borrowed(series)),
            None => self.series_of_directory().map(Cow::Owned),
        }
    }

    pub(super) fn series_of_directory(&self) -> Result<RoaringBitmap, ChunkFileError> {
        let mut all = RoaringBitmap::new();
        let mut scratch = Scratch::default();
        scratch.belong_to(self);
        for page in 0..self.tables.directory.len() {
            let entries = self.entries(page, &mut scratch)?;
            all.extend(entries.iter().map(|entry| entry.key.series));
        }
        Ok(all)
    }

    /// Does the file hold samples of the series inside `range`? Decodes no values.
    pub fn contains_in(
        &self,
        key: SeriesKey,
        range: TimeRange,
        scratch: &mut Scratch,
    ) -> Result<bool, ChunkFileError> {
        let mut found = false;
        let mut times = Samples::default();
        self.for_chunks(key, scratch, |entry, scratch| {
            let overlap = self.timestamps(entry, range, &mut times, scratch)?;
            found = !times.is_empty();
            Ok(!found && !matches!(overlap, Overlap::After))
        })?;
        Ok(found)
    }

    /// Appends the samples of a series inside `range` to `out`, in time order.
    ///
    /// Decodes only the blocks that overlap. On an error `out` is as before.
    pub fn read(
        &self,
        key: SeriesKey,
        range: TimeRange,
        out: &mut Samples,
        scratch: &mut Scratch,
    ) -> Result<(), ChunkFileError> {
        self.read_needed(key, range, Needed::EVERY, &mut |_| true, out, scratch)
    }

    /// As [`ChunkFile::read`], what is needed of them, as long as there is `room`.
    pub fn read_needed(
        &self,
        key: SeriesKey,
        range: TimeRange,
        needed: Needed,
        room: Room<'_>,
        out: &mut Samples,
        scratch: &mut Scratch,
    ) -> Result<(), ChunkFileError> {
        if !range.overlaps(self.footer.range) {
            return Ok(());
        }
        let before = Lengths::of(out);
        let needed = needed.inside(range);
        let read = self.for_chunks(key, scratch, |entry, scratch| {
            if let Some(needed) = needed
                && self.stand_in(&entry, needed, out, scratch)?
            {
                return Ok(true);
            }
            match self.timestamps(entry, range, out, scratch)? {
                Overlap::Before => Ok(true),
                Overlap::After => Ok(false),
                Overlap::Inside(wanted) => {
                    self.body(&wanted, out, scratch)?;
                    Ok(room(out))
                }
            }
        });
        if read.is_err() {
            before.restore(out);
        }
        read
    }

    /// Appends the samples of a series from a time on, of so many chunks at most; returns where the next
    /// one begins.
    pub fn read_some(
        &self,
        key: SeriesKey,
        from: i64,
        mut chunks: usize,
        out: &mut Samples,
        scratch: &mut Scratch,
    ) -> Result<Option<i64>, ChunkFileError> {
        let range = TimeRange::new(from, i64::MAX);
        let mut next = None;
        self.for_chunks(key, scratch, |entry, scratch| {
            if chunks == 0 {
                next = Some(self.column(&entry, scratch)?.first);
                return Ok(false);
            }
            if let Overlap::Inside(wanted) = self.timestamps(entry, range, out, scratch)? {
                self.body(&wanted, out, scratch)?;
                chunks -= 1;
            }
            Ok(true)
        })?;
        Ok(next)
    }

    /// The last sample of a series: its timestamp and value (meaningless beside a histogram).
    pub fn last_sample(
        &self,
        key: SeriesKey,
        scratch: &mut Scratch,
    ) -> Result<Option<(i64, f64)>, ChunkFileError> {
        let mut last = None;
        self.for_chunks(key, scratch, |entry, _| {
            last = Some(entry);
            Ok(true)
        })?;
        let Some(entry) = last else { return Ok(None) };
        let column = self.column(&entry, scratch)?;
        let end = column.last;
        let mut out = Samples::default();
        let wanted = Wanted { entry, count: column.count, range: column.count - 1..column.count };
        self.body(&wanted, &mut out, scratch)?;
        Ok(out.values.first().map(|&value| (end, value)))
    }

    /// Hands over the series' chunks in time order until the visitor has enough (`false`).
    fn for_chunks(
        &self,
        key: SeriesKey,
        scratch: &mut Scratch,
        mut visit: impl FnMut(Entry, &mut Scratch) -> Result<bool, ChunkFileError>,
    ) -> Result<(), ChunkFileError> {
        scratch.belong_to(self);
        if self.tables.series.as_ref().is_some_and(|series| !series.contains(key.series)) {
            return Ok(());
        }
        let key = key.in_version(self.meta.version);
        let pages = &self.tables.directory;
        let mut page = self.tables.directory_page(key, scratch.open.unwrap_or(0));
        while pages.get(page).is_some_and(|page| page.first <= key) {
            let entries = self.entries(page, scratch)?;
            let first = entries.partition_point(|entry| entry.key < key);
            for i in first.. {
                // The visitor never touches the directory page.
                match scratch.page.get(i).copied() {
                    Some(entry) if entry.key == key => {
                        if !visit(entry, scratch)? {
                            return Ok(());
                        }
                    }
                    Some(_) => return Ok(()),
                    None => break,
                }
            }
            page += 1;
        }
        Ok(())
    }

    /// Appends the chunk's timestamps inside `range`.
    fn timestamps(
        &self,
        entry: Entry,
        range: TimeRange,
        out: &mut Samples,
        scratch: &mut Scratch,
    ) -> Result<Overlap, ChunkFileError> {
        let column = self.column(&entry, scratch)?;
        if column.last < range.start {
            return Ok(Overlap::Before);
        }
        if column.first > range.end {
            return Ok(Overlap::After);
        }
        let timestamps = self.decoded_column(&entry, column.count, scratch)?;
        let start = timestamps.partition_point(|&t| t < range.start);
        let end = timestamps.partition_point(|&t| t <= range.end);
        out.timestamps.extend_from_slice(&timestamps[start..end]);
        Ok(Overlap::Inside(Wanted { entry, count: column.count, range: start..end }))
    }

    fn body(
        &self,
        wanted: &Wanted,
        out: &mut Samples,
        scratch: &mut Scratch,
    ) -> Result<(), ChunkFileError> {
        if wanted.range.is_empty() {
            return Ok(());
        }
        let block = self.block(&wanted.entry, scratch)?;
        let range = wanted.range.clone();
        body::decode(block, wanted.count, range, DECODED_HISTOGRAMS_SIZE_MAX, out)
            .map_err(|error| self.damaged_block(&wanted.entry, error))
    }
}

enum Overlap {
    Before,
    After,
    Inside(Wanted),
}

/// The lengths of `Samples`, to undo a read that failed half way.
struct Lengths {
    samples: usize,
    histograms: usize,
    start_timestamps: usize,
    left_out: usize,
}

impl Lengths {
    fn of(samples: &Samples) -> Self {
        Self {
            samples: samples.timestamps.len(),
            histograms: samples.histograms.len(),
            start_timestamps: samples.start_timestamps.len(),
            left_out: samples.left_out,
        }
    }

    fn restore(&self, samples: &mut Samples) {
        samples.timestamps.truncate(self.samples);
        samples.values.truncate(self.samples);
        samples.histograms.truncate(self.histograms);
        samples.start_timestamps.truncate(self.start_timestamps);
        samples.left_out = self.left_out;
    }
}
