//! The whole engine on a disk that is full, read-only, or fails to sync: reads go on, what was
//! acknowledged stays, writes are refused with the reason and go on when the disk does.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;

use metricstor_storage::files::Simulated;
use metricstor_storage::files::simulated::Operation;
use metricstor_storage::{Store, WriteError};

mod support;
use support::{NOW, Row, everything, open_with, write};

struct Case {
    dir: tempfile::TempDir,
    disk: Simulated,
    model: BTreeMap<(String, i64), u64>,
    step: i64,
}

impl Case {
    fn new() -> Self {
        let (dir, disk) = (tempfile::tempdir().unwrap(), Simulated::new());
        Self { dir, disk, model: BTreeMap::new(), step: 0 }
    }

    fn open(&self) -> Store {
        self.open_at(NOW, 64 << 20)
    }

    fn open_at(&self, now: i64, flush_head_bytes: usize) -> Store {
        let disk = Arc::new(self.disk.clone());
        let (store, _) = open_with(self.dir.path(), disk, now, |config| {
            config.flush_head_bytes = flush_head_bytes;
            config.shards = 2;
            config.log_segment_bytes = 64 << 10;
            config.reserve_bytes = 256 << 10;
        })
        .unwrap();
        store
    }

    fn rows(&mut self) -> Vec<Row> {
        self.step += 1;
        let at = NOW - 10_000_000 + self.step * 1000;
        (0..100).map(|i| (format!("__name__=m,i={i}"), at, (i * self.step) as f64 / 7.0)).collect()
    }

    fn try_write(&mut self, store: &Store) -> Result<(), WriteError> {
        let rows = self.rows();
        write(store, &rows)?;
        let entry = |(labels, t, value): Row| ((labels, t), value.to_bits());
        self.model.extend(rows.into_iter().map(entry));
        Ok(())
    }

    fn check(&self, store: &Store, when: &str) {
        assert_eq!(everything(store), self.model, "{when}");
    }
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room() {
    let mut case = Case::new();
    let store = case.open();
    for _ in 0..20 {
        case.try_write(&store).unwrap();
    }
    store.compact().unwrap();
    case.disk.set_capacity(Some(700 << 10));
    let full = loop {
        if let Err(error) = case.try_write(&store) {
            break error;
        }
    };
    assert!(matches!(full, WriteError::DiskFull(_)), "{full}");
    case.check(&store, "on a full disk");
    // The log is what fills the disk: a flush makes it shorter, and writes go on without a restart.
    store.compact().unwrap();
    case.check(&store, "after a flush on a full disk");
    case.disk.set_capacity(Some(900 << 10));
    let mut tries = 0;
    while case.try_write(&store).is_err() {
        tries += 1;
        assert!(tries < 1000, "never writable again");
        std::thread::yield_now();
    }
    case.check(&store, "after there was room");
    drop(store);
    case.check(&case.open(), "after a restart");
}

#[test]
fn after_a_failed_sync_nothing_is_written_until_a_restart() {
    let mut case = Case::new();
    let store = case.open();
    case.try_write(&store).unwrap();
    case.disk.fail(Operation::Sync, 0, 1, ErrorKind::Other);
    assert!(matches!(case.try_write(&store), Err(WriteError::Poisoned(_))));
    for _ in 0..3 {
        assert!(matches!(case.try_write(&store), Err(WriteError::Poisoned(_))));
    }
    case.check(&store, "while poisoned");
    drop(store);
    let store = case.open();
    for (key, bits) in &case.model {
        assert_eq!(everything(&store).get(key), Some(bits));
    }
    case.model = everything(&store);
    case.try_write(&store).unwrap();
    case.check(&store, "after the restart");
}

#[test]
fn a_read_only_folder_stops_flushes_and_nothing_else() {
    let mut case = Case::new();
    let store = case.open();
    case.try_write(&store).unwrap();
    for operation in [Operation::Create, Operation::Rename, Operation::SyncDir] {
        case.try_write(&store).unwrap();
        case.disk.fail(operation, 0, u64::MAX, ErrorKind::ReadOnlyFilesystem);
        let error = store.compact().unwrap_err();
        assert!(error.to_string().contains("chunks"), "{error}");
        case.check(&store, "after a flush that failed");
        case.try_write(&store).unwrap();
        case.check(&store, "after a write beside the frozen head");
        case.disk.heal();
        store.compact().unwrap();
        case.check(&store, "after a flush that went on");
    }
    drop(store);
    case.check(&case.open(), "after a restart");
}

#[test]
fn a_disk_that_cannot_be_read_fails_the_query_and_not_the_process() {
    use metricstor_model::{Matcher, Samples, SelectError, SeriesSet, TimeRange};
    let mut case = Case::new();
    let store = case.open();
    case.try_write(&store).unwrap();
    store.compact().unwrap();
    let selection = store.select(&[Matcher::equal("i", "7")]).unwrap();
    let mut samples = Samples::default();
    case.disk.fail(Operation::Read, 0, u64::MAX, ErrorKind::Other);
    let error = selection.read(0, TimeRange::ALL, &mut samples).unwrap_err();
    assert!(matches!(error, SelectError::Failed(_)), "{error}");
    case.disk.heal();
    selection.read(0, TimeRange::ALL, &mut samples).unwrap();
    assert_eq!(samples.len(), 1);
}

/// A snapshot and a deletion of many series rely on it.
#[test]
fn a_flush_that_goes_on_writes_also_what_came_since() {
    let mut case = Case::new();
    let store = case.open();
    case.try_write(&store).unwrap();
    case.disk.fail(Operation::Rename, 0, u64::MAX, ErrorKind::ReadOnlyFilesystem);
    store.compact().unwrap_err();
    case.disk.heal();
    case.try_write(&store).unwrap();
    store.compact().unwrap();
    assert_eq!(store.statistics().head_samples, 0);
    case.check(&store, "after the flush");
}

#[test]
fn what_is_too_old_goes_also_when_nothing_can_be_flushed() {
    let mut case = Case::new();
    let old = NOW - 14 * 24 * 3_600_000;
    let store = case.open();
    write(&store, &[("__name__=old".to_owned(), old, 1.0)]).unwrap();
    store.compact().unwrap();
    drop(store);
    case.disk.fail(Operation::Create, 0, u64::MAX, ErrorKind::ReadOnlyFilesystem);
    let store = case.open_at(NOW + 2 * 24 * 3_600_000, 1);
    case.try_write(&store).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while store.statistics().chunk_files > 0 {
        assert!(std::time::Instant::now() < deadline, "the old file stays");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
