//! Space kept aside: on a full disk it lets a flush, a retention or a deletion finish, which then free
//! more. Writes are refused meanwhile; reads go on.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::StorageError;
use crate::files::Files;

pub(super) struct Reserve {
    files: Arc<dyn Files>,
    path: PathBuf,
    bytes: u64,
    held: AtomicBool,
}

impl Reserve {
    /// Keeps so many bytes of the disk that `dir` is on; none if they are not there.
    pub fn new(files: Arc<dyn Files>, dir: &Path, bytes: u64) -> Self {
        let path = dir.join("reserve");
        let reserve = Self { files, path, bytes, held: AtomicBool::new(false) };
        reserve.hold();
        reserve
    }

    /// Takes the space if there is as much.
    pub fn hold(&self) {
        if self.held.load(Ordering::Relaxed) {
            return;
        }
        match self.take() {
            Ok(held) => self.held.store(held, Ordering::Relaxed),
            Err(error) => {
                // A partly filled one would only take space from the log.
                let _ = self.files.remove(&self.path);
                tracing::warn!(path = %self.path.display(), %error, "no space to keep aside");
            }
        }
    }

    fn take(&self) -> io::Result<bool> {
        match self.files.remove(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if self.bytes == 0 {
            return Ok(false);
        }
        let file = self.files.create(&self.path)?;
        file.allocate(self.bytes)?;
        file.sync_data()?;
        Ok(true)
    }

    /// Does something that may need space; on a full disk once more with what was kept aside.
    pub fn spend<T>(&self, act: impl Fn() -> Result<T, StorageError>) -> Result<T, StorageError> {
        let done = act();
        let full = done.as_ref().is_err_and(StorageError::is_full);
        if !full || !self.held.swap(false, Ordering::Relaxed) {
            return done;
        }
        tracing::warn!("the disk is full: using the space kept aside");
        self.files
            .remove(&self.path)
            .map_err(|error| StorageError::io("remove", &self.path, error))?;
        act()
    }
}
