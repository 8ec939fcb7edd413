//! What can go wrong with a chunk file, and where.

use std::io;
use std::path::{Path, PathBuf};

/// The variants are what a caller does differently: report and retry, quarantine, refuse, fix.
#[derive(Debug, thiserror::Error)]
pub enum ChunkFileError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    /// The stored bytes are not what was written.
    #[error("{path}: damaged at offset {offset}: {what}")]
    Damaged { path: PathBuf, offset: u64, what: String },
    /// Written by another version of the program.
    #[error("{path}: {what} {found} is not supported")]
    Unsupported { path: PathBuf, what: &'static str, found: u16 },
    #[error("series {series}: timestamps do not ascend or columns differ in length")]
    MalformedSamples { series: u32 },
    #[error("a series was added twice")]
    DuplicateSeries,
    #[error("more than {limit} bytes of {what} in one file")]
    TooLarge { what: &'static str, limit: u64 },
}

impl ChunkFileError {
    pub fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    /// A read that failed: beyond the end is damage, as the file once was longer.
    pub fn read(path: &Path, offset: u64, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::UnexpectedEof => Self::damaged(path, offset, "the file ends too early"),
            _ => Self::io(path, source),
        }
    }

    pub fn damaged(path: &Path, offset: u64, what: impl ToString) -> Self {
        Self::Damaged { path: path.to_owned(), offset, what: what.to_string() }
    }
}
