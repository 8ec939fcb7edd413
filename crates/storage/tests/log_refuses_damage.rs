//! Damage to what was durable is named and refused, or does not matter; it never shortens the log and
//! never changes an entry.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use metricstor_storage::files::{Files, Simulated};
use metricstor_storage::wal::{Entry, EntryId, Log, LogConfig, LogError, Vote};

const DIR: &str = "wal";
const CONFIG: LogConfig = LogConfig { segment_bytes: 4096, identity: 0x5eed };

/// All that a log says.
#[derive(Debug, PartialEq)]
struct Content {
    entries: Vec<(u32, u64, u64, Vec<u8>)>,
    votes: Vec<Option<Vote>>,
    purged: Vec<Option<EntryId>>,
}

fn open(disk: &Simulated) -> Result<Log, LogError> {
    Log::open(Arc::new(disk.clone()), Path::new(DIR), CONFIG)
}

fn content(disk: &Simulated) -> Result<Content, LogError> {
    let log = open(disk)?;
    let mut entries = Vec::new();
    log.replay(
        |_| 0,
        |entry| {
            entries.push((entry.group, entry.term, entry.index, entry.payload.to_vec()));
            Ok::<_, LogError>(())
        },
    )?;
    let votes = (0..3).map(|group| log.vote(group)).collect();
    let purged = (0..3).map(|group| log.purged(group)).collect();
    Ok(Content { entries, votes, purged })
}

fn append(log: &mut Log, group: u32, index: u64, size: usize) {
    let payload = vec![index as u8 ^ 0x55; size];
    log.append(&[Entry { group, term: 2, index, payload: &payload }]).unwrap();
}

/// Three segments; the newest grew, and all was synced before the end.
fn small_log() -> Simulated {
    let disk = Simulated::new();
    let mut log = open(&disk).unwrap();
    log.save_vote(1, Vote { term: 2, node: 9, granted: true }).unwrap();
    for index in 1..12 {
        append(&mut log, 1, index, 700);
        append(&mut log, 2, index, 20);
        log.sync().unwrap();
    }
    log.truncate_suffix(2, 9).unwrap();
    log.purge_prefix(1, EntryId { term: 2, index: 2 }).unwrap();
    append(&mut log, 1, 12, 6000);
    log.sync().unwrap();
    append(&mut log, 2, 9, 30);
    log.sync().unwrap();
    assert!(log.segments() >= 3 && log.size_bytes() > 4 * 4096);
    disk
}

fn segments(disk: &Simulated) -> Vec<PathBuf> {
    let mut names = disk.list(Path::new(DIR)).unwrap();
    names.sort();
    names.into_iter().map(|name| Path::new(DIR).join(name)).collect()
}

/// A log that is damaged again and again.
struct Victim {
    files: Vec<(PathBuf, Vec<u8>)>,
    content: Content,
}

impl Victim {
    fn new() -> Victim {
        let disk = small_log();
        let file = |path: PathBuf| (path.clone(), disk.content(&path).unwrap());
        let files = segments(&disk).into_iter().map(file).collect();
        Victim { files, content: content(&disk).unwrap() }
    }

    /// With one file's bytes changed: whether it is refused, rather than the same as before.
    fn refuses(&self, path: &Path, bytes: Vec<u8>, what: &str) -> bool {
        let disk = Simulated::new();
        for (path, bytes) in &self.files {
            disk.plant(path, bytes.clone());
        }
        disk.plant(path, bytes);
        let opened = content(&disk);
        let refused = opened.is_err();
        match opened {
            Ok(found) => assert!(found == self.content, "{}: {what} unnoticed", path.display()),
            Err(error) => assert!(error.to_string().contains(".seg"), "no file is named: {error}"),
        }
        refused
    }
}

#[test]
fn no_flipped_byte_goes_unnoticed() {
    let victim = Victim::new();
    let (mut refused, mut harmless) = (0, 0);
    for (path, bytes) in &victim.files {
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            match victim.refuses(path, flipped, &format!("byte {at}")) {
                true => refused += 1,
                false => harmless += 1,
            }
        }
    }
    // Harmless are the paddings, the marks and the unused end of each segment.
    assert!(refused > 12_000, "{refused} refused, {harmless} harmless");
}

#[test]
fn no_cut_goes_unnoticed() {
    let victim = Victim::new();
    for (path, bytes) in &victim.files {
        for len in 0..bytes.len() {
            assert!(victim.refuses(path, bytes[..len].to_vec(), &format!("cut at {len}")));
        }
    }
}

#[test]
fn no_zeroed_page_goes_unnoticed() {
    let victim = Victim::new();
    for (path, bytes) in &victim.files {
        // The last record and the mark behind it may share a page: that page's loss looks like a write
        // that never happened, and is the one that does.
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        for page in (0..used / 512 * 512).step_by(512) {
            let mut zeroed = bytes.clone();
            zeroed[page..page + 512].fill(0);
            victim.refuses(path, zeroed, &format!("zeros at {page}"));
        }
    }
}

#[test]
fn a_missing_segment_is_named() {
    let disk = small_log();
    for path in segments(&disk) {
        let copy = Simulated::new();
        for other in segments(&disk).iter().filter(|other| **other != path) {
            copy.plant(other, disk.content(other).unwrap());
        }
        match content(&copy) {
            Err(LogError::Missing { path: named }) => assert_eq!(named, path),
            other => panic!("without {}: {other:?}", path.display()),
        }
    }
}

#[test]
fn segments_in_each_others_place_and_another_nodes_log_are_refused() {
    let victim = Victim::new();
    let second = &victim.files[1].1;
    assert!(victim.refuses(&victim.files[0].0, second.clone(), "swapped"));
    assert!(victim.refuses(&victim.files[2].0, second.clone(), "swapped"));
    let disk = small_log();
    let other = LogConfig { identity: 1, ..CONFIG };
    let opened = Log::open(Arc::new(disk.clone()), Path::new(DIR), other);
    assert!(matches!(opened.err(), Some(LogError::Foreign { found: 0x5eed, .. })));
    assert!(content(&disk).is_ok(), "a refusal changes nothing");
}

#[test]
fn an_unfinished_record_at_the_end_is_cut_off_and_reported() {
    let disk = small_log();
    let before = content(&disk).unwrap();
    let mut log = open(&disk).unwrap();
    assert!(log.torn_tail().is_none());
    append(&mut log, 1, 13, 900);
    let newest = segments(&disk).pop().unwrap();
    let mut bytes = disk.content(&newest).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end - 100] ^= 1;
    disk.plant(&newest, bytes);
    let log = open(&disk).unwrap();
    let torn = log.torn_tail().unwrap();
    assert_eq!((&torn.path, torn.records), (&newest, 1));
    drop(log);
    assert_eq!(content(&disk).unwrap(), before);
    assert!(open(&disk).unwrap().torn_tail().is_none(), "cut once");
}
