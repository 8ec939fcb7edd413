//! What a reader keeps between reads of one file: the directory page, a window, columns.

use std::sync::Arc;

use super::block_cache::BlockCache;
use super::directory::Entry;
use super::extent::Extent;
use super::window::Window;
use super::{CHUNK_SAMPLES_MAX, ChunkFile};

/// Places for decoded columns. A file of scrapes has one per target and chunk, and each of a target's
/// series has it.
const COLUMNS: usize = 2048;
/// Those for one column to be in.
const WAYS: usize = 4;
/// Timestamps kept, of all columns together: 4 MiB.
const TIMESTAMPS_MAX: usize = 64 * CHUNK_SAMPLES_MAX;

/// Pages of columns kept: series of one metric have the columns of many targets.
const COLUMN_PAGES: usize = 16;

/// Buffers for [`ChunkFile::read`](super::ChunkFile::read); one per reading thread, fastest when used for one file.
///
/// At most about 6 MiB, and only after reading that much.
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
            self.columns.forget();
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

/// Decoded columns by address. Each address has a few places, so that no two that are used in turns
/// expel each other; all together have a bound, however long columns are.
#[derive(Default)]
pub struct Columns {
    places: Vec<Column>,
    /// Timestamps that there is room for.
    room: usize,
    /// Where expelling went on to last, among all places and among those of one address.
    hand: usize,
    way: usize,
}

#[derive(Default)]
struct Column {
    address: Option<u32>,
    timestamps: Vec<i64>,
}

impl Columns {
    /// Forgets all; their room stays.
    fn forget(&mut self) {
        self.places.iter_mut().for_each(|place| place.address = None);
    }

    /// The timestamps of a column, if they are there.
    pub fn peek(&self, address: u32) -> Option<&[i64]> {
        let mut places = self.places.iter().skip(first_place(address)).take(WAYS);
        places.find(|place| place.address == Some(address)).map(|place| &place.timestamps[..])
    }

    /// The timestamps of a column; `fill` decodes them if they are not there.
    pub fn get<E>(
        &mut self,
        address: u32,
        fill: impl FnOnce(&mut Vec<i64>) -> Result<(), E>,
    ) -> Result<&[i64], E> {
        self.places.resize_with(COLUMNS, Column::default);
        let at = self.place(address);
        let place = &mut self.places[at];
        if place.address != Some(address) {
            place.address = None;
            place.timestamps.clear();
            let before = place.timestamps.capacity();
            let filled = fill(&mut place.timestamps);
            self.room += place.timestamps.capacity() - before;
            filled?;
            place.address = Some(address);
            self.expel_others(at);
        }
        Ok(&self.places[at].timestamps)
    }

    /// The place where a column is, or is to be.
    fn place(&mut self, address: u32) -> usize {
        let first = first_place(address);
        let ways = &self.places[first..first + WAYS];
        let known = ways.iter().position(|place| place.address == Some(address));
        let free = || ways.iter().position(|place| place.address.is_none());
        let way = known.or_else(free).unwrap_or_else(|| {
            self.way = (self.way + 1) % WAYS;
            self.way
        });
        first + way
    }

    /// Gives back the room of others until all are within the bound.
    fn expel_others(&mut self, at: usize) {
        while self.room > TIMESTAMPS_MAX {
            self.hand = (self.hand + 1) % COLUMNS;
            if self.hand != at {
                let expelled = std::mem::take(&mut self.places[self.hand]);
                self.room -= expelled.timestamps.capacity();
            }
        }
    }
}

/// The first of a column's places. Fibonacci hashing, by the highest bits: addresses that lie about as
/// far apart from each other are spread evenly.
fn first_place(address: u32) -> usize {
    const BITS: u32 = (COLUMNS / WAYS).ilog2();
    (address.wrapping_mul(0x9e37_79b1) >> (u32::BITS - BITS)) as usize * WAYS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Timestamps that a column of this address has.
    fn fill(address: u32, length: usize) -> impl FnOnce(&mut Vec<i64>) -> Result<(), ()> {
        move |out| {
            out.extend((0..length as i64).map(|i| i + i64::from(address)));
            Ok(())
        }
    }

    #[test]
    fn columns_of_any_length_keep_to_one_bound() {
        let mut columns = Columns::default();
        for round in 0..3 {
            for address in 0..3 * COLUMNS as u32 {
                let length = if address % 2 == 0 { CHUNK_SAMPLES_MAX } else { 1 + round };
                let column = columns.get(address, fill(address, length)).unwrap();
                assert_eq!((column.len(), column[0]), (length, i64::from(address)));
                let room = columns.places.iter().map(|place| place.timestamps.capacity());
                assert_eq!(room.sum::<usize>(), columns.room);
                assert!(columns.room <= TIMESTAMPS_MAX);
            }
            columns.forget();
        }
    }

    #[test]
    fn short_columns_of_a_thousand_targets_stay_and_a_failed_one_does_not() {
        let mut columns = Columns::default();
        let decoded = (0..2).map(|_| {
            let mut decoded = 0;
            for address in (0..1000).map(|i| i * 23) {
                let fill = |out: &mut Vec<i64>| {
                    decoded += 1;
                    fill(address, 60)(out)
                };
                columns.get(address, fill).unwrap();
            }
            decoded
        });
        let [first, second] = decoded.collect::<Vec<usize>>()[..] else { panic!() };
        assert_eq!(first, 1000);
        assert!(second < 200, "{second}");
        columns.get(7, |_| Err(())).unwrap_err();
        assert_eq!(columns.peek(7), None);
    }
}
