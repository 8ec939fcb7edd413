//! Verified access to the parts of a file: directory pages, timestamp columns, blocks. Nothing that
//! fails its checksum, or lies outside its section, gets out of here.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use metricstor_chunk::timestamps::{self, Summary};
use metricstor_chunk::{DecodeError, Input};

use super::block_cache::BlockCache;
use super::directory::{Entry, read_page};
use super::format::{CHECKSUM_SIZE, FOOTER_SIZE, FileMeta, Footer};
use super::scratch::{ColumnPages, Scratch};
use super::tables::{ColumnPage, Tables};
use super::{BLOCK_SIZE_MAX, CHUNK_SAMPLES_MAX, ChunkFile, ChunkFileError};
use crate::files::File;

impl ChunkFile {
    /// The entries of a directory page.
    pub(super) fn entries<'s>(
        &self,
        index: usize,
        scratch: &'s mut Scratch,
    ) -> Result<&'s [Entry], ChunkFileError> {
        if scratch.open != Some(index) {
            scratch.open = None;
            scratch.page = self.page(index, scratch.cache.as_deref())?;
            scratch.open = Some(index);
        }
        Ok(&scratch.page)
    }

    fn page(
        &self,
        index: usize,
        cache: Option<&BlockCache>,
    ) -> Result<Arc<[Entry]>, ChunkFileError> {
        let page = self.tables.directory[index];
        if let Some(entries) = cache.and_then(|cache| cache.page(self.id, page.offset)) {
            return Ok(entries);
        }
        let mut bytes = vec![0; page.size as usize + CHECKSUM_SIZE];
        read_at(&*self.file, &self.path, &mut bytes, page.offset)?;
        let damaged = |what: &str| ChunkFileError::damaged(&self.path, page.offset, what);
        let content = self.meta.checked(&bytes, page.offset);
        let content = content.ok_or_else(|| damaged("directory checksum"))?;
        let entries = read_page(content, self.meta.version);
        let entries: Arc<[Entry]> = entries.map_err(|error| damaged(&error.to_string()))?.into();
        if let Some(cache) = cache {
            cache.put_page(self.id, page.offset, Arc::clone(&entries));
        }
        Ok(entries)
    }

    /// The chunk's timestamps, from the cache or decoded into it.
    pub(super) fn decoded_column<'s>(
        &self,
        entry: &Entry,
        count: usize,
        scratch: &'s mut Scratch,
    ) -> Result<&'s [i64], ChunkFileError> {
        let Scratch { cache, pages, columns, .. } = scratch;
        columns.get(entry.column, |timestamps| {
            let (offset, bytes) = self.column_bytes(entry, cache.as_deref(), pages)?;
            timestamps::decode(bytes, CHUNK_SAMPLES_MAX, 0..count, timestamps)
                .map_err(|error| self.damaged_column(offset, entry, error))
        })
    }

    pub(super) fn column(
        &self,
        entry: &Entry,
        scratch: &mut Scratch,
    ) -> Result<Summary, ChunkFileError> {
        if let Some(timestamps @ [first, .., last]) = scratch.columns.peek(entry.column) {
            return Ok(Summary { count: timestamps.len(), first: *first, last: *last });
        }
        let Scratch { cache, pages, .. } = scratch;
        let (offset, bytes) = self.column_bytes(entry, cache.as_deref(), pages)?;
        match Summary::read(bytes, CHUNK_SAMPLES_MAX) {
            Ok(summary) if summary.count > 0 => Ok(summary),
            Ok(_) => Err(self.damaged_column(offset, entry, "no timestamps")),
            Err(error) => Err(self.damaged_column(offset, entry, error)),
        }
    }

    /// The offset and the verified bytes of the chunk's column; reads the column's whole page.
    fn column_bytes<'s>(
        &self,
        entry: &Entry,
        cache: Option<&BlockCache>,
        pages: &'s mut ColumnPages,
    ) -> Result<(u64, &'s [u8]), ChunkFileError> {
        let address = entry.column as u64;
        let index = self.tables.column_page(address).ok_or_else(|| {
            self.damaged_column(self.footer.directory, entry, "no such column address")
        })?;
        let page = self.tables.columns[index];
        let at = address - page.address;
        let offset = page.offset + at;
        let bytes = pages.get(index, || self.column_page(&page, cache))?;
        let column = self.next_column(&mut Input::new(&bytes[at as usize..]), address);
        let column = column.map_err(|error| self.damaged_column(offset, entry, error))?;
        Ok((offset, column))
    }

    /// A page of columns; it is kept if all of them are sound.
    fn column_page(
        &self,
        page: &ColumnPage,
        cache: Option<&BlockCache>,
    ) -> Result<Arc<[u8]>, ChunkFileError> {
        let size = page.size as usize;
        if let Some(bytes) = cache.and_then(|cache| cache.get(self.id, page.offset, size)) {
            return Ok(bytes);
        }
        let mut bytes = vec![0; size];
        read_at(&*self.file, &self.path, &mut bytes, page.offset)?;
        let bytes: Arc<[u8]> = bytes.into();
        if let Some(cache) = cache.filter(|_| self.is_sound(page, &bytes)) {
            cache.put(self.id, page.offset, Arc::clone(&bytes));
        }
        Ok(bytes)
    }

    fn is_sound(&self, page: &ColumnPage, bytes: &[u8]) -> bool {
        let mut input = Input::new(bytes);
        while !input.rest().is_empty() {
            let at = bytes.len() - input.rest().len();
            if self.next_column(&mut input, page.address + at as u64).is_err() {
                return false;
            }
        }
        true
    }

    /// The verified bytes of the column that begins here, which is this address.
    fn next_column<'b>(
        &self,
        input: &mut Input<'b>,
        address: u64,
    ) -> Result<&'b [u8], DecodeError> {
        let size = input.count(BLOCK_SIZE_MAX as usize, "size of a column")?;
        let column = input.take(size + CHECKSUM_SIZE)?;
        let column = self.meta.checked(column, address);
        column.ok_or(DecodeError::Invalid("timestamps checksum"))
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
        if scratch.cache.is_some() {
            self.find_extent(entry, scratch)?;
        }
        if let Some(block) = scratch.extent.block(entry) {
            return Ok(block);
        }
        let blocks = &mut scratch.blocks;
        let block = blocks.get(&*self.file, entry.offset, size, self.footer.directory);
        let block = block.map_err(|error| ChunkFileError::read(&self.path, entry.offset, error))?;
        let block = self.meta.checked(block, entry.offset);
        block.ok_or_else(|| self.damaged_block(entry, "block checksum"))
    }

    pub(super) fn damaged_block(&self, entry: &Entry, what: impl Display) -> ChunkFileError {
        let what = format!("series {}: {what}", entry.key.series);
        ChunkFileError::damaged(&self.path, entry.offset, what)
    }

    fn damaged_column(&self, offset: u64, entry: &Entry, what: impl Display) -> ChunkFileError {
        let what = format!("timestamps of series {}: {what}", entry.key.series);
        ChunkFileError::damaged(&self.path, offset, what)
    }
}

pub(super) fn read_tables(
    file: &dyn File,
    path: &Path,
    meta: &FileMeta,
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
    let content = meta.checked(&bytes, footer.tables);
    let content = content.ok_or_else(|| damaged("tables checksum"))?;
    Tables::read(content, footer.directory, meta.version)
        .map_err(|error| damaged(&error.to_string()))
}

pub(super) fn read_at(
    file: &dyn File,
    path: &Path,
    out: &mut [u8],
    offset: u64,
) -> Result<(), ChunkFileError> {
    file.read_exact_at(out, offset).map_err(|error| ChunkFileError::read(path, offset, error))
}
