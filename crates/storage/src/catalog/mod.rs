//! The catalog: a shard's SQLite database. It is the durable series table and the manifest of chunk
//! files; never on the path of a sample.
//!
//! One transaction publishes a flush or a merge: new series, files added and removed, log position.

mod block;
mod connection;
mod query;
mod schema;
mod tombstone;
mod write;

use std::path::{Path, PathBuf};

use rusqlite::Connection;

pub(crate) use block::{Block, BlockBuilder};
pub(crate) use write::Publication;

/// See the module; one connection, owned by whoever maintains the shard.
pub(crate) struct Catalog {
    connection: Connection,
    path: PathBuf,
}

/// Why the catalog cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    #[error("catalog {}: {source}", path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
    #[error("cannot {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error("catalog {} is damaged: {reason}; restore the file from a backup", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error(
        "catalog {} has format {found}, this program reads {expected}: use the program that wrote it",
        path.display()
    )]
    Version { path: PathBuf, found: u32, expected: u32 },
    #[error(
        "catalog {} is missing or empty, but its shard has chunk files: restore it from a backup, \
         or move the files away to give them up",
        path.display()
    )]
    Missing { path: PathBuf },
    #[error("catalog {} belongs to shard {found}, not {expected}", path.display())]
    OtherShard { path: PathBuf, found: u32, expected: u32 },
}

impl Catalog {
    fn error(&self, source: rusqlite::Error) -> CatalogError {
        sqlite_error(&self.path, source)
    }

    fn damaged(&self, reason: impl Into<String>) -> CatalogError {
        CatalogError::Damaged { path: self.path.clone(), reason: reason.into() }
    }
}

/// SQLite's own word for damage becomes ours.
fn sqlite_error(path: &Path, source: rusqlite::Error) -> CatalogError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match source.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => {
            CatalogError::Damaged { path: path.to_owned(), reason: source.to_string() }
        }
        _ => CatalogError::Sqlite { path: path.to_owned(), source },
    }
}

#[cfg(test)]
mod measure;
#[cfg(test)]
mod tests;
