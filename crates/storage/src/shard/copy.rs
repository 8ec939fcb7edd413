//! A shard's published part in another directory.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::Shard;
use crate::catalog::{Catalog, Publication};
use crate::error::StorageError;
use crate::tombstone::Tombstone;

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
        let copy = dir.join("index.db");
        maintenance.catalog.copy_to(&copy)?;
        let flushed = maintenance.catalog.flushed()?;
        let files = self.files();
        let logged = files.tombstones().iter().filter(|t| t.position > flushed);
        let logged: Vec<Arc<Tombstone>> = logged.cloned().collect();
        let Some(last) = logged.last() else { return Ok(flushed) };
        // What hides samples of these files goes with them, and the copy's log begins behind it.
        let (tombstones, upto) = (logged.as_slice(), last.position);
        let publication = Publication { tombstones, flushed: Some(upto), ..Publication::default() };
        Catalog::open(&copy, u32::from(self.number))?.publish(publication)?;
        Ok(upto)
    }
}
