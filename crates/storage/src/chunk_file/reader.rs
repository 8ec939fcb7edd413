//! Reading a chunk file: open checks header, footer and tables; a read checks every block it uses.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metricstor_chunk::timestamps::{self, Summary};
use metricstor_chunk::{DecodeError, Input, Stats, body};
use metricstor_model::{Samples, TimeRange};

use super::directory::{Entry, read_page};
use super::format::{CHECKSUM_SIZE, FOOTER_SIZE, FileMeta, Footer, HEADER_SIZE, checked};
use super::scratch::Scratch;
use super::tables::Tables;
use super::{BLOCK_SIZE_MAX, CHUNK_SAMPLES_MAX, ChunkFileError, DECODED_HISTOGRAMS_SIZE_MAX};
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
    id: u64,
}

/// The samples of a chunk that a read wants.
struct Wanted {
    entry: Entry,
    /// Samples in the chunk.
    count: usize,
    range: Range<usize>,
}

impl ChunkFile {
    /// Opens and verifies what stays in memory (about a quarter byte per chunk); directory pages
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
        let tables = read_tables(&*file, path, &footer, size)?;
        let id = IDS.fetch_add(1, Ordering::Relaxed);
        Ok(Self { path: path.to_owned(), file, size, meta, footer, tables, id })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// In bytes.
    pub fn size(&self) -> u64 {
        self.size
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

    pub fn samples(&self) -> u64 {
        self.footer.samples
    }

    /// The bytes of memory that the open file takes.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.tables.size()
    }

    /// Does the file hold samples of the series?
    pub fn contains(&self, series: u32, scratch: &mut Scratch) -> Result<bool, ChunkFileError> {
        let mut found = false;
        self.for_chunks(series, scratch, |_, _| {
            found = true;
            Ok(false)
        })?;
        Ok(found)
    }

    /// Appends the samples of a series inside `range` to `out`, in time order.
    ///
    /// Decodes only the blocks that overlap. On an error `out` is as before.
    pub fn read(
        &self,
        series: u32,
        range: TimeRange,
        out: &mut Samples,
        scratch: &mut Scratch,
    ) -> Result<(), ChunkFileError> {
        if !range.overlaps(self.footer.range) {
            return Ok(());
        }
        let before = Lengths::of(out);
        let read = self.for_chunks(series, scratch, |entry, scratch| {
            match self.timestamps(entry, range, out, scratch)? {
                Overlap::Before => Ok(true),
                Overlap::After => Ok(false),
                Overlap::Inside(wanted) => self.body(&wanted, out, scratch).map(|()| true),
            }
        });
        if read.is_err() {
            before.restore(out);
        }
        read
    }

    /// The last sample of a series: its timestamp and value (meaningless beside a histogram).
    pub fn last_sample(
        &self,
        series: u32,
        scratch: &mut Scratch,
    ) -> Result<Option<(i64, f64)>, ChunkFileError> {
        let mut last = None;
        self.for_chunks(series, scratch, |entry, _| {
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

    /// The time range and aggregates of each chunk of a series, without decoding long chunks;
    /// a chunk with NaN, staleness markers or histograms has no aggregates.
    pub fn stats(
        &self,
        series: u32,
        scratch: &mut Scratch,
    ) -> Result<Vec<(TimeRange, Option<Stats>)>, ChunkFileError> {
        let mut all = Vec::new();
        self.for_chunks(series, scratch, |entry, scratch| {
            let column = self.column(&entry, scratch)?;
            let block = self.block(&entry, scratch)?;
            let stats = body::stats(block, column.count);
            let stats = stats.map_err(|error| self.damaged_block(&entry, error))?;
            all.push((TimeRange::new(column.first, column.last), stats));
            Ok(true)
        })?;
        Ok(all)
    }

    /// Hands over the series' chunks in time order until the visitor has enough (`false`).
    fn for_chunks(
        &self,
        series: u32,
        scratch: &mut Scratch,
        mut visit: impl FnMut(Entry, &mut Scratch) -> Result<bool, ChunkFileError>,
    ) -> Result<(), ChunkFileError> {
        scratch.belong_to(self.id);
        let pages = &self.tables.directory;
        let mut page = self.tables.directory_page(series);
        while pages.get(page).is_some_and(|page| page.first <= series) {
            self.load_page(page, scratch)?;
            let first = scratch.entries.partition_point(|entry| entry.series < series);
            for i in first.. {
                match scratch.entries.get(i).copied() {
                    // The visitor never touches the directory page.
                    Some(entry) if entry.series == series => {
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

    /// Makes `scratch.entries` the entries of a directory page.
    pub(super) fn load_page(
        &self,
        index: usize,
        scratch: &mut Scratch,
    ) -> Result<(), ChunkFileError> {
        if scratch.page == Some(index) {
            return Ok(());
        }
        scratch.page = None;
        let page = self.tables.directory[index];
        let mut bytes = vec![0; page.size as usize + CHECKSUM_SIZE];
        read_at(&*self.file, &self.path, &mut bytes, page.offset)?;
        let damaged = |what: &str| ChunkFileError::damaged(&self.path, page.offset, what);
        let content = checked(&bytes).ok_or_else(|| damaged("directory checksum"))?;
        read_page(content, &mut scratch.entries).map_err(|error| damaged(&error.to_string()))?;
        scratch.page = Some(index);
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

    /// The chunk's timestamps, from the cache or decoded into it.
    pub(super) fn decoded_column<'s>(
        &self,
        entry: &Entry,
        count: usize,
        scratch: &'s mut Scratch,
    ) -> Result<&'s [i64], ChunkFileError> {
        let Scratch { pages, columns, .. } = scratch;
        columns.get(entry.column, |timestamps| {
            let (offset, bytes) = self.column_bytes(entry, pages)?;
            timestamps::decode(bytes, CHUNK_SAMPLES_MAX, 0..count, timestamps)
                .map_err(|error| self.damaged_column(offset, entry, error))
        })
    }

    pub(super) fn column(
        &self,
        entry: &Entry,
        scratch: &mut Scratch,
    ) -> Result<Summary, ChunkFileError> {
        let (offset, bytes) = self.column_bytes(entry, &mut scratch.pages)?;
        match Summary::read(bytes, CHUNK_SAMPLES_MAX) {
            Ok(summary) if summary.count > 0 => Ok(summary),
            Ok(_) => Err(self.damaged_column(offset, entry, "no timestamps")),
            Err(error) => Err(self.damaged_column(offset, entry, error)),
        }
    }

    /// The offset and the verified bytes of the chunk's column.
    fn column_bytes<'w>(
        &self,
        entry: &Entry,
        window: &'w mut super::window::Window,
    ) -> Result<(u64, &'w [u8]), ChunkFileError> {
        /// Most columns are shorter: one call reads size and column.
        const GUESS: u64 = 1024;
        let address = entry.column as u64;
        let page = self.tables.column_page(address).ok_or_else(|| {
            self.damaged_column(self.footer.directory, entry, "no such column address")
        })?;
        let offset = page.offset + (address - page.address);
        let rest = page.size - (address - page.address);
        let limit = self.footer.directory;
        let io = |error| ChunkFileError::read(&self.path, offset, error);
        let start = window.get(&*self.file, offset, GUESS.min(rest), limit).map_err(io)?;
        let mut input = Input::new(start);
        let size = input
            .count(rest as usize, "size of a column")
            .map_err(|error| self.damaged_column(offset, entry, error))?;
        let prefix = start.len() - input.rest().len();
        let whole = (prefix + size + CHECKSUM_SIZE) as u64;
        if whole > rest {
            return Err(self.damaged_column(offset, entry, DecodeError::Truncated));
        }
        let whole = window.get(&*self.file, offset, whole, limit).map_err(io)?;
        let bytes = checked(&whole[prefix..])
            .ok_or_else(|| self.damaged_column(offset, entry, "timestamps checksum"))?;
        Ok((offset, bytes))
    }

    /// The verified bytes of a block.
    pub(super) fn block<'s>(
        &self,
        entry: &Entry,
        scratch: &'s mut Scratch,
    ) -> Result<&'s [u8], ChunkFileError> {
        let size = entry.size as u64 + CHECKSUM_SIZE as u64;
        let end = entry.offset.checked_add(size);
        if size > BLOCK_SIZE_MAX || end.is_none_or(|end| end > self.footer.directory) {
            return Err(self.damaged_block(entry, "block outside the file's body"));
        }
        let block = scratch.blocks.get(&*self.file, entry.offset, size, self.footer.directory);
        let block = block.map_err(|error| ChunkFileError::read(&self.path, entry.offset, error))?;
        checked(block).ok_or_else(|| self.damaged_block(entry, "block checksum"))
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

    fn damaged_block(&self, entry: &Entry, what: impl std::fmt::Display) -> ChunkFileError {
        let what = format!("series {}: {what}", entry.series);
        ChunkFileError::damaged(&self.path, entry.offset, what)
    }

    fn damaged_column(
        &self,
        offset: u64,
        entry: &Entry,
        what: impl std::fmt::Display,
    ) -> ChunkFileError {
        let what = format!("timestamps of series {}: {what}", entry.series);
        ChunkFileError::damaged(&self.path, offset, what)
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
}

impl Lengths {
    fn of(samples: &Samples) -> Self {
        Self {
            samples: samples.timestamps.len(),
            histograms: samples.histograms.len(),
            start_timestamps: samples.start_timestamps.len(),
        }
    }

    fn restore(&self, samples: &mut Samples) {
        samples.timestamps.truncate(self.samples);
        samples.values.truncate(self.samples);
        samples.histograms.truncate(self.histograms);
        samples.start_timestamps.truncate(self.start_timestamps);
    }
}

fn read_tables(
    file: &dyn File,
    path: &Path,
    footer: &Footer,
    size: u64,
) -> Result<Tables, ChunkFileError> {
    let damaged = |what: &str| ChunkFileError::damaged(path, footer.tables, what);
    let length = size - FOOTER_SIZE as u64 - footer.tables;
    if length > BLOCK_SIZE_MAX {
        return Err(damaged("size of the tables"));
    }
    let mut bytes = vec![0; length as usize];
    read_at(file, path, &mut bytes, footer.tables)?;
    let content = checked(&bytes).ok_or_else(|| damaged("tables checksum"))?;
    Tables::read(content, footer.directory).map_err(|error| damaged(&error.to_string()))
}

pub(super) fn read_at(
    file: &dyn File,
    path: &Path,
    out: &mut [u8],
    offset: u64,
) -> Result<(), ChunkFileError> {
    file.read_exact_at(out, offset).map_err(|error| ChunkFileError::read(path, offset, error))
}
