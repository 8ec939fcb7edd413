//! Blocks, columns and directory pages that were read and verified: reading one again costs no call of
//! the kernel, of a block no checksum, of a directory page no decoding.
//!
//! Bounded in bytes; what is read once does not push out what is read often (S3-FIFO).

use std::sync::Arc;

use metricstor_memory::{Budget, Permit};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::directory::Entry;
use crate::metrics::Metrics;

/// What an entry takes besides its bytes, about.
const ENTRY_SIZE: usize = 96;
/// To size the tables at the start.
const USUAL_SIZE: usize = 1024;
/// What part of the bytes is for directory pages. A page stands for 32 blocks and takes as much as one
/// or two of them.
const PAGES_PART: usize = 8;

/// The file's number in this process, and the offset.
type Place = (u64, u64);

/// See the module.
pub struct BlockCache {
    blocks: Cache<Place, Arc<[u8]>, Size>,
    pages: Cache<Place, Arc<[Entry]>, Size>,
    metrics: Arc<Metrics>,
    /// The whole of it counts from the start: what is not yet used will be.
    _permit: Permit,
}

#[derive(Clone)]
struct Size;

impl<T> Weighter<Place, Arc<[T]>> for Size {
    fn weight(&self, _: &Place, content: &Arc<[T]>) -> u64 {
        (ENTRY_SIZE + size_of_val(&**content)) as u64
    }
}

impl BlockCache {
    /// A cache of at most so many bytes, which are a part of the `budget` from now on.
    pub fn new(bytes: usize, budget: &Arc<Budget>, metrics: Arc<Metrics>) -> Self {
        let mut permit = budget.permit();
        permit.set(bytes);
        let pages = bytes / PAGES_PART;
        let blocks = bytes - pages;
        Self {
            blocks: Cache::with_weighter(blocks / USUAL_SIZE, blocks as u64, Size),
            pages: Cache::with_weighter(pages / USUAL_SIZE, pages as u64, Size),
            metrics,
            _permit: permit,
        }
    }

    /// Bytes in use.
    pub fn size(&self) -> u64 {
        self.blocks.weight() + self.pages.weight()
    }

    /// The `size` verified bytes at `offset` of a file.
    pub(super) fn get(&self, file: u64, offset: u64, size: usize) -> Option<Arc<[u8]>> {
        self.blocks.get(&(file, offset)).filter(|block| block.len() == size)
    }

    /// The directory page at `offset` of a file.
    pub(super) fn page(&self, file: u64, offset: u64) -> Option<Arc<[Entry]>> {
        self.pages.get(&(file, offset))
    }

    pub(super) fn put_page(&self, file: u64, offset: u64, page: Arc<[Entry]>) {
        self.metrics.blocks_read.add(1);
        self.pages.insert((file, offset), page);
    }

    pub(super) fn put(&self, file: u64, offset: u64, verified: Arc<[u8]>) {
        self.metrics.blocks_read.add(1);
        self.blocks.insert((file, offset), verified);
    }
}
