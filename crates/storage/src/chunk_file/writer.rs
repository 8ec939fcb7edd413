//! Writing a chunk file: series in any order, samples in time order, bytes the same for the same
//! input.

use std::ops::Range;
use std::path::Path;

use metricstor_chunk::body;
use metricstor_model::{Labels, Samples, StoredExemplar, TimeRange};
use roaring::RoaringBitmap;

use super::columns::Columns;
use super::directory::{Entry, PAGE_CHUNKS, put_page};
use super::exemplars::ExemplarWriter;
use super::format::{FOOTER_SIZE, FileMeta, Footer};
use super::key::SeriesKey;
use super::labels::LabelWriter;
use super::output::{Output, Published};
use super::tables::{DirectoryPage, Tables};
use super::{CHUNK_HISTOGRAMS_MAX, CHUNK_HISTOGRAMS_SIZE, CHUNK_SAMPLES_MAX, ChunkFileError};
use crate::files::Files;

/// What a file holds, for the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSummary {
    /// `<sha256>.mc`
    pub name: String,
    pub sha256: [u8; 32],
    /// In bytes.
    pub size: u64,
    pub meta: FileMeta,
    /// First and last timestamp; `start > end` for an empty file.
    pub range: TimeRange,
    pub series: u64,
    pub chunks: u64,
    pub samples: u64,
}

/// A file in the making. Dropped before [`finish`](Self::finish), it leaves nothing behind.
///
/// Memory: 24 bytes per chunk, the distinct columns of timestamps (at most 32 MiB), and buffers.
pub struct ChunkFileWriter<'f> {
    output: Output<'f>,
    meta: FileMeta,
    columns: Columns,
    labels: LabelWriter,
    exemplars: ExemplarWriter,
    entries: Vec<Entry>,
    /// The series that was added last, and its newest timestamp.
    last: Option<(u32, i64)>,
    series: u64,
    samples: u64,
    range: TimeRange,
}

impl<'f> ChunkFileWriter<'f> {
    /// Starts a temporary file in `dir`.
    pub fn create(
        files: &'f dyn Files,
        dir: &Path,
        meta: FileMeta,
    ) -> Result<Self, ChunkFileError> {
        let mut output = Output::create(files, dir, meta)?;
        output.put(|out| out.extend_from_slice(&meta.header()))?;
        Ok(Self {
            output,
            meta,
            columns: Columns::default(),
            labels: LabelWriter::default(),
            exemplars: ExemplarWriter::default(),
            entries: Vec::new(),
            last: None,
            series: 0,
            samples: 0,
            range: TimeRange::new(i64::MAX, i64::MIN),
        })
    }

    /// Adds samples of a series, in time order: each series once, or in parts that follow each other.
    /// No samples: no series.
    ///
    /// Cheapest when neighbours share their timestamps, smallest when they share their labels.
    pub fn add(
        &mut self,
        series: u32,
        labels: &Labels,
        samples: &Samples,
    ) -> Result<(), ChunkFileError> {
        let (Some(&first), Some(&last)) = (samples.timestamps.first(), samples.timestamps.last())
        else {
            return Ok(());
        };
        check(series, samples)?;
        let goes_on = self.last.filter(|(last, _)| *last == series);
        if goes_on.is_some_and(|(_, newest)| first <= newest) {
            return Err(ChunkFileError::MalformedSamples { series });
        }
        let key = SeriesKey::new(series, labels);
        for range in chunks(samples) {
            self.add_chunk(key, samples, range)?;
        }
        if goes_on.is_none() {
            self.labels.add(series, labels, &mut self.output)?;
            self.series += 1;
        }
        self.last = Some((series, last));
        self.samples += samples.len() as u64;
        self.range.start = self.range.start.min(first);
        self.range.end = self.range.end.max(last);
        Ok(())
    }

    fn add_chunk(
        &mut self,
        key: SeriesKey,
        samples: &Samples,
        range: Range<usize>,
    ) -> Result<(), ChunkFileError> {
        let column = self.columns.address(&samples.timestamps[range.clone()], &mut self.output)?;
        let offset = self.output.offset();
        let packing = self.meta.packing();
        let size = self.output.put_checked(|out| {
            body::encode(samples, range, packing, out);
        })?;
        let too_large = |_| ChunkFileError::TooLarge { what: "a chunk", limit: u32::MAX as u64 };
        let size = u32::try_from(size).map_err(too_large)?;
        self.entries.push(Entry { key, column, offset, size });
        Ok(())
    }

    /// Adds a series' exemplars, in time order; series come in ascending order.
    pub fn add_exemplars(
        &mut self,
        series: u32,
        exemplars: &[StoredExemplar],
    ) -> Result<(), ChunkFileError> {
        for exemplar in exemplars {
            self.range.start = self.range.start.min(exemplar.timestamp);
            self.range.end = self.range.end.max(exemplar.timestamp);
        }
        self.exemplars.add(series, exemplars, &mut self.output)
    }

    /// Was nothing added?
    pub fn is_empty(&self) -> bool {
        self.range.start > self.range.end
    }

    /// Completes the file, makes it durable and gives it its name.
    pub fn finish(mut self) -> Result<FileSummary, ChunkFileError> {
        let columns = self.columns.finish(&mut self.output)?;
        let labels = self.labels.finish(&mut self.output)?;
        let (frames, exemplars) = self.exemplars.finish(&mut self.output)?;
        // Stable: the chunks of a series stay in time order.
        self.entries.sort_by_key(|entry| entry.key);
        let series = series(&self.entries);
        if series.len() != self.series {
            return Err(ChunkFileError::DuplicateSeries);
        }
        let start = self.output.offset();
        let (directory, series) = (Vec::new(), Some(series));
        let mut tables = Tables { directory, columns, labels, exemplars: frames, series };
        for entries in self.entries.chunks(PAGE_CHUNKS) {
            let offset = self.output.offset();
            let size = self.output.put_checked(|out| put_page(entries, out))? as u32;
            tables.directory.push(DirectoryPage { first: entries[0].key, offset, size });
        }
        let footer = Footer {
            directory: start,
            tables: self.output.offset(),
            series: self.series,
            chunks: self.entries.len() as u64,
            samples: self.samples,
            range: self.range,
            exemplars,
        };
        self.output.put_checked(|out| tables.put(out))?;
        self.output.put(|out| out.extend_from_slice(&footer.bytes()))?;
        let size = self.output.offset();
        debug_assert!(size >= FOOTER_SIZE as u64);
        let Published { name, sha256 } = self.output.publish()?;
        Ok(FileSummary {
            name,
            sha256,
            size,
            meta: self.meta,
            range: self.range,
            series: footer.series,
            chunks: footer.chunks,
            samples: footer.samples,
        })
    }
}

/// The references of all series.
fn series(entries: &[Entry]) -> RoaringBitmap {
    let mut series: Vec<u32> = entries.iter().map(|entry| entry.key.series).collect();
    series.sort_unstable();
    series.dedup();
    let mut series: RoaringBitmap = series.into_iter().collect();
    series.optimize();
    series
}

/// Readers search the timestamps: disorder would make them answer wrongly.
fn check(series: u32, samples: &Samples) -> Result<(), ChunkFileError> {
    let count = samples.timestamps.len();
    let ascending = samples.timestamps.windows(2).all(|pair| pair[0] < pair[1]);
    let starts = samples.start_timestamps.len();
    if ascending && samples.values.len() == count && (starts == 0 || starts == count) {
        return Ok(());
    }
    Err(ChunkFileError::MalformedSamples { series })
}

/// Where a series is cut: equal parts, so that series with the same timestamps share all columns.
fn chunks(samples: &Samples) -> impl Iterator<Item = Range<usize>> + use<> {
    let count = samples.len();
    let parts = count.div_ceil(chunk_samples(samples)).max(1);
    let size = count.div_ceil(parts).max(1);
    (0..count).step_by(size).map(move |start| start..count.min(start + size))
}

fn chunk_samples(samples: &Samples) -> usize {
    match samples.histograms.iter().map(|(_, histogram)| histogram.size()).max() {
        None => CHUNK_SAMPLES_MAX,
        Some(largest) => (CHUNK_HISTOGRAMS_SIZE / largest).clamp(1, CHUNK_HISTOGRAMS_MAX),
    }
}
