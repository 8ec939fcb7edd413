//! Blocks and directory pages that were read and verified: reading one again costs neither a call of
//! the kernel nor a checksum.
//!
//! Bounded in bytes; what is read once does not push out what is read often (S3-FIFO).

use std::sync::Arc;

use metricstor_memory::{Budget, Permit};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::metrics::Metrics;

/// What an entry takes besides its bytes, about.
const ENTRY_SIZE: usize = 96;
/// To size the tables at the start.
const USUAL_SIZE: usize = 1024;

/// The file's number in this process, and the offset.
type Place = (u64, u64);

/// See the module.
pub struct BlockCache {
    blocks: Cache<Place, Arc<[u8]>, Size>,
    metrics: Arc<Metrics>,
    /// The whole of it counts from the start: what is not yet used will be.
    _permit: Permit,
}

#[derive(Clone)]
struct Size;

impl Weighter<Place, Arc<[u8]>> for Size {
    fn weight(&self, _: &Place, block: &Arc<[u8]>) -> u64 {
        (ENTRY_SIZE + block.len()) as u64
    }
}

impl BlockCache {
    /// A cache of at most so many bytes, which are a part of the `budget` from now on.
    pub fn new(bytes: usize, budget: &Arc<Budget>, metrics: Arc<Metrics>) -> Self {
        let mut permit = budget.permit();
        permit.set(bytes);
        Self {
            blocks: Cache::with_weighter(bytes / USUAL_SIZE, bytes as u64, Size),
            metrics,
            _permit: permit,
        }
    }

    /// Bytes in use.
    pub fn size(&self) -> u64 {
        self.blocks.weight()
    }

    /// The `size` verified bytes at `offset` of a file.
    pub(super) fn get(&self, file: u64, offset: u64, size: usize) -> Option<Arc<[u8]>> {
        self.blocks.get(&(file, offset)).filter(|block| block.len() == size)
    }

    pub(super) fn put(&self, file: u64, offset: u64, verified: Arc<[u8]>) {
        self.metrics.blocks_read.add(1);
        self.blocks.insert((file, offset), verified);
    }
}
