//! Directory pages: which chunks a file holds, ordered by series and time, a few bytes each.

use std::sync::Arc;

use metricstor_chunk::{DecodeError, Input, put_signed, put_varint};

use super::format::CHECKSUM_SIZE;

/// Chunks in a page: a page costs 16 bytes of memory, looking up a chunk decodes its page up to there.
pub const PAGE_CHUNKS: usize = 32;

/// Where one chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Entry {
    pub series: u32,
    /// The address of its timestamps.
    pub column: u32,
    /// The offset of its block in the file.
    pub offset: u64,
    /// The block's size without checksum.
    pub size: u32,
}

impl Entry {
    /// Where a block that follows this one begins.
    fn end(&self) -> u64 {
        self.offset.wrapping_add(self.size as u64 + CHECKSUM_SIZE as u64)
    }

    fn put(&self, before: Self, out: &mut Vec<u8>) {
        put_varint(out, (self.series - before.series) as u64);
        put_signed(out, self.column as i64 - before.column as i64);
        put_signed(out, self.offset.wrapping_sub(before.end()) as i64);
        put_varint(out, self.size as u64);
    }

    fn read(input: &mut Input<'_>, before: Self) -> Result<Self, DecodeError> {
        let invalid = || DecodeError::Invalid("directory entry");
        let series = u32::try_from(input.varint()?).ok().and_then(|d| before.series.checked_add(d));
        let column = (before.column as i64).checked_add(input.signed()?);
        let offset = before.end().wrapping_add_signed(input.signed()?);
        let size = u32::try_from(input.varint()?).map_err(|_| invalid())?;
        Ok(Self {
            series: series.ok_or_else(invalid)?,
            column: column.and_then(|c| u32::try_from(c).ok()).ok_or_else(invalid)?,
            offset,
            size,
        })
    }
}

/// Appends a page; the entries are ordered by series.
pub fn put_page(entries: &[Entry], out: &mut Vec<u8>) {
    let mut before = Entry::default();
    for entry in entries {
        entry.put(before, out);
        before = *entry;
    }
}

/// A verified page, decoded as far as it was looked into: entries follow from those before them.
pub struct Page {
    content: Arc<[u8]>,
    /// How much of it is decoded.
    at: usize,
    entries: Vec<Entry>,
}

impl Default for Page {
    fn default() -> Self {
        Self { content: Arc::new([]), at: 0, entries: Vec::new() }
    }
}

impl Page {
    /// Becomes another page.
    pub fn turn_to(&mut self, content: Arc<[u8]>) {
        self.content = content;
        self.at = 0;
        self.entries.clear();
    }

    /// The entries up to the first one beyond the series, at least.
    pub fn up_to(&mut self, series: u32) -> Result<&[Entry], DecodeError> {
        let mut input = Input::new(&self.content[self.at..]);
        let mut last = self.entries.last().copied().unwrap_or_default();
        while last.series <= series && !input.rest().is_empty() {
            last = Entry::read(&mut input, last)?;
            self.entries.push(last);
            self.at = self.content.len() - input.rest().len();
        }
        Ok(&self.entries)
    }

    /// What was looked into so far.
    pub fn decoded(&self) -> &[Entry] {
        &self.entries
    }
}
