//! Sequential writing with a running SHA-256; the file becomes visible only when it is complete
//! and durable.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::format::{CHECKSUM_SIZE, FileMeta};
use super::{ChunkFileError, EXTENSION, TEMPORARY};
use crate::files::{File, Files};

/// Written at once: large enough that the cost of a call disappears.
const BUFFER_SIZE: usize = 256 << 10;
/// Synced at once: the log's own syncs wait behind what a large file has in the page cache, at a
/// slow disk's 100 MB a second for some 40 ms.
const SYNC_SIZE: u64 = 4 << 20;

pub struct Output<'f> {
    files: &'f dyn Files,
    file: Arc<dyn File>,
    path: PathBuf,
    dir: PathBuf,
    buffer: Vec<u8>,
    written: u64,
    hash: Sha256,
    meta: FileMeta,
    /// Written since the last sync.
    unsynced: u64,
    published: bool,
}

/// The name and hash of a complete file.
pub struct Published {
    pub name: String,
    pub sha256: [u8; 32],
}

impl<'f> Output<'f> {
    /// Opens `new-<n>.tmp` in `dir` with the first free number: writers may run at the same time.
    pub fn create(
        files: &'f dyn Files,
        dir: &Path,
        meta: FileMeta,
    ) -> Result<Self, ChunkFileError> {
        for n in 0u32.. {
            let path = dir.join(format!("new-{n}{TEMPORARY}"));
            match files.create(&path) {
                Ok(file) => return Ok(Self::over(files, dir, meta, path, file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && n < 10_000 => {}
                Err(error) => return Err(ChunkFileError::io(&path, error)),
            }
        }
        unreachable!("the loop returns before the numbers end")
    }

    fn over(
        files: &'f dyn Files,
        dir: &Path,
        meta: FileMeta,
        path: PathBuf,
        file: Arc<dyn File>,
    ) -> Self {
        let buffer = Vec::with_capacity(BUFFER_SIZE + (BUFFER_SIZE >> 2));
        let (dir, hash) = (dir.to_owned(), Sha256::new());
        let (written, unsynced, published) = (0, 0, false);
        Self { files, file, path, dir, buffer, written, hash, meta, unsynced, published }
    }

    /// The checksum of bytes at a place of the file.
    pub fn checksum(&self, bytes: &[u8], place: u64) -> u32 {
        self.meta.checksum(bytes, place)
    }

    /// Where the next byte goes.
    pub fn offset(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Appends what `put` appends; returns its size.
    pub fn put(&mut self, put: impl FnOnce(&mut Vec<u8>)) -> Result<usize, ChunkFileError> {
        let before = self.buffer.len();
        put(&mut self.buffer);
        let size = self.buffer.len() - before;
        self.flush_if(BUFFER_SIZE)?;
        Ok(size)
    }

    /// The same followed by its checksum, which the size leaves out.
    pub fn put_checked(&mut self, put: impl FnOnce(&mut Vec<u8>)) -> Result<usize, ChunkFileError> {
        let (meta, place) = (self.meta, self.offset());
        let size = self.put(|buffer| {
            let before = buffer.len();
            put(buffer);
            let checksum = meta.checksum(&buffer[before..], place);
            buffer.extend_from_slice(&checksum.to_le_bytes());
        })?;
        Ok(size - CHECKSUM_SIZE)
    }

    fn flush_if(&mut self, size: usize) -> Result<(), ChunkFileError> {
        if self.buffer.len() >= size {
            self.hash.update(&self.buffer);
            let written = self.file.write_all_at(&self.buffer, self.written);
            written.map_err(|error| ChunkFileError::io(&self.path, error))?;
            self.written += self.buffer.len() as u64;
            self.unsynced += self.buffer.len() as u64;
            self.buffer.clear();
        }
        if self.unsynced >= SYNC_SIZE {
            self.file.sync_data().map_err(|error| ChunkFileError::io(&self.path, error))?;
            self.unsynced = 0;
        }
        Ok(())
    }

    /// Durable content, then the name, then the durable name.
    pub fn publish(mut self) -> Result<Published, ChunkFileError> {
        self.flush_if(1)?;
        let sha256: [u8; 32] = self.hash.clone().finalize().into();
        let hex: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        let name = format!("{hex}{EXTENSION}");
        let io = |error| ChunkFileError::io(&self.path, error);
        self.file.sync_data().map_err(io)?;
        self.files.rename(&self.path, &self.dir.join(&name)).map_err(io)?;
        self.published = true;
        self.files.sync_dir(&self.dir).map_err(|error| ChunkFileError::io(&self.dir, error))?;
        Ok(Published { name, sha256 })
    }
}

impl Drop for Output<'_> {
    fn drop(&mut self) {
        if !self.published {
            // Only tidiness: a leftover is recognised by its name and removed at the next start.
            let _ = self.files.remove(&self.path);
        }
    }
}
