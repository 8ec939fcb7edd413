//! The tables that stay in memory while a file is open: where pages and frames are.

use metricstor_chunk::{DecodeError, Input, put_varint};
use roaring::RoaringBitmap;

use super::BLOCK_SIZE_MAX;
use super::format::{CHECKSUM_SIZE, HEADER_SIZE, Version};
use super::key::SeriesKey;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryPage {
    /// Of its first chunk.
    pub first: SeriesKey,
    pub offset: u64,
    /// Without checksum.
    pub size: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnPage {
    /// The address of its first byte in the stream of all column pages.
    pub address: u64,
    pub offset: u64,
    pub size: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelFrame {
    pub offset: u64,
    /// Compressed, without checksum.
    pub size: u64,
    pub uncompressed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExemplarFrame {
    /// The series of its first record.
    pub first: u32,
    pub offset: u64,
    /// Compressed, without checksum.
    pub size: u64,
    pub uncompressed: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tables {
    pub directory: Vec<DirectoryPage>,
    pub columns: Vec<ColumnPage>,
    pub labels: Vec<LabelFrame>,
    pub exemplars: Vec<ExemplarFrame>,
    /// The references of all series with samples; earlier versions do not have it.
    pub series: Option<RoaringBitmap>,
}

impl Tables {
    pub fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.directory.len() as u64);
        let mut first = SeriesKey::default();
        for page in &self.directory {
            page.first.put(first, out);
            put_varint(out, page.size as u64);
            first = page.first;
        }
        put_varint(out, self.columns.len() as u64);
        let mut end = HEADER_SIZE as u64;
        for page in &self.columns {
            put_varint(out, page.offset - end);
            put_varint(out, page.size);
            end = page.offset + page.size;
        }
        put_varint(out, self.labels.len() as u64);
        let mut end = HEADER_SIZE as u64;
        for frame in &self.labels {
            put_varint(out, frame.offset - end);
            put_varint(out, frame.size);
            put_varint(out, frame.uncompressed);
            end = frame.offset + frame.size + CHECKSUM_SIZE as u64;
        }
        put_varint(out, self.exemplars.len() as u64);
        let (mut first, mut end) = (0, HEADER_SIZE as u64);
        for frame in &self.exemplars {
            put_varint(out, u64::from(frame.first - first));
            put_varint(out, frame.offset - end);
            put_varint(out, frame.size);
            put_varint(out, frame.uncompressed);
            first = frame.first;
            end = frame.offset + frame.size + CHECKSUM_SIZE as u64;
        }
        if let Some(series) = &self.series {
            put_varint(out, series.serialized_size() as u64);
            series.serialize_into(out).expect("writing to memory cannot fail");
        }
    }

    /// `directory` is the offset of the first directory page. A row takes at least two bytes, so
    /// memory is bounded by a small multiple of the tables' size.
    pub fn read(bytes: &[u8], directory: u64, version: Version) -> Result<Self, DecodeError> {
        let mut input = Input::new(bytes);
        let input = &mut input;
        let mut tables = Self::default();
        let (mut first, mut offset) = (SeriesKey::default(), directory);
        for _ in 0..input.count(bytes.len(), "number of directory pages")? {
            first = SeriesKey::read(input, first, version)?;
            let size = block_size(input)? as u32;
            tables.directory.push(DirectoryPage { first, offset, size });
            offset = offset.saturating_add(size as u64 + CHECKSUM_SIZE as u64);
        }
        tables.directory.shrink_to_fit();
        let (mut address, mut end) = (0u64, HEADER_SIZE as u64);
        for _ in 0..input.count(bytes.len(), "number of column pages")? {
            let offset = end.saturating_add(input.varint()?);
            let size = block_size(input)?;
            end = within_body(offset, size, directory)?;
            tables.columns.push(ColumnPage { address, offset, size });
            address += size;
        }
        let mut end = HEADER_SIZE as u64;
        for _ in 0..input.count(bytes.len(), "number of label frames")? {
            let offset = end.saturating_add(input.varint()?);
            let size = block_size(input)?;
            let uncompressed = block_size(input)?;
            end = within_body(offset, size + CHECKSUM_SIZE as u64, directory)?;
            tables.labels.push(LabelFrame { offset, size, uncompressed });
        }
        let (mut first, mut end) = (0u32, HEADER_SIZE as u64);
        for _ in 0..input.count(bytes.len(), "number of exemplar frames")? {
            let delta = input.count(u32::MAX as usize, "series")? as u32;
            first = first.checked_add(delta).ok_or(DecodeError::Invalid("series"))?;
            let offset = end.saturating_add(input.varint()?);
            let size = block_size(input)?;
            let uncompressed = block_size(input)?;
            end = within_body(offset, size + CHECKSUM_SIZE as u64, directory)?;
            tables.exemplars.push(ExemplarFrame { first, offset, size, uncompressed });
        }
        if version >= Version::Four {
            tables.series = Some(read_series(input)?);
        }
        match input.rest() {
            [] => Ok(tables),
            _ => Err(DecodeError::Invalid("end of tables")),
        }
    }

    /// The index of the column page with this address.
    pub fn column_page(&self, address: u64) -> Option<usize> {
        let after = self.columns.partition_point(|page| page.address <= address);
        let index = after.checked_sub(1)?;
        let page = self.columns[index];
        (address < page.address + page.size).then_some(index)
    }

    /// The index of the first directory page that may hold chunks of the series; `guess` is looked
    /// at before all others.
    pub fn directory_page(&self, key: SeriesKey, guess: usize) -> usize {
        // A series' chunks may begin at the end of the page before the one that it starts.
        let is_before = |page: &DirectoryPage| page.first < key;
        let ends = |page: Option<&DirectoryPage>| page.is_none_or(|page| !is_before(page));
        if self.directory.get(guess).is_some_and(is_before) && ends(self.directory.get(guess + 1)) {
            return guess;
        }
        self.directory.partition_point(is_before).saturating_sub(1)
    }

    /// The bytes of memory the tables take.
    pub fn size(&self) -> usize {
        self.directory.capacity() * size_of::<DirectoryPage>()
            + self.columns.capacity() * size_of::<ColumnPage>()
            + self.labels.capacity() * size_of::<LabelFrame>()
            + self.exemplars.capacity() * size_of::<ExemplarFrame>()
            + self.series.as_ref().map_or(0, RoaringBitmap::serialized_size)
    }
}

/// The end of a part of the body, which itself ends at `directory`.
fn within_body(offset: u64, size: u64, directory: u64) -> Result<u64, DecodeError> {
    let end = offset.checked_add(size).filter(|&end| end <= directory);
    end.ok_or(DecodeError::Invalid("offset outside the body"))
}

fn read_series(input: &mut Input<'_>) -> Result<RoaringBitmap, DecodeError> {
    let size = input.count(input.rest().len(), "size of the set of series")?;
    let mut bytes = input.take(size)?;
    let series = RoaringBitmap::deserialize_from(&mut bytes).ok().filter(|_| bytes.is_empty());
    series.ok_or(DecodeError::Invalid("set of series"))
}

fn block_size(input: &mut Input<'_>) -> Result<u64, DecodeError> {
    input.count(BLOCK_SIZE_MAX as usize, "size of a block").map(|size| size as u64)
}
