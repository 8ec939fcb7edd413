//! The file layer: every file operation of log and chunk files goes through these traits, so that
//! tests can lose power at any point. SQLite keeps its own files.

mod disk;
#[cfg(any(test, feature = "simulation"))]
pub mod simulated;

use std::io;
use std::path::Path;
use std::sync::Arc;

pub use disk::Disk;
#[cfg(any(test, feature = "simulation"))]
pub use simulated::Simulated;

/// A folder tree on a disk, real or simulated. All paths are absolute or relative to the process.
pub trait Files: Send + Sync + 'static {
    /// Creates a new file for reading and writing; fails if it exists.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Opens an existing file for reading and writing; refuses a symbolic link.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// The names in a folder, in no particular order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Creates a folder and its parents, durably; succeeds if it exists.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Replaces `to`. Durable only after `sync_dir` of the folder; both paths share one.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Durable only after `sync_dir` of the folder.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes creations, renames and removals in this folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Bytes that this process may still take of the disk that an existing folder is on.
    fn free(&self, dir: &Path) -> io::Result<u64>;
}

/// One open file; offsets are explicit, so readers share it.
pub trait File: Send + Sync {
    /// Fills `buf` from `offset`, or fails with `UnexpectedEof`.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of `buf` at `offset`; after an error any part of it may have been written.
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;
    /// Makes the content (and the length) durable. After an error nothing is known about what was
    /// written since the last success, and trying again proves nothing.
    fn sync_data(&self) -> io::Result<()>;
    fn len(&self) -> io::Result<u64>;
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Reserves space up to `len` bytes and grows the file to it; new bytes read as zero.
    fn allocate(&self, len: u64) -> io::Result<()>;
}
