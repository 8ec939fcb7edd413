//! What a reader keeps between reads of one file: the directory page, windows, decoded columns.

use super::directory::Entry;
use super::window::Window;

/// Decoded columns kept. A file of scrapes has one per target and chunk: series of the same
/// target, read one after another, share the work.
const COLUMNS: usize = 64;

/// Buffers for [`ChunkFile::read`](super::ChunkFile::read); one per reading thread, fastest when used for one file.
///
/// At most about 4.5 MiB, and only after reading that much.
#[derive(Default)]
pub struct Scratch {
    /// The file that the content belongs to.
    file: u64,
    /// Which directory page `entries` is.
    pub(super) page: Option<usize>,
    pub(super) entries: Vec<Entry>,
    pub(super) blocks: Window,
    pub(super) pages: Window,
    pub(super) columns: Columns,
}

impl Scratch {
    /// Forgets everything that belongs to another file.
    pub(super) fn belong_to(&mut self, file: u64) {
        if self.file != file {
            self.file = file;
            self.page = None;
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
    /// The timestamps of a column; `fill` decodes them if they are not there.
    pub fn get<E>(
        &mut self,
        address: u32,
        fill: impl FnOnce(&mut Vec<i64>) -> Result<(), E>,
    ) -> Result<&[i64], E> {
        self.slots.resize_with(COLUMNS, Column::default);
        // Multiplicative hashing: addresses of one file differ in all bits.
        let slot = (address.wrapping_mul(0x9e37_79b1) >> 16) as usize % COLUMNS;
        let slot = &mut self.slots[slot];
        if slot.address != Some(address) {
            slot.address = None;
            slot.timestamps.clear();
            fill(&mut slot.timestamps)?;
            slot.address = Some(address);
        }
        Ok(&slot.timestamps)
    }
}
