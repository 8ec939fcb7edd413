//! Directory pages: which chunks a file holds, ordered by metric, series and time, a few bytes each.

use metricstor_chunk::{DecodeError, Input, put_signed, put_varint};

use super::format::{CHECKSUM_SIZE, Version};
use super::key::SeriesKey;

/// Chunks in a page: a page costs 24 bytes of memory, looking up a chunk decodes its page.
pub const PAGE_CHUNKS: usize = 32;

/// Where one chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Entry {
    pub key: SeriesKey,
    /// The address of its timestamps.
    pub column: u32,
    /// The offset of its block in the file.
    pub offset: u64,
    /// The block's size without checksum.
    pub size: u32,
}

impl Entry {
    /// Where a block that follows this one begins.
    pub fn end(&self) -> u64 {
        self.offset.wrapping_add(self.size as u64 + CHECKSUM_SIZE as u64)
    }

    fn put(&self, before: Self, out: &mut Vec<u8>) {
        self.key.put(before.key, out);
        put_signed(out, self.column as i64 - before.column as i64);
        put_signed(out, self.offset.wrapping_sub(before.end()) as i64);
        put_varint(out, self.size as u64);
    }

    #[inline]
    fn read(input: &mut Input<'_>, before: Self, version: Version) -> Result<Self, DecodeError> {
        let invalid = || DecodeError::Invalid("directory entry");
        let key = SeriesKey::read(input, before.key, version)?;
        let column = (before.column as i64).checked_add(input.signed()?);
        let offset = before.end().wrapping_add_signed(input.signed()?);
        let size = u32::try_from(input.varint()?).map_err(|_| invalid())?;
        Ok(Self {
            key,
            column: column.and_then(|c| u32::try_from(c).ok()).ok_or_else(invalid)?,
            offset,
            size,
        })
    }
}

/// Appends a page; the entries are ordered by key.
pub fn put_page(entries: &[Entry], out: &mut Vec<u8>) {
    let mut before = Entry::default();
    for entry in entries {
        entry.put(before, out);
        before = *entry;
    }
}

/// The entries of a page of a file of this version.
pub fn read_page(content: &[u8], version: Version) -> Result<Vec<Entry>, DecodeError> {
    let mut input = Input::new(content);
    let mut entries = Vec::with_capacity(PAGE_CHUNKS);
    let mut last = Entry::default();
    while !input.rest().is_empty() {
        last = Entry::read(&mut input, last, version)?;
        entries.push(last);
    }
    Ok(entries)
}

/// Of a page, the entries whose blocks are read together with that of `entry`: they follow each other
/// in the file and take at most `size` bytes, if they are more than one. Empty if it is of another page.
pub fn together<'e>(page: &'e [Entry], entry: &Entry, size: u64) -> &'e [Entry] {
    let mut rest = page;
    while !rest.is_empty() {
        let (run, after) = rest.split_at(run_length(rest, size));
        if run.contains(entry) {
            return run;
        }
        rest = after;
    }
    &[]
}

/// Of how many entries, from the first on, the blocks are read together.
fn run_length(entries: &[Entry], size: u64) -> usize {
    let start = entries[0].offset;
    let goes_on = |pair: &&[Entry]| {
        pair[1].offset == pair[0].end() && pair[1].end().wrapping_sub(start) <= size
    };
    1 + entries.windows(2).take_while(goes_on).count()
}
