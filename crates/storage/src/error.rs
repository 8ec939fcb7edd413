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
    /// What the catalogs say is in files up to a place in the log that the log does not reach.
    #[error(
        "the log in {} ends before entry {expected} of shard {shard}, which the catalog has seen: \
         restore the folder from a copy; or give up what only the log held by creating an empty \
         file {} and starting again",
        dir.display(), dir.join(crate::store::GIVE_UP).display()
    )]
    LostLog { dir: PathBuf, shard: u32, expected: u64 },
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
