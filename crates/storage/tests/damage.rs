//! Damage of every kind, anywhere in a data directory: the start is refused naming the file, or what
//! can be read is exactly what was written and the rest is named. Never a wrong sample, never a panic.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metricstor_model::{Matcher, Samples, SelectError, SeriesSet, TimeRange};
use metricstor_storage::files::Disk;
use metricstor_storage::{StorageError, Store, StoreConfig};

mod support;
use support::{NOW, Row, everything, open_with, write};

type Model = BTreeMap<String, BTreeMap<i64, u64>>;

/// What became of a damaged directory.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
enum Answer {
    /// The start was refused, naming the file.
    Refused,
    /// Some series cannot be read, and the error names the file; the others can.
    Named,
    /// Nothing of it matters.
    Harmless,
}

fn open(dir: &Path) -> Result<Store, StorageError> {
    static STARTS: AtomicU64 = AtomicU64::new(1);
    let change = |config: &mut StoreConfig| {
        config.shards = 2;
        config.node_id = STARTS.fetch_add(1, Ordering::Relaxed).into();
    };
    open_with(dir, Arc::new(Disk), NOW, change).map(|(store, _)| store)
}

fn rows(first: i64, last: i64) -> Vec<Row> {
    let row = |i: i64, step: i64| {
        let value = ((i * 1000 + step) as f64).sqrt();
        (format!("__name__=m{},i={i}", i % 3), NOW - 4_000_000 + step * 15_000, value)
    };
    (first..last).flat_map(|step| (0..12).map(move |i| row(i, step))).collect()
}

/// A directory with samples in files and in the log, closed.
fn original() -> (tempfile::TempDir, Model) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let mut model = Model::new();
    for (first, last) in [(0, 100), (100, 200), (200, 230)] {
        let rows = rows(first, last);
        write(&store, &rows).unwrap();
        if last <= 200 {
            store.compact().unwrap();
        }
        for (labels, timestamp, value) in rows {
            model.entry(labels).or_default().insert(timestamp, value.to_bits());
        }
    }
    store.close();
    (dir, model)
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

fn files(dir: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, suffix));
        } else if path.to_str().unwrap().ends_with(suffix) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Damages a copy and looks at it.
fn answer(original: &Path, model: &Model, file: &Path, damage: &dyn Fn(&Path)) -> Answer {
    let dir = tempfile::tempdir().unwrap();
    copy(original, dir.path());
    let damaged = dir.path().join(file);
    damage(&damaged);
    let store = match open(dir.path()) {
        Ok(store) => store,
        Err(error) => {
            // A missing segment is known by the name it should have; node.json by whose the log is.
            let text = format!("{error} {:?}", std::error::Error::source(&error));
            let named = [".seg", "index.db", ".mc", "node.json", "wal"];
            assert!(named.iter().any(|name| text.contains(name)), "{text}");
            return Answer::Refused;
        }
    };
    let selection = store.select(&[Matcher::equal("__none__", "")]).unwrap();
    assert_eq!(selection.len(), model.len(), "{}", file.display());
    let mut unread = 0;
    let mut samples = Samples::default();
    for i in 0..selection.len() {
        let pairs: Vec<String> =
            selection.labels(i).iter().map(|(n, v)| format!("{n}={v}")).collect();
        match selection.read(i, TimeRange::ALL, &mut samples) {
            Ok(()) => {
                let values = samples.values.iter().map(|value| value.to_bits());
                let found: BTreeMap<i64, u64> =
                    samples.timestamps.iter().copied().zip(values).collect();
                assert_eq!(found, model[&pairs.join(",")]);
            }
            Err(SelectError::Damaged(text)) => {
                assert!(text.contains(".mc") && text.contains("offset"), "{text}");
                unread += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    if unread == 0 {
        return Answer::Harmless;
    }
    assert!(store.quarantined().iter().all(|(file, places)| file.ends_with(".mc") && *places > 0));
    assert!(!store.quarantined().is_empty());
    // What is damaged does not keep the rest from being looked after.
    let _ = store.compact();
    store.compact().unwrap();
    Answer::Named
}

fn count(answers: impl Iterator<Item = Answer>) -> BTreeMap<Answer, usize> {
    let mut counts = BTreeMap::new();
    answers.for_each(|answer| *counts.entry(answer).or_default() += 1);
    counts
}

/// Flips one bit at every `step`th byte of the first file with this suffix.
fn flip(suffix: &str, step: usize, upto: usize) -> BTreeMap<Answer, usize> {
    let (dir, model) = original();
    let path = files(dir.path(), suffix)[0].clone();
    let file = path.strip_prefix(dir.path()).unwrap();
    let size = (path.metadata().unwrap().len() as usize).min(upto);
    count((0..size).step_by(step).map(|at| {
        answer(dir.path(), &model, file, &|path| {
            let mut bytes = std::fs::read(path).unwrap();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(path, bytes).unwrap();
        })
    }))
}

#[test]
fn a_flipped_bit_in_a_chunk_file() {
    let answers = flip(".mc", 31, usize::MAX);
    assert!(answers[&Answer::Refused] > 2, "{answers:?}");
    assert!(answers[&Answer::Named] > 20, "{answers:?}");
}

#[test]
fn a_flipped_bit_in_the_log() {
    let answers = flip(".seg", 29, 6000);
    assert!(answers[&Answer::Refused] > 20, "{answers:?}");
    assert!(!answers.contains_key(&Answer::Named), "{answers:?}");
}

#[test]
fn a_flipped_bit_in_a_catalog() {
    let answers = flip("index.db", 401, usize::MAX);
    assert!(answers[&Answer::Refused] > 0, "{answers:?}");
    assert!(!answers.contains_key(&Answer::Named), "{answers:?}");
}

#[test]
fn a_flipped_bit_in_node_json() {
    let answers = flip("node.json", 1, usize::MAX);
    assert!(answers[&Answer::Refused] > 20, "{answers:?}");
}

#[test]
fn a_file_that_is_cut_off_or_gone() {
    let (dir, model) = original();
    for suffix in [".mc", ".seg", "index.db", "node.json"] {
        for path in files(dir.path(), suffix) {
            let file = path.strip_prefix(dir.path()).unwrap();
            let size = path.metadata().unwrap().len();
            for len in [0, 1, 50, size / 2, size - 1] {
                let cut = |path: &Path| {
                    std::fs::OpenOptions::new()
                        .write(true)
                        .open(path)
                        .unwrap()
                        .set_len(len)
                        .unwrap();
                };
                let found = answer(dir.path(), &model, file, &cut);
                // The last byte of a database's last page may be one that nobody uses.
                let unused = suffix == "index.db" && len == size - 1 && found == Answer::Harmless;
                assert!(found == Answer::Refused || unused, "{} cut to {len}", file.display());
            }
            let gone = |path: &Path| std::fs::remove_file(path).unwrap();
            let found = answer(dir.path(), &model, file, &gone);
            assert_eq!(found, Answer::Refused, "{} removed", file.display());
        }
    }
    assert_eq!(answer(dir.path(), &model, Path::new("node.json"), &|_| ()), Answer::Harmless);
}

#[test]
fn what_is_unreadable_can_be_written_again_and_deleted() {
    let (dir, _) = original();
    let path = files(dir.path(), ".mc")[0].clone();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[60] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let store = open(dir.path()).unwrap();
    // The sender's retry of what cannot be compared any more is stored.
    let outcome = write(&store, &rows(0, 230)).unwrap();
    assert_eq!(outcome.first_refusal, None);
    store.delete(&[vec![Matcher::equal("__name__", "m0")]], TimeRange::ALL).unwrap();
    let selection = store.select(&[Matcher::equal("__name__", "m1")]).unwrap();
    assert_eq!(selection.len(), 4);
    drop(store);
    drop(open(dir.path()).unwrap());
}

/// By an operator in need of space, say.
#[test]
fn a_file_that_somebody_else_deleted_leaves_no_others_behind() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) =
        open_with(dir.path(), Arc::new(Disk), NOW, |config| config.shards = 1).unwrap();
    let mut model = BTreeMap::new();
    for round in 0..2 {
        let rows = rows(round * 10, round * 10 + 10);
        write(&store, &rows).unwrap();
        model.extend(rows.into_iter().map(|(l, t, value)| ((l, t), value.to_bits())));
        if let [file] = &files(dir.path(), ".mc")[..] {
            std::fs::remove_file(file).unwrap();
        }
        store.compact().unwrap();
    }
    assert_eq!(files(dir.path(), ".mc").len(), 1);
    assert_eq!(everything(&store), model);
}
