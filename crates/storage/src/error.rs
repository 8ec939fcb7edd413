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
    /// The log no longer has what the catalog does not have yet.
    #[error(
        "the catalog of shard {shard} ends at entry {flushed}, but the log begins after entry \
         {purged}: one of index.db and wal is older than the other, restore both from one copy"
    )]
    OldCatalog { shard: u32, flushed: u64, purged: u64 },
    /// A merge was given up for a stop; nothing is lost by that.
    #[error("the store is shutting down")]
    Stopped,
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

    /// Was there no space for it?
    pub(crate) fn is_full(&self) -> bool {
        let full = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        };
        match self {
            Self::Io { source, .. } | Self::ChunkFile(ChunkFileError::Io { source, .. }) => {
                full(source)
            }
            Self::Catalog(CatalogError::Sqlite { source, .. }) => {
                source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
            }
            Self::Log(LogError::Full { .. }) => true,
            _ => false,
        }
    }
}
