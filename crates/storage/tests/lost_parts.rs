//! A catalog or a log that is gone or wrong stops the start; what it named stays on the disk.

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
    let lose: [fn(&Path); 4] = [
        |path| std::fs::write(path, "x").unwrap(),
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

#[test]
fn a_lost_log_stops_the_start_until_it_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let rows = |from: i64| -> Vec<_> {
        (0..100).map(|i| (format!("__name__=m,i={i}"), NOW - 1000 + from, 1.0)).collect()
    };
    write(&store, &rows(0)).unwrap();
    store.compact().unwrap();
    let expected = everything(&store);
    write(&store, &rows(1)).unwrap();
    drop(store);
    let log = dir.path().join("wal");
    std::fs::remove_dir_all(&log).unwrap();
    for _ in 0..2 {
        let error = open_at(dir.path(), NOW).err().unwrap();
        assert!(matches!(error, StorageError::LostLog { .. }), "{error}");
        assert!(error.to_string().contains("give-up"), "{error}");
    }
    std::fs::write(log.join("give-up"), "").unwrap();
    let store = open(dir.path());
    assert_eq!(everything(&store), expected);
    write(&store, &rows(2)).unwrap();
    drop(store);
    assert!(!log.join("give-up").exists());
    assert_eq!(everything(&open(dir.path())).len(), 200);
}

#[test]
fn the_log_of_another_directory_is_refused() {
    let make = |id: u128| {
        let dir = tempfile::tempdir().unwrap();
        let files = std::sync::Arc::new(metricstor_storage::files::Disk);
        let (store, _) =
            support::open_with(dir.path(), files, NOW, |config| config.node_id = id).unwrap();
        write(&store, &[("__name__=m".to_owned(), NOW, 1.0)]).unwrap();
        dir
    };
    let (one, other) = (make(1), make(2));
    std::fs::remove_dir_all(one.path().join("wal")).unwrap();
    std::fs::rename(other.path().join("wal"), one.path().join("wal")).unwrap();
    let error = open_at(one.path(), NOW).err().unwrap();
    assert!(error.to_string().contains("another node"), "{error}");
}

#[test]
fn a_catalog_that_is_older_than_the_log_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let rows = |from: i64| -> Vec<_> {
        (0..100).map(|i| (format!("__name__=m,i={i}"), NOW - 1000 + from, 1.0)).collect()
    };
    write(&store, &rows(0)).unwrap();
    store.compact().unwrap();
    store.close();
    drop(store);
    let old: Vec<(PathBuf, Vec<u8>)> = ["index.db", "chunks"]
        .iter()
        .flat_map(|name| shard_files(dir.path(), name))
        .flat_map(|path| {
            if path.is_dir() {
                std::fs::read_dir(path).unwrap().map(|file| file.unwrap().path()).collect()
            } else {
                vec![path]
            }
        })
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    let store = open(dir.path());
    write(&store, &rows(1)).unwrap();
    store.compact().unwrap();
    store.close();
    drop(store);
    for folder in shard_files(dir.path(), "chunks") {
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::create_dir(&folder).unwrap();
    }
    old.iter().for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
    let error = open_at(dir.path(), NOW).err().unwrap();
    assert!(error.to_string().contains("older than the other"), "{error}");
}

#[test]
fn an_older_catalog_costs_no_chunk_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let rows = |at: i64| -> Vec<_> {
        (0..100).map(|i| (format!("__name__=m,i={i}"), NOW - 1000 + at, 1.0)).collect()
    };
    write(&store, &rows(0)).unwrap();
    store.compact().unwrap();
    store.close();
    drop(store);
    let catalogs = shard_files(dir.path(), "index.db");
    let read = || -> Vec<Vec<u8>> { catalogs.iter().map(|c| std::fs::read(c).unwrap()).collect() };
    let write_back = |all: &[Vec<u8>]| {
        catalogs.iter().zip(all).for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
    };
    let old = read();
    let store = open(dir.path());
    write(&store, &rows(1)).unwrap();
    store.compact().unwrap();
    let expected = everything(&store);
    store.close();
    drop(store);
    let (new, files) = (read(), chunk_files(dir.path()));
    write_back(&old);
    let error = open_at(dir.path(), NOW).err().unwrap();
    assert!(
        matches!(error, StorageError::OldCatalog { .. } | StorageError::ChunkFile(_)),
        "{error}"
    );
    assert_eq!(chunk_files(dir.path()), files);
    write_back(&new);
    assert_eq!(everything(&open(dir.path())), expected);
}
