//! A shard's storage: log, head, chunk files, index.
//!
//! Floor 1 (disk): synchronous; files go through [`files`], time is an argument.

mod chunk_file;
pub mod files;
pub mod wal;
