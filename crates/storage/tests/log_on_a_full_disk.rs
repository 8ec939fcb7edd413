//! A full disk is an answer, not damage: the log says so, stays as it was, can free space and goes on.
//! A disk that fails stops it.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use metricstor_storage::files::Simulated;
use metricstor_storage::files::simulated::Operation;
use metricstor_storage::wal::{Entry, EntryId, Log, LogConfig, LogError, Vote};

fn open(disk: &Simulated) -> Log {
    let config = LogConfig { segment_bytes: 16 << 10, identity: 0 };
    Log::open(Arc::new(disk.clone()), Path::new("wal"), config).unwrap()
}

fn append(log: &mut Log, group: u32) -> Result<(), LogError> {
    let index = log.last_index(group).map_or(1, |last| last + 1);
    log.append(&[Entry { group, term: 1, index, payload: &[7; 1000] }])
}

fn indices(log: &Log, group: u32) -> Vec<u64> {
    let mut found = Vec::new();
    let range =
        log.first_index(group).map_or(0..0, |first| first..log.last_index(group).unwrap() + 1);
    log.read(group, range, |entry| {
        found.push(entry.index);
        Ok::<_, LogError>(())
    })
    .unwrap();
    found
}

#[test]
fn a_full_disk_refuses_entries_until_a_purge_frees_a_segment() {
    let disk = Simulated::new();
    disk.set_capacity(Some(40 << 10));
    let mut log = open(&disk);
    let mut appended = 0;
    let full = loop {
        match append(&mut log, appended % 8) {
            Ok(()) => appended += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, LogError::Full { .. }), "{full}");
    assert!((25..40).contains(&appended), "{appended}");
    log.sync().unwrap();
    // Each group can still vote and purge.
    for group in 0..8 {
        assert!(matches!(append(&mut log, group), Err(LogError::Full { .. })));
        log.save_vote(group, Vote { term: 1, node: 1, granted: false }).unwrap();
        log.purge_prefix(group, EntryId { term: 1, index: 2 }).unwrap();
    }
    let mut log = open(&disk);
    assert!(log.reclaim().unwrap() > 0);
    let last = log.last_index(0).unwrap();
    append(&mut log, 0).unwrap();
    log.sync().unwrap();
    assert_eq!(indices(&open(&disk), 0), (3..last + 2).collect::<Vec<_>>());
}

#[test]
fn a_write_that_found_no_space_leaves_nothing_behind() {
    let large = vec![1; 300 << 10];
    let entry = |index, payload| Entry { group: 0, term: 1, index, payload };
    let batch = [entry(2, &large[..10]), entry(3, &large), entry(4, &large[..10])];
    // A new segment, its seal, its growth, then the batch in three writes.
    for spared in 0..6 {
        let disk = Simulated::new();
        let mut log = open(&disk);
        append(&mut log, 0).unwrap();
        log.sync().unwrap();
        disk.fail(Operation::Write, spared, 1, ErrorKind::StorageFull);
        let result = log.append(&batch);
        let full = matches!(result, Err(LogError::Full { .. }));
        // The seal is for those who look for a missing segment; its failure is only logged.
        assert!(full || spared == 1, "write {spared}: {result:?}");
        let last = if full { 1 } else { 4 };
        assert_eq!(log.last_index(0), Some(last));
        append(&mut log, 0).unwrap();
        log.sync().unwrap();
        disk.heal();
        assert_eq!(indices(&open(&disk), 0).last(), Some(&(last + 1)));
    }
}

#[test]
fn after_a_failed_sync_every_write_is_refused_until_the_log_is_opened_again() {
    let disk = Simulated::new();
    let mut log = open(&disk);
    append(&mut log, 0).unwrap();
    // Also "no space" is a failed sync: what was written is in an unknown state.
    disk.fail(Operation::Sync, 0, 1, ErrorKind::StorageFull);
    assert!(matches!(log.sync(), Err(LogError::Io { .. })));
    let vote = Vote { term: 1, node: 1, granted: false };
    let refused = [
        append(&mut log, 0),
        log.sync(),
        log.save_vote(0, vote),
        log.truncate_suffix(0, 1),
        log.purge_prefix(0, EntryId { term: 1, index: 1 }),
        log.reclaim().map(|_| ()),
    ];
    for result in refused {
        assert!(matches!(result, Err(LogError::Poisoned)), "{result:?}");
    }
    assert_eq!(indices(&log, 0), [1], "reading goes on");
    // What the restart found is durable from then on.
    let log = open(&disk);
    let found = indices(&log, 0);
    disk.crash(3);
    assert_eq!(indices(&open(&disk), 0), found);
}

#[test]
fn a_write_error_stops_the_log() {
    let disk = Simulated::new();
    let mut log = open(&disk);
    disk.fail(Operation::Write, 0, 1, ErrorKind::Other);
    assert!(matches!(append(&mut log, 0), Err(LogError::Io { action: "write", .. })));
    assert!(matches!(append(&mut log, 0), Err(LogError::Poisoned)));
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_at_the_start() {
    let disk = Simulated::new();
    drop(open(&disk));
    disk.fail(Operation::Write, 0, 1, ErrorKind::ReadOnlyFilesystem);
    let opened = Log::open(Arc::new(disk), Path::new("wal"), LogConfig::default());
    assert!(matches!(opened.err(), Some(LogError::Io { .. })));
}

/// What an attempt to extend a segment leaves is no damage, also if the process ends right there.
#[test]
fn a_segment_that_could_not_be_extended_is_opened() {
    let disk = Simulated::new();
    let mut log = open(&disk);
    for operation in [Operation::SetLen, Operation::Rename] {
        let before = indices(&log, 0);
        disk.fail(Operation::Allocate, 0, u64::MAX, ErrorKind::StorageFull);
        // It may be that the attempt cannot be undone either.
        disk.fail(operation, 0, u64::MAX, ErrorKind::StorageFull);
        let mut appended = before.len();
        while append(&mut log, 0).is_ok() {
            appended += 1;
        }
        log.sync().unwrap();
        disk.heal();
        drop(log);
        log = open(&disk);
        assert_eq!(indices(&log, 0).len(), appended);
        append(&mut log, 0).unwrap();
        log.sync().unwrap();
        log = open(&disk);
        assert_eq!(indices(&log, 0).len(), appended + 1);
    }
}
