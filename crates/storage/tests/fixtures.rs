//! Data directories as earlier versions left them: each opens, and holds what was written.
//!
//! A version that changes a format adds one: `cargo test -p metricstor-storage --test fixtures --
//! --ignored` writes `tests/fixtures/new`, to be renamed to the version of the chunk files.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use metricstor_storage::Store;
use metricstor_storage::files::Disk;

mod support;
use support::{NOW, Row, everything, open_with, write};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn open(dir: &Path) -> Store {
    let (store, _) = open_with(dir, Arc::new(Disk), NOW, |config| {
        config.shards = 1;
        config.node_id = 0x6d65_7472_6963_7374_6f72;
        config.log_segment_bytes = 64 << 10;
    })
    .unwrap();
    store
}

/// What every fixture holds: the first hundred steps in a file, the rest in the log.
fn rows(first: i64, last: i64) -> Vec<Row> {
    let row = |i: i64, step: i64| {
        let value = if i == 3 { f64::NAN } else { ((i + 1) * step) as f64 / 8.0 };
        (format!("__name__=fixture{},i={i}", i % 2), NOW - 4_000_000 + step * 15_000, value)
    };
    (first..last).flat_map(|step| (0..5).map(move |i| row(i, step))).collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn directories_of_earlier_versions_open() {
    let expected: BTreeMap<(String, i64), u64> =
        rows(0, 120).into_iter().map(|(labels, t, value)| ((labels, t), value.to_bits())).collect();
    let mut versions = 0;
    for fixture in std::fs::read_dir(folder()).unwrap().map(Result::unwrap) {
        let dir = tempfile::tempdir().unwrap();
        copy(&fixture.path(), dir.path());
        let store = open(dir.path());
        assert_eq!(everything(&store), expected, "{}", fixture.path().display());
        assert_eq!(store.statistics().chunk_files, 1);
        store.compact().unwrap();
        assert_eq!(everything(&store), expected, "{}", fixture.path().display());
        versions += 1;
    }
    assert!(versions > 0);
}

#[test]
#[ignore = "writes a fixture"]
fn write_a_fixture() {
    let dir = folder().join("new");
    std::fs::create_dir_all(&dir).unwrap();
    let store = open(&dir);
    write(&store, &rows(0, 100)).unwrap();
    store.compact().unwrap();
    write(&store, &rows(100, 120)).unwrap();
    store.close();
    drop(store);
    std::fs::remove_file(dir.join("lock")).unwrap();
}
