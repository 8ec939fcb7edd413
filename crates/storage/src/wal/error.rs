//! What can go wrong with the log, by what the caller can do about it. No variant hides a loss:
//! damage names the file and the offset, and nothing is shortened for it.

use std::io;
use std::path::{Path, PathBuf};

/// Why the log refuses.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Nothing was appended; the same call may succeed once there is space.
    #[error("no space left for the log at {}", path.display())]
    Full { path: PathBuf, source: io::Error },

    /// The disk failed. The log accepts no further write until it is opened anew.
    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },

    /// An earlier write or fsync failed, so the file's state is unknown.
    #[error("the log stopped after an earlier disk error; restart to recover it")]
    Poisoned,

    /// Bytes that were durable have changed.
    #[error(
        "log segment {} is damaged at byte {offset}: {what}; restore the file from a copy, or give \
         up what follows by moving it and all later segments away",
        path.display()
    )]
    Damaged { path: PathBuf, offset: u64, what: &'static str },

    /// A segment whose entries are still needed is not there.
    #[error(
        "log segment {} is missing; restore the file from a copy, or give up the log by moving all \
         its segments away",
        path.display()
    )]
    Missing { path: PathBuf },

    /// The folder holds the log of another node.
    #[error("log segment {} belongs to another node ({found:032x})", path.display())]
    Foreign { path: PathBuf, found: u128 },

    /// Written by a later version of this program.
    #[error("log segment {} needs a newer version: {what} at byte {offset}", path.display())]
    Newer { path: PathBuf, offset: u64, what: &'static str },

    /// The entry does not follow the group's last one.
    #[error("entry {term}.{index} of group {group} does not follow {last}")]
    OutOfOrder { group: u32, term: u64, index: u64, last: String },

    #[error("{what} of {bytes} bytes exceeds the limit of {limit} bytes")]
    TooLarge { what: &'static str, bytes: u64, limit: u64 },

    /// The entry is purged, or was never appended.
    #[error("group {group} has no entry {index}")]
    NoEntry { group: u32, index: u64 },
}

impl LogError {
    /// An I/O error as the caller must see it: a full disk is no damage.
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> LogError {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                LogError::Full { path, source }
            }
            _ => LogError::Io { action, path, source },
        }
    }

    /// An I/O error after which the state of the disk is unknown, whatever its kind.
    pub(super) fn fatal(action: &'static str, path: &Path, source: io::Error) -> LogError {
        LogError::Io { action, path: path.to_path_buf(), source }
    }

    pub(super) fn damaged(path: &Path, offset: u32, what: &'static str) -> LogError {
        LogError::Damaged { path: path.to_path_buf(), offset: offset.into(), what }
    }
}
