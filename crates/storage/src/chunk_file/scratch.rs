//! What a reader keeps between reads of one file: the directory page, a window, columns.

use std::sync::Arc;

use super::block_cache::BlockCache;
use super::directory::Entry;
use super::extent::Extent;
use super::window::Window;
use super::{CHUNK_SAMPLES_MAX, ChunkFile};

/// Decoded columns kept, if they are as long as can be. A file of scrapes has one per target and
/// chunk, and each of a target's series has it: many short ones are kept where few long ones are.
const COLUMNS_MIN: usize = 64;
const COLUMNS_MAX: usize = 2048;
/// Places for a column to be in.
const WAYS: usize = 4;

/// Pages of columns kept: series of one metric have the columns of many targets.
const COLUMN_PAGES: usize = 16;

/// Buffers for [`ChunkFile::read`](super::ChunkFile::read); one per reading thread, fastest when used for one file.
///
/// At most about 5 MiB, and only after reading that much.
#[derive(Default)]
pub struct Scratch {
    /// Where blocks are looked for first, and kept; a reader that needs each block once has none.
    pub(super) cache: Option<Arc<BlockCache>>,
    /// The blocks that were found there last.
    pub(super) extent: Extent,
    /// The file that the content belongs to.
    file: u64,
    /// Which directory page `page` is.
    pub(super) open: Option<usize>,
    pub(super) page: Arc<[Entry]>,
    pub(super) blocks: Window,
    pub(super) pages: ColumnPages,
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
    pub(super) fn belong_to(&mut self, file: &ChunkFile) {
        if self.file != file.id {
            self.file = file.id;
            self.open = None;
            self.extent = Extent::default();
            self.blocks.clear();
            self.pages = ColumnPages::default();
            self.columns.start(file.footer.samples / file.footer.chunks.max(1));
        }
    }
}

/// The column pages that were used last, each in the one place that there is for it.
#[derive(Default)]
pub struct ColumnPages {
    pages: [Option<(usize, Arc<[u8]>)>; COLUMN_PAGES],
}

impl ColumnPages {
    /// The bytes of a page; `load` reads them if they are not there.
    pub fn get<E>(
        &mut self,
        index: usize,
        load: impl FnOnce() -> Result<Arc<[u8]>, E>,
    ) -> Result<&[u8], E> {
        let place = &mut self.pages[index % COLUMN_PAGES];
        if place.as_ref().is_none_or(|(known, _)| *known != index) {
            *place = Some((index, load()?));
        }
        Ok(place.as_ref().map_or(&[], |(_, bytes)| bytes))
    }
}

/// A cache with a few places for each column address: no two that are used in turns expel each other.
pub struct Columns {
    places: Vec<Column>,
    /// Counts what was expelled, so that it is not always the same place's.
    expelled: usize,
}

#[derive(Default)]
struct Column {
    address: Option<u32>,
    timestamps: Vec<i64>,
}

impl Default for Columns {
    fn default() -> Self {
        let mut columns = Self { places: Vec::new(), expelled: 0 };
        columns.start(CHUNK_SAMPLES_MAX as u64);
        columns
    }
}

impl Columns {
    /// Forgets all, for columns of about this length.
    fn start(&mut self, length: u64) {
        let samples = COLUMNS_MIN * CHUNK_SAMPLES_MAX;
        let count = samples / usize::try_from(length).unwrap_or(usize::MAX).max(1);
        let count = count.clamp(COLUMNS_MIN, COLUMNS_MAX).next_power_of_two();
        if count != self.places.len() {
            self.places.clear();
            self.places.resize_with(count, Column::default);
        }
        self.places.iter_mut().for_each(|place| place.address = None);
    }

    /// The timestamps of a column, if they are there.
    pub fn peek(&self, address: u32) -> Option<&[i64]> {
        let mut places = self.places[self.first(address)..].iter().take(WAYS);
        places.find(|place| place.address == Some(address)).map(|place| &place.timestamps[..])
    }

    /// The timestamps of a column; `fill` decodes them if they are not there.
    pub fn get<E>(
        &mut self,
        address: u32,
        fill: impl FnOnce(&mut Vec<i64>) -> Result<(), E>,
    ) -> Result<&[i64], E> {
        let first = self.first(address);
        let ways = &mut self.places[first..first + WAYS];
        let known = ways.iter().position(|place| place.address == Some(address));
        let free = || ways.iter().position(|place| place.address.is_none());
        let way = known.or_else(free).unwrap_or_else(|| {
            self.expelled += 1;
            self.expelled % WAYS
        });
        let place = &mut ways[way];
        if place.address != Some(address) {
            place.address = None;
            place.timestamps.clear();
            fill(&mut place.timestamps)?;
            place.address = Some(address);
        }
        Ok(&place.timestamps)
    }

    /// The first of a column's places. Multiplicative hashing: addresses of one file differ in all bits.
    fn first(&self, address: u32) -> usize {
        (address.wrapping_mul(0x9e37_79b1) >> 16) as usize % (self.places.len() / WAYS) * WAYS
    }
}
