//! Label frames: every series' labels, front-coded against the series before and compressed.
//! Needed to describe a file, to merge files and to rebuild an index; never by a query.

use metricstor_chunk::{DecodeError, Input, put_signed, put_varint};
use metricstor_model::Labels;

use super::ChunkFileError;
use super::output::Output;
use super::tables::LabelFrame;

/// A frame is compressed when its records reach this size.
const FRAME_SIZE: usize = 64 << 10;
/// Level 3: labels are a few bytes per series, more effort saves few of them.
const COMPRESSION_LEVEL: i32 = 3;

/// The frame that is being filled, and those written.
#[derive(Default)]
pub struct LabelWriter {
    frames: Vec<LabelFrame>,
    records: Vec<u8>,
    previous: (u32, Vec<u8>),
    record: Vec<u8>,
}

impl LabelWriter {
    pub fn add(
        &mut self,
        series: u32,
        labels: &Labels,
        output: &mut Output<'_>,
    ) -> Result<(), ChunkFileError> {
        self.record.clear();
        for text in labels.iter().flat_map(|(name, value)| [name, value]) {
            put_varint(&mut self.record, text.len() as u64);
            self.record.extend_from_slice(text.as_bytes());
        }
        let (previous_series, previous) = &mut self.previous;
        let shared = previous.iter().zip(&self.record).take_while(|(a, b)| a == b).count();
        put_signed(&mut self.records, series as i64 - *previous_series as i64);
        put_varint(&mut self.records, shared as u64);
        put_varint(&mut self.records, (self.record.len() - shared) as u64);
        self.records.extend_from_slice(&self.record[shared..]);
        *previous_series = series;
        std::mem::swap(previous, &mut self.record);
        if self.records.len() >= FRAME_SIZE { self.flush(output) } else { Ok(()) }
    }

    fn flush(&mut self, output: &mut Output<'_>) -> Result<(), ChunkFileError> {
        if self.records.is_empty() {
            return Ok(());
        }
        let compressed = zstd::bulk::compress(&self.records, COMPRESSION_LEVEL)
            .map_err(|error| ChunkFileError::io("label frame".as_ref(), error))?;
        let offset = output.offset();
        let size = output.put_checked(|out| out.extend_from_slice(&compressed))? as u64;
        self.frames.push(LabelFrame { offset, size, uncompressed: self.records.len() as u64 });
        self.records.clear();
        self.previous = Default::default();
        Ok(())
    }

    pub fn finish(mut self, output: &mut Output<'_>) -> Result<Vec<LabelFrame>, ChunkFileError> {
        self.flush(output)?;
        Ok(self.frames)
    }
}

/// The records of one frame in order.
#[derive(Default)]
pub struct LabelReader {
    records: Vec<u8>,
    at: usize,
    series: u32,
    record: Vec<u8>,
}

impl LabelReader {
    /// Replaces the frame; at most `uncompressed` bytes are allocated for it.
    pub fn load(&mut self, compressed: &[u8], uncompressed: u64) -> Result<(), DecodeError> {
        *self = Self::default();
        self.records = zstd::bulk::decompress(compressed, uncompressed as usize)
            .map_err(|_| DecodeError::Invalid("label frame"))?;
        Ok(())
    }

    /// The next series and its labels; `None` at the end of the frame.
    pub fn next(&mut self) -> Result<Option<(u32, Labels)>, DecodeError> {
        let mut input = Input::new(&self.records[self.at..]);
        if input.rest().is_empty() {
            return Ok(None);
        }
        let invalid = |_| DecodeError::Invalid("label record");
        let series = (self.series as i64).wrapping_add(input.signed()?);
        self.series = u32::try_from(series).map_err(invalid)?;
        let shared = input.count(self.record.len(), "shared label bytes")?;
        let more = input.count(input.rest().len(), "label bytes")?;
        self.record.truncate(shared);
        self.record.extend_from_slice(input.take(more)?);
        self.at = self.records.len() - input.rest().len();
        Ok(Some((self.series, labels(&self.record)?)))
    }
}

fn labels(record: &[u8]) -> Result<Labels, DecodeError> {
    let mut input = Input::new(record);
    let mut pairs = Vec::new();
    while !input.rest().is_empty() {
        pairs.push((text(&mut input)?, text(&mut input)?));
    }
    Labels::from_pairs(pairs).map_err(|_| DecodeError::Invalid("labels"))
}

fn text<'a>(input: &mut Input<'a>) -> Result<&'a str, DecodeError> {
    let size = input.count(input.rest().len(), "label size")?;
    std::str::from_utf8(input.take(size)?).map_err(|_| DecodeError::Invalid("label text"))
}
