//! What can go wrong in storage, by what an operator can do about it.

use std::io;
use std::path::PathBuf;

use crate::catalog::CatalogError;
use crate::chunk_file::ChunkFileError;
use crate::wal::LogError;

/// See the variants; each message names the file and the next step where there is one.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("cannot {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("data directory {} is in use by another process: stop it, or choose another directory", .0.display())]
    InUse(PathBuf),
    #[error("{} is not a data directory of this version: {reason}", path.display())]
    Format { path: PathBuf, reason: String },
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    ChunkFile(#[from] ChunkFileError),
}

impl StorageError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io { action, path: path.into(), source }
    }
}
