//! The log as a Raft log: what each call promises, on a real disk where that matters.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

use std::path::Path;
use std::sync::Arc;

use metricstor_storage::files::{Disk, Files, Simulated};
use metricstor_storage::wal::{Entry, EntryId, Log, LogConfig, LogError, MAX_PAYLOAD, Vote};

fn open(disk: &Simulated, segment_bytes: u32) -> Log {
    let config = LogConfig { segment_bytes, identity: 0 };
    Log::open(Arc::new(disk.clone()), Path::new("wal"), config).unwrap()
}

fn entry(group: u32, term: u64, index: u64, payload: &[u8]) -> Entry<'_> {
    Entry { group, term, index, payload }
}

fn append(log: &mut Log, group: u32, indices: std::ops::Range<u64>, size: usize) {
    let payload = vec![3; size];
    for index in indices {
        log.append(&[entry(group, 1, index, &payload)]).unwrap();
    }
}

fn replayed(log: &Log, from: impl Fn(u32) -> u64) -> Vec<(u32, u64)> {
    let mut found = Vec::new();
    log.replay(from, |entry| {
        found.push((entry.group, entry.index));
        Ok::<_, LogError>(())
    })
    .unwrap();
    found
}

#[test]
fn entries_follow_each_other_and_a_batch_is_taken_or_refused_as_a_whole() {
    let disk = Simulated::new();
    let mut log = open(&disk, 4096);
    assert_eq!((log.last(5), log.first_index(5)), (None, None));
    log.append(&[entry(5, 2, 7, b"a"), entry(6, 1, 0, b"b"), entry(5, 3, 8, b"c")]).unwrap();
    let wrong = [entry(5, 3, 10, b"x"), entry(5, 3, 8, b"x"), entry(5, 2, 9, b"x")];
    for wrong in wrong.into_iter().chain([entry(7, 1, u64::MAX, b"x")]) {
        let refused = log.append(&[entry(6, 1, 1, b"y"), wrong]);
        assert!(matches!(refused, Err(LogError::OutOfOrder { .. })), "{refused:?}");
    }
    let big = vec![0; MAX_PAYLOAD as usize + 1];
    assert!(matches!(log.append(&[entry(5, 3, 9, &big)]), Err(LogError::TooLarge { .. })));
    assert_eq!(log.last(5), Some(EntryId { term: 3, index: 8 }));
    assert_eq!(replayed(&log, |_| 0), [(5, 7), (6, 0), (5, 8)]);
    assert_eq!(replayed(&log, |group| if group == 5 { 8 } else { 1 }), [(5, 8)]);
    log.append(&[]).unwrap();
    log.sync().unwrap();
}

#[test]
fn reading_visits_a_range_and_refuses_what_is_not_there() {
    let disk = Simulated::new();
    let mut log = open(&disk, 4096);
    append(&mut log, 1, 1..40, 500);
    append(&mut log, 2, 1..4, 500);
    log.purge_prefix(1, EntryId { term: 1, index: 10 }).unwrap();
    let read = |range| {
        let mut found = Vec::new();
        let done = log.read(1, range, |entry| {
            assert_eq!(entry.payload, [3; 500]);
            found.push(entry.index);
            Ok::<_, LogError>(())
        });
        (found, done)
    };
    assert_eq!(read(11..40).0, (11..40).collect::<Vec<_>>());
    assert!(read(20..20).0.is_empty());
    assert!(matches!(read(10..12).1, Err(LogError::NoEntry { group: 1, index: 10 })));
    assert!(matches!(read(39..41).1, Err(LogError::NoEntry { group: 1, index: 40 })));
    assert!(log.read(9, 1..2, |_| Ok::<_, LogError>(())).is_err());
    let stop = log.replay(|_| 0, |_| Err(LogError::Poisoned));
    assert!(matches!(stop, Err(LogError::Poisoned)), "the visitor's error ends the visit");
}

#[test]
fn a_truncated_suffix_is_replaced_and_never_comes_back() {
    let disk = Simulated::new();
    let mut log = open(&disk, 4096);
    append(&mut log, 1, 1..20, 400);
    log.truncate_suffix(1, 20).unwrap();
    log.truncate_suffix(3, 1).unwrap();
    assert_eq!(log.last_index(1), Some(19));
    log.truncate_suffix(1, 5).unwrap();
    assert_eq!(log.last(1), Some(EntryId { term: 1, index: 4 }));
    log.append(&[entry(1, 4, 5, b"new")]).unwrap();
    log.sync().unwrap();
    let log = open(&disk, 4096);
    assert_eq!(log.last(1), Some(EntryId { term: 4, index: 5 }));
    assert_eq!(replayed(&log, |_| 0).len(), 5);
    let mut log = log;
    log.truncate_suffix(1, 1).unwrap();
    assert_eq!((log.last(1), log.first_index(1)), (None, None));
}

#[test]
fn purging_frees_segments_and_keeps_votes_and_positions() {
    let disk = Simulated::new();
    let mut log = open(&disk, 4096);
    let vote = Vote { term: 8, node: 2, granted: true };
    log.save_vote(2, vote).unwrap();
    append(&mut log, 2, 1..3, 10);
    append(&mut log, 1, 1..100, 400);
    assert!(log.segments() > 10);
    log.purge_prefix(1, EntryId { term: 1, index: 90 }).unwrap();
    assert_eq!(log.reclaim().unwrap(), 0, "group 2 holds the oldest segment");
    assert_eq!(log.holders_of_oldest().collect::<Vec<_>>(), [2]);
    log.purge_prefix(2, EntryId { term: 1, index: 2 }).unwrap();
    assert_eq!(log.reclaim().unwrap(), 1);
    while log.reclaim().unwrap() > 0 {}
    assert!(log.size_bytes() <= 4 * 4096);
    log.purge_prefix(1, EntryId { term: 1, index: 50 }).unwrap();
    assert!(log.truncate_suffix(1, 90).is_err(), "purged");
    let mut log = open(&disk, 4096);
    assert_eq!(log.vote(2), Some(vote));
    assert_eq!((log.purged(2), log.last(2)), (log.last(2), Some(EntryId { term: 1, index: 2 })));
    assert_eq!(log.first_index(1), Some(91));
    // Beyond the last entry, as after a snapshot from another node.
    log.purge_prefix(1, EntryId { term: 6, index: 500 }).unwrap();
    log.append(&[entry(1, 6, 501, b"")]).unwrap();
    assert_eq!(replayed(&log, |_| 0), [(1, 501)]);
}

#[test]
fn an_idle_log_keeps_one_small_segment_also_on_a_full_disk() {
    let disk = Simulated::new();
    let segment = 1 << 16;
    let mut log = open(&disk, segment);
    append(&mut log, 1, 1..500, 1000);
    log.purge_prefix(1, EntryId { term: 1, index: 499 }).unwrap();
    disk.set_capacity(Some(log.size_bytes()));
    while log.reclaim().unwrap() > 0 {}
    assert_eq!((log.segments(), log.size_bytes()), (1, 4096));
    assert_eq!(disk.list(Path::new("wal")).unwrap().len(), 1, "and no spare");
    assert_eq!(open(&disk, segment).last_index(1), Some(499));
}

#[test]
fn a_recycled_segment_does_not_bring_back_what_it_held() {
    let disk = Simulated::new();
    let mut log = open(&disk, 4096);
    for round in 0..50 {
        append(&mut log, 1, round * 10..round * 10 + 10, 300);
        log.purge_prefix(1, EntryId { term: 1, index: round * 10 + 8 }).unwrap();
        log.reclaim().unwrap();
        log = open(&disk, 4096);
        assert_eq!(replayed(&log, |_| 0), [(1, round * 10 + 9)]);
        assert!(log.torn_tail().is_none());
        assert!(log.segments() <= 2);
    }
    assert!(disk.content(Path::new("wal/00000001.seg")).is_none());
}

#[test]
fn a_log_begun_anew_does_not_find_what_a_spare_held() {
    let disk = Simulated::new();
    let mut log = open(&disk, 4096);
    append(&mut log, 1, 1..30, 300);
    log.purge_prefix(1, EntryId { term: 1, index: 28 }).unwrap();
    log.reclaim().unwrap();
    let spare = Path::new("wal/00000001.spare");
    let anew = Simulated::new();
    anew.plant(spare, disk.content(spare).unwrap());
    append(&mut open(&anew, 4096), 1, 1..2, 300);
    assert_eq!(replayed(&open(&anew, 4096), |_| 0), [(1, 1)]);
}

#[test]
fn entries_of_any_size_are_kept_on_a_real_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wal");
    let config = LogConfig { segment_bytes: 1 << 20, identity: 3 };
    let sizes = [0, 1, 7, 8, 9, 4096, 300_000, 1 << 20, 5_000_000, MAX_PAYLOAD as usize];
    let payloads: Vec<Vec<u8>> = sizes.iter().map(|size| vec![*size as u8; *size]).collect();
    let entries: Vec<_> =
        payloads.iter().zip(1..).map(|(payload, index)| entry(1, 1, index, payload)).collect();
    let mut log = Log::open(Arc::new(Disk), &path, config).unwrap();
    log.append(&entries).unwrap();
    entries[..7].iter().for_each(|e| log.append(&[Entry { group: 2, ..*e }]).unwrap());
    log.sync().unwrap();
    drop(log);
    let log = Log::open(Arc::new(Disk), &path, config).unwrap();
    let mut seen = 0;
    log.replay(
        |_| 0,
        |found| {
            let same = entries.iter().any(|e| (e.index, e.payload) == (found.index, found.payload));
            seen += u64::from(same);
            Ok::<_, LogError>(())
        },
    )
    .unwrap();
    assert_eq!(seen, 17);
}

#[test]
fn a_small_log_takes_little_space() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(Arc::new(Disk), folder.path(), LogConfig::default()).unwrap();
    append(&mut log, 1, 1..100, 1000);
    log.sync().unwrap();
    assert_eq!((log.segments(), log.size_bytes()), (1, 1 << 20));
}
