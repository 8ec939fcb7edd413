//! Exemplar frames: the exemplars of all series, ordered by reference, compressed. Few series have
//! any, and only a question for exemplars reads them.

use std::collections::{BTreeMap, VecDeque};

use metricstor_chunk::{DecodeError, Input, put_signed, put_varint};
use metricstor_model::{Labels, StoredExemplar, TimeRange};

use super::blocks::read_at;
use super::format::CHECKSUM_SIZE;
use super::output::Output;
use super::tables::ExemplarFrame;
use super::{ChunkFile, ChunkFileError};

/// A frame is compressed when its records reach this size.
const FRAME_SIZE: usize = 64 << 10;
const COMPRESSION_LEVEL: i32 = 3;

/// Exemplars by series, each in time order.
pub type Exemplars = BTreeMap<u32, Vec<StoredExemplar>>;

/// The frame that is being filled, and those written.
#[derive(Default)]
pub struct ExemplarWriter {
    frames: Vec<ExemplarFrame>,
    records: Vec<u8>,
    first: u32,
    /// Series and time of the record before.
    previous: (u32, i64),
    count: u64,
}

impl ExemplarWriter {
    /// Adds a series' exemplars; series come in ascending order.
    pub fn add(
        &mut self,
        series: u32,
        exemplars: &[StoredExemplar],
        output: &mut Output<'_>,
    ) -> Result<(), ChunkFileError> {
        for exemplar in exemplars {
            if self.records.is_empty() {
                self.first = series;
                self.previous = (series, 0);
            }
            let (previous, time) = self.previous;
            put_varint(&mut self.records, u64::from(series - previous));
            put_signed(&mut self.records, exemplar.timestamp.wrapping_sub(time));
            self.records.extend_from_slice(&exemplar.value.to_le_bytes());
            put_varint(&mut self.records, exemplar.labels.iter().count() as u64);
            for text in exemplar.labels.iter().flat_map(|(name, value)| [name, value]) {
                put_varint(&mut self.records, text.len() as u64);
                self.records.extend_from_slice(text.as_bytes());
            }
            self.previous = (series, exemplar.timestamp);
            self.count += 1;
            if self.records.len() >= FRAME_SIZE {
                self.flush(output)?;
            }
        }
        Ok(())
    }

    fn flush(&mut self, output: &mut Output<'_>) -> Result<(), ChunkFileError> {
        if self.records.is_empty() {
            return Ok(());
        }
        let compressed = zstd::bulk::compress(&self.records, COMPRESSION_LEVEL)
            .map_err(|error| ChunkFileError::io("exemplar frame".as_ref(), error))?;
        let offset = output.offset();
        let size = output.put_checked(|out| out.extend_from_slice(&compressed))? as u64;
        let (first, uncompressed) = (self.first, self.records.len() as u64);
        self.frames.push(ExemplarFrame { first, offset, size, uncompressed });
        self.records.clear();
        Ok(())
    }

    /// The frames and how many exemplars they hold.
    pub fn finish(
        mut self,
        output: &mut Output<'_>,
    ) -> Result<(Vec<ExemplarFrame>, u64), ChunkFileError> {
        self.flush(output)?;
        Ok((self.frames, self.count))
    }
}

impl ChunkFile {
    /// Adds the exemplars inside `range` of the series that are `wanted` to `out`, once each.
    pub fn exemplars(
        &self,
        range: TimeRange,
        wanted: impl Fn(u32) -> bool,
        out: &mut Exemplars,
    ) -> Result<(), ChunkFileError> {
        for frame in &self.tables.exemplars {
            self.for_each_exemplar(frame, |series, exemplar| {
                if range.contains(exemplar.timestamp) && wanted(series) {
                    exemplar.insert_into(out.entry(series).or_default());
                }
            })?;
        }
        Ok(())
    }

    fn for_each_exemplar(
        &self,
        frame: &ExemplarFrame,
        mut visit: impl FnMut(u32, StoredExemplar),
    ) -> Result<(), ChunkFileError> {
        let damaged = |what: &str| ChunkFileError::damaged(&self.path, frame.offset, what);
        let mut bytes = vec![0; frame.size as usize + CHECKSUM_SIZE];
        read_at(&*self.file, &self.path, &mut bytes, frame.offset)?;
        let content = self.meta.checked(&bytes, frame.offset);
        let content = content.ok_or_else(|| damaged("exemplars checksum"))?;
        let records = zstd::bulk::decompress(content, frame.uncompressed as usize)
            .map_err(|_| damaged("exemplars cannot be decompressed"))?;
        let mut input = Input::new(&records);
        let mut previous = (frame.first, 0);
        while !input.rest().is_empty() {
            let (series, exemplar) =
                record(&mut input, previous).map_err(|error| damaged(&error.to_string()))?;
            previous = (series, exemplar.timestamp);
            visit(series, exemplar);
        }
        Ok(())
    }
}

/// Walks a file's exemplars series by series, a frame in memory at a time.
pub struct ExemplarCursor<'a> {
    file: &'a ChunkFile,
    frame: usize,
    records: VecDeque<(u32, StoredExemplar)>,
}

impl<'a> ExemplarCursor<'a> {
    pub fn new(file: &'a ChunkFile) -> Self {
        Self { file, frame: 0, records: VecDeque::new() }
    }

    /// The series of the next exemplar.
    pub fn series(&mut self) -> Result<Option<u32>, ChunkFileError> {
        while self.records.is_empty()
            && let Some(frame) = self.file.tables.exemplars.get(self.frame)
        {
            let records = &mut self.records;
            self.file.for_each_exemplar(frame, |series, e| records.push_back((series, e)))?;
            self.frame += 1;
        }
        Ok(self.records.front().map(|(series, _)| *series))
    }

    /// The next exemplar if it is one of this series.
    pub fn next_of(&mut self, series: u32) -> Result<Option<StoredExemplar>, ChunkFileError> {
        let is_next = self.series()? == Some(series);
        Ok(self.records.pop_front_if(|_| is_next).map(|(_, exemplar)| exemplar))
    }
}

fn record(
    input: &mut Input<'_>,
    (series, time): (u32, i64),
) -> Result<(u32, StoredExemplar), DecodeError> {
    let delta = input.count(u32::MAX as usize, "series of an exemplar")? as u32;
    let series = series.checked_add(delta).ok_or(DecodeError::Invalid("series of an exemplar"))?;
    let timestamp = time.wrapping_add(input.signed()?);
    let value: [u8; 8] =
        input.take(8)?.try_into().map_err(|_| DecodeError::Invalid("value of an exemplar"))?;
    let mut pairs = Vec::new();
    for _ in 0..input.count(input.rest().len(), "labels of an exemplar")? {
        pairs.push((text(input)?, text(input)?));
    }
    let labels =
        Labels::from_pairs(pairs).map_err(|_| DecodeError::Invalid("labels of an exemplar"))?;
    Ok((series, StoredExemplar { timestamp, value: f64::from_le_bytes(value), labels }))
}

fn text<'a>(input: &mut Input<'a>) -> Result<&'a str, DecodeError> {
    let size = input.count(input.rest().len(), "label size")?;
    std::str::from_utf8(input.take(size)?).map_err(|_| DecodeError::Invalid("label text"))
}
