//! What is deleted is gone at once and stays gone; what is written later is kept.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metricstor_model::{Matcher, TimeRange};
use metricstor_storage::files::Disk;
use metricstor_storage::{Store, StoreConfig};

mod support;
use support::{NOW, Row, everything, open, open_with, write};

const STEP: i64 = 15_000;

fn rows(steps: std::ops::Range<i64>) -> Vec<Row> {
    let row = |series: i64, step: i64| {
        let labels = format!("__name__=m,s={series}");
        (labels, NOW + (step - 1000) * STEP, ((series + 1) as f64 * step as f64).sin())
    };
    steps.flat_map(|step| (0..4).map(move |series| row(series, step))).collect()
}

fn series(n: i64) -> Vec<Vec<Matcher>> {
    vec![vec![Matcher::equal("__name__", "m"), Matcher::equal("s", &n.to_string())]]
}

fn between(first: i64, last: i64) -> TimeRange {
    TimeRange::new(NOW + (first - 1000) * STEP, NOW + (last - 1000) * STEP)
}

/// A store and what it should hold.
struct Case {
    dir: tempfile::TempDir,
    store: Option<Store>,
    model: BTreeMap<(String, i64), u64>,
}

impl Case {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Some(open(dir.path()));
        Self { dir, store, model: BTreeMap::new() }
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn write(&mut self, rows: &[Row]) {
        assert_eq!(write(self.store(), rows).unwrap().first_refusal, None);
        let entry = |(labels, t, value): &Row| ((labels.clone(), *t), value.to_bits());
        self.model.extend(rows.iter().map(entry));
        self.check("after a write");
    }

    fn delete(&mut self, n: i64, range: TimeRange) {
        assert_eq!(self.store().delete(&series(n), range).unwrap(), 1);
        let name = format!("__name__=m,s={n}");
        self.model.retain(|(labels, t), _| *labels != name || !range.contains(*t));
        self.check("after a deletion");
    }

    fn check(&self, when: &str) {
        assert_eq!(everything(self.store()), self.model, "{when}");
    }

    fn restart(&mut self) {
        drop(self.store.take());
        self.store = Some(open(self.dir.path()));
        self.check("after a restart");
    }
}

fn bytes(dir: &Path, folder: &str) -> u64 {
    let files = |dir: &Path| std::fs::read_dir(dir).unwrap().map(|file| file.unwrap());
    let shards = files(&dir.join("shards")).map(|shard| shard.path().join(folder));
    shards.flat_map(|dir| files(&dir)).map(|file| file.metadata().unwrap().len()).sum()
}

#[test]
fn samples_in_memory_in_files_and_on_their_way_are_deleted() {
    let mut case = Case::new();
    case.write(&rows(0..50));
    case.delete(1, between(10, 20));
    case.restart();
    case.store().compact().unwrap();
    case.check("after a flush");
    case.write(&rows(50..100));
    case.delete(2, between(40, 60));
    case.delete(3, TimeRange::ALL);
    case.restart();
    assert!(case.store().statistics().tombstones > 0);
    case.store().compact().unwrap();
    case.check("after a merge");
    assert_eq!(case.store().statistics().tombstones, 0);
    case.restart();
    assert_eq!(case.store().delete(&series(77), TimeRange::ALL).unwrap(), 0);
    case.check("after a deletion of nothing");
}

#[test]
fn what_is_written_after_a_deletion_is_kept_also_at_deleted_times() {
    let mut case = Case::new();
    for flushed in [false, true] {
        case.write(&rows(0..20));
        if flushed {
            case.store().compact().unwrap();
        }
        case.delete(1, between(0, 500));
        let other: Vec<Row> = rows(5..10)
            .into_iter()
            .filter(|(labels, ..)| labels.ends_with("s=1"))
            .map(|(labels, t, value)| (labels, t, value + 0.5))
            .collect();
        case.write(&other);
        case.restart();
        case.store().compact().unwrap();
        case.check("after a merge");
        case.delete(1, TimeRange::ALL);
    }
}

#[test]
fn a_deleted_series_is_listed_no_more() {
    let mut case = Case::new();
    case.write(&rows(0..20));
    for flush in [false, true] {
        if flush {
            case.store().compact().unwrap();
        }
        let n = i64::from(flush);
        case.delete(n, TimeRange::ALL);
        let (labels, _) = case.store().series(&series(n), TimeRange::ALL, 10).unwrap();
        assert!(labels.is_empty(), "{labels:?}");
    }
}

#[test]
fn the_bytes_of_deleted_samples_are_gone_after_cleaning() {
    let mut case = Case::new();
    case.write(&rows(0..900));
    case.store().compact().unwrap();
    let before = bytes(case.dir.path(), "chunks");
    for n in 0..4 {
        case.delete(n, between(0, 880));
    }
    assert_eq!(bytes(case.dir.path(), "chunks"), before);
    case.store().clean_tombstones().unwrap();
    case.check("after cleaning");
    let after = bytes(case.dir.path(), "chunks");
    assert!(after * 2 < before, "{after} of {before}");
    for n in 0..4 {
        case.delete(n, TimeRange::ALL);
    }
    case.store().clean_tombstones().unwrap();
    assert_eq!(bytes(case.dir.path(), "chunks"), 0);
    assert_eq!(case.store().statistics().chunk_files, 0);
    case.restart();
}

/// The copy's log begins before the deletion that only the original's has, but which is done in a file.
#[test]
fn what_is_deleted_in_a_copy_is_gone_there() {
    let dir = tempfile::tempdir().unwrap();
    let one_shard = |config: &mut StoreConfig| config.shards = 1;
    let (store, _) = open_with(dir.path(), Arc::new(Disk), NOW, one_shard).unwrap();
    write(&store, &rows(0..20)).unwrap();
    store.compact().unwrap();
    store.delete(&series(1), TimeRange::ALL).unwrap();
    let started = Instant::now();
    while store.statistics().tombstones > 0 {
        // The background cleans, and does not flush yet.
        assert!(started.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(20));
    }
    let name = store.snapshot("copy", false).unwrap();
    let copy = open(&dir.path().join("snapshots").join(name));
    assert_eq!(everything(&copy).len(), 60);
    copy.delete(&series(2), TimeRange::ALL).unwrap();
    assert_eq!(everything(&copy).len(), 40);
}

#[test]
fn what_is_deleted_stays_deleted_in_a_copy_without_heads() {
    let dir = tempfile::tempdir().unwrap();
    let one_shard = |config: &mut StoreConfig| config.shards = 1;
    let (store, _) = open_with(dir.path(), Arc::new(Disk), NOW, one_shard).unwrap();
    write(&store, &rows(0..20)).unwrap();
    store.compact().unwrap();
    store.delete(&series(1), TimeRange::ALL).unwrap();
    let name = store.snapshot("copy", false).unwrap();
    let copy = dir.path().join("snapshots").join(name);
    let again = open(&copy);
    assert_eq!(everything(&again).len(), 60);
    // What comes later is none of that deletion's.
    write(&again, &rows(0..20)).unwrap();
    again.compact().unwrap();
    drop(again);
    assert_eq!(everything(&open(&copy)).len(), 80);
}

/// Or a log that gets nothing else would grow for ever.
#[test]
fn deletions_alone_are_flushed_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let at_once = |config: &mut StoreConfig| config.flush_interval = Duration::ZERO;
    let (store, _) = open_with(dir.path(), Arc::new(Disk), NOW, at_once).unwrap();
    write(&store, &rows(0..2)).unwrap();
    store.compact().unwrap();
    store.delete(&series(1), TimeRange::ALL).unwrap();
    store.delete(&series(77), TimeRange::ALL).unwrap();
    drop(store);
    let started = Instant::now();
    loop {
        let (store, found) = open_with(dir.path(), Arc::new(Disk), NOW, at_once).unwrap();
        if found.replayed_entries == 0 {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{found:?}");
        std::thread::sleep(Duration::from_millis(1500));
        drop(store);
    }
}

/// In memory each sample would have to be looked at, while all writes wait.
#[test]
fn where_much_is_in_memory_a_deletion_flushes_first() {
    let mut case = Case::new();
    case.write(&rows(-20_010..-20_000));
    case.delete(1, between(-20_010, -20_005));
    assert_eq!(case.store().statistics().chunk_files, 0);
    let many: Vec<Row> =
        rows(-20_000..0).into_iter().filter(|row| row.0.ends_with("s=1")).collect();
    many.chunks(10_000).for_each(|some| case.write(some));
    case.delete(1, between(-10_000, -5_000));
    assert!(case.store().statistics().chunk_files > 0);
    case.restart();
}
