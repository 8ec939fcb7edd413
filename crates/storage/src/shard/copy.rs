//! A shard's published part in another directory.

use std::fs;
use std::path::Path;

use super::Shard;
use crate::error::StorageError;

impl Shard {
    /// Links the chunk files and copies the catalog into an existing directory, and returns the log
    /// index up to which they hold everything. Nothing is published or removed meanwhile.
    pub fn copy_into(&self, dir: &Path) -> Result<u64, StorageError> {
        let maintenance = self.maintenance();
        let chunks = dir.join("chunks");
        for name in maintenance.catalog.files()? {
            let from = self.chunks_dir.join(&name);
            fs::hard_link(&from, chunks.join(&name))
                .map_err(|e| StorageError::io("link", &from, e))?;
        }
        maintenance.catalog.copy_to(&dir.join("index.db"))?;
        Ok(maintenance.catalog.flushed()?)
    }
}
