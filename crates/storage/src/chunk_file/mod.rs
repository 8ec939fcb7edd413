//! Chunk files: many series' samples in one immutable, checksummed file named by its content.
//!
//! Every byte that a reader uses was covered by a checksum that it verified; damage is an error that
//! names file and offset. Layout: `formats/chunk_file.md`.

mod block_cache;
mod blocks;
mod columns;
mod directory;
mod error;
mod exemplars;
mod extent;
mod format;
mod key;
mod labels;
mod merge;
mod needed;
mod output;
mod reader;
mod scratch;
mod scrub;
mod tables;
#[cfg(test)]
mod tests;
mod window;
mod writer;

pub use block_cache::BlockCache;
pub use error::ChunkFileError;
pub use exemplars::{ExemplarCursor, Exemplars};
pub use format::{ColumnKind, DENSE_LEVEL, FileMeta, Version};
pub use key::{SeriesKey, metric_hash};
pub use merge::Merge;
pub use needed::Needed;
pub use reader::ChunkFile;
pub use scratch::Scratch;
pub use scrub::{ContentCheck, Damage, Description};
pub use writer::{ChunkFileWriter, FileSummary};

/// What a chunk file's name ends with; before it stands the SHA-256 of the content in hex.
pub const EXTENSION: &str = ".mc";
/// What the name of a file that is being written ends with; one found at start is a leftover.
pub const TEMPORARY: &str = ".tmp";

/// Samples in a chunk: a day at one sample per 15 seconds fits, and the blocks of a chunk that a
/// query does not touch are skipped anyway.
const CHUNK_SAMPLES_MAX: usize = 8192;
/// Histograms in a chunk: all are decoded together.
const CHUNK_HISTOGRAMS_MAX: usize = 512;
/// The memory that one chunk's histograms take when decoded; a chunk of a single histogram is the
/// only one allowed to be larger, which ingestion's limits prevent.
const CHUNK_HISTOGRAMS_SIZE: usize = 4 << 20;
/// Larger decoded histograms are refused as damage.
const DECODED_HISTOGRAMS_SIZE_MAX: usize = 64 << 20;
/// The bytes of a block, a column or a label frame: more is damage, not data.
const BLOCK_SIZE_MAX: u64 = 64 << 20;
