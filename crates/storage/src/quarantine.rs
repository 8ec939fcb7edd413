//! Damaged places in chunk files: remembered, so that each is reported once, shown in metrics, and
//! kept out of merges. Other series of the file, and other files, stay readable.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::chunk_file::ChunkFileError;

/// Places remembered per file; more change nothing.
const PLACES_MAX: usize = 10_000;

/// The damaged places of a shard's files, by file name and offset.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    places: Mutex<BTreeMap<String, BTreeSet<u64>>>,
}

impl Quarantine {
    /// Remembers the place if the error is damage; true when it is news.
    pub fn note(&self, error: &ChunkFileError) -> bool {
        let ChunkFileError::Damaged { path, offset, .. } = error else { return false };
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let file = places.entry(name(path).to_owned()).or_default();
        file.len() < PLACES_MAX && file.insert(*offset)
    }

    /// Is a place of this file damaged?
    pub fn has(&self, path: &Path) -> bool {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.contains_key(name(path))
    }

    /// Forgets a file that was deleted.
    pub fn forget(&self, file: &str) {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).remove(file);
    }

    /// Damaged files and how many places of each are known.
    pub fn files(&self) -> Vec<(String, usize)> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.iter().map(|(file, places)| (file.clone(), places.len())).collect()
    }
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}
