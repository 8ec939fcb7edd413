//! A catalog that is gone or wrong stops the start; what it named stays on the disk.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::path::{Path, PathBuf};

use metricstor_storage::StorageError;

mod support;
use support::{NOW, everything, open, open_at, write};

fn shard_files(dir: &Path, name: &str) -> Vec<PathBuf> {
    let shards = std::fs::read_dir(dir.join("shards")).unwrap();
    shards.map(|shard| shard.unwrap().path().join(name)).collect()
}

fn chunk_files(dir: &Path) -> Vec<PathBuf> {
    let folders = shard_files(dir, "chunks");
    let inside = |folder: PathBuf| std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path());
    let mut files: Vec<PathBuf> = folders.into_iter().flat_map(inside).collect();
    files.sort();
    files
}

#[test]
fn no_chunk_file_is_taken_for_a_leftover() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let rows: Vec<_> = (0..100).map(|i| (format!("__name__=m,i={i}"), NOW, 1.0)).collect();
    write(&store, &rows).unwrap();
    store.compact().unwrap();
    let expected = everything(&store);
    store.close();
    drop(store);
    let files = chunk_files(dir.path());
    assert!(!files.is_empty());
    let catalogs = shard_files(dir.path(), "index.db");
    let kept: Vec<Vec<u8>> = catalogs.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let lose: [fn(&Path); 3] = [
        |path| std::fs::remove_file(path).unwrap(),
        |path| std::fs::write(path, "").unwrap(),
        |path| {
            std::fs::write(path, "not a database, but long enough to be one".repeat(99)).unwrap()
        },
    ];
    for lose in lose {
        catalogs.iter().for_each(|path| lose(path));
        for _ in 0..2 {
            let error = open_at(dir.path(), NOW).err().unwrap();
            assert!(matches!(error, StorageError::Catalog(_)), "{error}");
            assert!(error.to_string().contains("index.db"), "{error}");
            assert_eq!(chunk_files(dir.path()), files);
        }
        for (path, bytes) in catalogs.iter().zip(&kept) {
            std::fs::write(path, bytes).unwrap();
        }
    }
    assert_eq!(everything(&open(dir.path())), expected);
}
