//! What a reader keeps between reads of one file: the directory page, windows, decoded columns.

use std::sync::Arc;

use super::block_cache::BlockCache;
use super::directory::Page;
use super::window::Window;

/// Decoded columns kept. A file of scrapes has one per target and chunk: series of the same
/// target, read one after another, share the work.
const COLUMNS: usize = 64;

/// Buffers for [`ChunkFile::read`](super::ChunkFile::read); one per reading thread, fastest when used for one file.
///
/// At most about 4.5 MiB, and only after reading that much.
#[derive(Default)]
pub struct Scratch {
    /// Where blocks are looked for first, and kept; a reader that needs each block once has none.
    pub(super) cache: Option<Arc<BlockCache>>,
    /// The block that was found there last.
    pub(super) cached: Option<Arc<[u8]>>,
    /// The file that the content belongs to.
    file: u64,
    /// Which directory page `page` is.
    pub(super) open: Option<usize>,
    pub(super) page: Page,
    pub(super) blocks: Window,
    pub(super) pages: Window,
    pub(super) columns: Columns,
}

impl Scratch {
    /// Looks for blocks in `cache` first.
    pub fn look_into(&mut self, cache: &Arc<BlockCache>) {
        if self.cache.as_ref().is_none_or(|own| !Arc::ptr_eq(own, cache)) {
            self.cache = Some(Arc::clone(cache));
        }
    }

    /// Forgets everything that belongs to another file.
    pub(super) fn belong_to(&mut self, file: u64) {
        if self.file != file {
            self.file = file;
            self.open = None;
            self.cached = None;
            self.blocks.clear();
            self.pages.clear();
            self.columns.slots.iter_mut().for_each(|slot| slot.address = None);
        }
    }
}

/// A cache with one place per column address; a column replaces the one in its place.
#[derive(Default)]
pub struct Columns {
    slots: Vec<Column>,
}

#[derive(Default)]
pub struct Column {
    address: Option<u32>,
    pub timestamps: Vec<i64>,
}

impl Columns {
    /// The timestamps of a column, if they are there.
    pub fn peek(&self, address: u32) -> Option<&[i64]> {
        let column = self.slots.get(slot(address))?;
        (column.address == Some(address)).then_some(&column.timestamps)
    }

    /// The timestamps of a column; `fill` decodes them if they are not there.
    pub fn get<E>(
        &mut self,
        address: u32,
        fill: impl FnOnce(&mut Vec<i64>) -> Result<(), E>,
    ) -> Result<&[i64], E> {
        self.slots.resize_with(COLUMNS, Column::default);
        let slot = &mut self.slots[slot(address)];
        if slot.address != Some(address) {
            slot.address = None;
            slot.timestamps.clear();
            fill(&mut slot.timestamps)?;
            slot.address = Some(address);
        }
        Ok(&slot.timestamps)
    }
}

/// Multiplicative hashing: addresses of one file differ in all bits.
fn slot(address: u32) -> usize {
    (address.wrapping_mul(0x9e37_79b1) >> 16) as usize % COLUMNS
}
