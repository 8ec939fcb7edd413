//! Timestamp columns while a file is written: each distinct one is stored once.

use std::collections::HashMap;

use metricstor_chunk::{put_varint, timestamps};

use super::ChunkFileError;
use super::output::Output;
use super::tables::ColumnPage;

/// A page is written when it reaches this size. Readers read a page at once: it holds the columns
/// of some hundred targets, and reading it costs little more than reading one column.
const PAGE_SIZE: usize = 16 << 10;
/// Encoded columns kept to find repetitions; then all are forgotten, which costs bytes, not truth.
const KNOWN_SIZE_MAX: usize = 32 << 20;

#[derive(Default)]
pub struct Columns {
    pages: Vec<ColumnPage>,
    /// The page that is being filled.
    page: Vec<u8>,
    /// The address of its first byte.
    page_address: u64,
    known: HashMap<Box<[u8]>, u32>,
    known_size: usize,
    last: Option<(Vec<i64>, u32)>,
    encoded: Vec<u8>,
}

impl Columns {
    /// The address of the column with these timestamps.
    pub fn address(
        &mut self,
        timestamps: &[i64],
        output: &mut Output<'_>,
    ) -> Result<u32, ChunkFileError> {
        if let Some((last, address)) = &self.last
            && last == timestamps
        {
            return Ok(*address);
        }
        self.encoded.clear();
        timestamps::encode(timestamps, &mut self.encoded);
        let address = match self.known.get(&self.encoded[..]) {
            Some(&address) => address,
            None => self.add(output)?,
        };
        let (mut last, _) = self.last.take().unwrap_or_default();
        last.clear();
        last.extend_from_slice(timestamps);
        self.last = Some((last, address));
        Ok(address)
    }

    /// Stores the column in `encoded`.
    fn add(&mut self, output: &mut Output<'_>) -> Result<u32, ChunkFileError> {
        if self.page.len() >= PAGE_SIZE {
            self.flush(output)?;
        }
        let address = u32::try_from(self.page_address + self.page.len() as u64)
            .map_err(|_| ChunkFileError::TooLarge { what: "timestamps", limit: u32::MAX as u64 })?;
        put_varint(&mut self.page, self.encoded.len() as u64);
        self.page.extend_from_slice(&self.encoded);
        self.page.extend_from_slice(&output.checksum(&self.encoded, address.into()).to_le_bytes());
        self.known_size += self.encoded.len();
        if self.known_size > KNOWN_SIZE_MAX {
            self.known.clear();
            self.known_size = self.encoded.len();
        }
        self.known.insert(self.encoded.as_slice().into(), address);
        Ok(address)
    }

    fn flush(&mut self, output: &mut Output<'_>) -> Result<(), ChunkFileError> {
        if self.page.is_empty() {
            return Ok(());
        }
        let offset = output.offset();
        let size = output.put(|out| out.extend_from_slice(&self.page))?;
        self.pages.push(ColumnPage { address: self.page_address, offset, size: size as u64 });
        self.page_address += size as u64;
        self.page.clear();
        Ok(())
    }

    /// Writes the last page and hands out all of them.
    pub fn finish(mut self, output: &mut Output<'_>) -> Result<Vec<ColumnPage>, ChunkFileError> {
        self.flush(output)?;
        Ok(self.pages)
    }
}
