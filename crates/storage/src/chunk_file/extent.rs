//! Neighbouring blocks that are read, verified and kept together: what a query reads of one series
//! stands beside what it reads of the next.

use std::sync::Arc;

use super::block_cache::BlockCache;
use super::directory::{Entry, together};
use super::format::CHECKSUM_SIZE;
use super::scratch::Scratch;
use super::{ChunkFile, ChunkFileError};

/// Bytes that are read at once, unless one block alone is larger.
const EXTENT_SIZE: u64 = 16 << 10;

/// Verified blocks as they stand in the file, each with its checksum.
#[derive(Default)]
pub struct Extent {
    start: u64,
    bytes: Option<Arc<[u8]>>,
}

impl Extent {
    /// The block of an entry that lies in here.
    pub fn block(&self, entry: &Entry) -> Option<&[u8]> {
        let at = usize::try_from(entry.offset.checked_sub(self.start)?).ok()?;
        let end = at.checked_add(entry.size as usize)?;
        let bytes = self.bytes.as_deref()?;
        // Behind it stands its checksum: a block cannot end where an extent does.
        bytes.get(at..end).filter(|_| end + CHECKSUM_SIZE <= bytes.len())
    }
}

impl ChunkFile {
    /// Makes the scratch's extent the one with the entry's block. If a block in it is damaged there
    /// is none: the sound ones are then read one by one.
    pub(super) fn find_extent(
        &self,
        entry: &Entry,
        scratch: &mut Scratch,
    ) -> Result<(), ChunkFileError> {
        let Scratch { cache, extent, page, .. } = scratch;
        let Some(cache) = cache.as_deref().filter(|_| extent.block(entry).is_none()) else {
            return Ok(());
        };
        *extent = Extent::default();
        let together = together(page, entry, EXTENT_SIZE);
        let (Some(first), Some(last)) = (together.first(), together.last()) else { return Ok(()) };
        let (start, end) = (first.offset, last.end());
        if start >= end || end > self.footer.directory {
            return Ok(());
        }
        let bytes = match cache.get(self.id, start, (end - start) as usize) {
            Some(bytes) => Some(bytes),
            None => self.read_extent(start..end, together, cache)?,
        };
        *extent = Extent { start, bytes };
        Ok(())
    }

    fn read_extent(
        &self,
        place: std::ops::Range<u64>,
        blocks: &[Entry],
        cache: &BlockCache,
    ) -> Result<Option<Arc<[u8]>>, ChunkFileError> {
        let mut bytes = vec![0; (place.end - place.start) as usize];
        let read = self.file.read_exact_at(&mut bytes, place.start);
        read.map_err(|error| ChunkFileError::read(&self.path, place.start, error))?;
        let sound = |block: &Entry| {
            let at = (block.offset - place.start) as usize;
            let bytes = &bytes[at..at + block.size as usize + CHECKSUM_SIZE];
            self.meta.checked(bytes, block.offset).is_some()
        };
        if !blocks.iter().all(sound) {
            return Ok(None);
        }
        let bytes: Arc<[u8]> = bytes.into();
        cache.put(self.id, place.start, Arc::clone(&bytes));
        Ok(Some(bytes))
    }
}
