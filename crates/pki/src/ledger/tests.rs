use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::hash::Hex;
use crate::identity::Subject;

fn subject(text: &str) -> Subject {
    text.parse().unwrap()
}

fn revoke(name: &str, at: Seconds) -> Command {
    let (reason, by) = ("stolen\nkey \"ä\"".to_owned(), "user/admin".to_owned());
    Command::Revoke { subject: subject(name), reason, by, at }
}

fn ask(n: u8, at: Seconds) -> Command {
    let facts = [("mac".to_owned(), "00:11".to_owned())].into();
    Command::AskApproval { subject: subject("agent/a"), key: Hex([n; 32]), facts, at }
}

/// A ledger of four commands, and the state after each.
fn sample(dir: &Path) -> Vec<State> {
    let mut ledger = Ledger::open(dir).unwrap();
    let mut states = vec![ledger.state().clone()];
    for command in [ask(1, 10), revoke("agent/a", 20), ask(2, 30), revoke("node/b", 40)] {
        ledger.submit(command).unwrap();
        states.push(ledger.state().clone());
    }
    states
}

#[test]
fn what_was_submitted_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let states = sample(dir.path());
    assert_eq!(Ledger::open(dir.path()).unwrap().state(), &states[4]);
    let mode = fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_changes_nothing_is_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path());
    let before = fs::read(dir.path().join(FILE)).unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    assert_eq!(ledger.submit(ask(1, 50)).unwrap(), Outcome::Pending);
    let withdraw = Command::WithdrawToken { id: Hex([0; 8]), at: 50 };
    assert_eq!(ledger.submit(withdraw).unwrap(), Outcome::Refused(Refusal::UnknownToken));
    assert_eq!(fs::read(dir.path().join(FILE)).unwrap(), before);
}

/// Every length in memory; on disk, where each opening syncs, a sample.
#[test]
fn a_log_cut_at_any_length_keeps_its_whole_records_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let states = sample(dir.path());
    let path = dir.path().join(FILE);
    let whole = fs::read(&path).unwrap();
    let line_ends = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let ends: Vec<usize> = line_ends.map(|(i, _)| i + 1).collect();
    for length in 0..=whole.len() {
        let records = ends.iter().filter(|end| **end <= length).count().saturating_sub(1);
        if length >= ends[0] {
            let replayed = replay(&whole[..length]).unwrap();
            assert_eq!(replayed, (states[records].clone(), ends[records]), "cut at {length}");
        }
        if length % 64 != 0 {
            continue;
        }
        fs::write(&path, &whole[..length]).unwrap();
        let mut ledger = Ledger::open(dir.path()).unwrap();
        assert_eq!(ledger.state(), &states[records], "cut at {length}");
        ledger.submit(revoke("user/c", 60)).unwrap();
        let after = ledger.state().clone();
        assert_eq!(Ledger::open(dir.path()).unwrap().state(), &after);
    }
}

#[test]
fn zeros_after_the_last_record_are_a_write_that_never_happened() {
    let dir = tempfile::tempdir().unwrap();
    let states = sample(dir.path());
    let whole = fs::read(dir.path().join(FILE)).unwrap();
    let extended = [&whole[..], &[0; 4096]].concat();
    assert_eq!(replay(&extended).unwrap(), (states[4].clone(), whole.len()));
}

#[test]
fn every_flipped_byte_is_detected_and_the_file_named() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path());
    let path = dir.path().join(FILE);
    let whole = fs::read(&path).unwrap();
    for i in 0..whole.len() {
        for flip in [0x01, 0x20, 0x80, whole[i]] {
            let mut damaged = whole.clone();
            damaged[i] ^= flip;
            assert!(replay(&damaged).is_err(), "byte {i} flipped by {flip:#x}");
            if i % 64 == 0 {
                fs::write(&path, &damaged).unwrap();
                let error = Ledger::open(dir.path()).err().expect("damage").to_string();
                assert!(error.contains("ledger.log") && error.contains("restore it"), "{error}");
                assert_eq!(fs::read(&path).unwrap(), damaged, "a refused file is left alone");
            }
        }
    }
}

#[test]
fn missing_doubled_and_exchanged_records_are_detected() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path());
    let path = dir.path().join(FILE);
    let whole = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    for order in [&[0, 2, 3, 4][..], &[0, 1, 3, 4], &[0, 1, 1, 2], &[0, 1, 3, 2, 4], &[1, 2]] {
        let text: String = order.iter().map(|i| lines[*i]).collect();
        fs::write(&path, text).unwrap();
        assert!(Ledger::open(dir.path()).is_err(), "{order:?}");
    }
}

#[test]
fn a_long_log_is_rewritten_as_a_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    ledger.rewrite_length = 20_000;
    let reason = "r".repeat(200);
    let mut longest = 0;
    for i in 0..200 {
        let (subject, by) = (subject(&format!("agent/{}", i % 10)), "user/admin".to_owned());
        ledger.submit(Command::Revoke { subject, reason: reason.clone(), by, at: i }).unwrap();
        longest = longest.max(fs::metadata(dir.path().join(FILE)).unwrap().len());
    }
    assert!(longest < 21_000);
    let reopened = Ledger::open(dir.path()).unwrap();
    assert_eq!(reopened.state(), ledger.state());
    assert_eq!(reopened.state().index, 200);
}

/// As when the disk was full for a while: renewals must go on without a restart.
#[test]
fn after_a_failed_write_it_goes_on_from_what_is_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let states = sample(dir.path());
    let mut ledger = Ledger::open(dir.path()).unwrap();
    ledger.file = File::open(dir.path().join(FILE)).unwrap(); // not for writing
    assert!(ledger.submit(revoke("agent/c", 50)).is_err());
    assert_eq!(Ledger::open(dir.path()).unwrap().state(), &states[4]);
    ledger.submit(revoke("agent/d", 60)).unwrap();
    let state = Ledger::open(dir.path()).unwrap().state().clone();
    assert_eq!(&state, ledger.state());
    assert!(state.is_revoked(&subject("agent/d"), 60));
    assert!(!state.is_revoked(&subject("agent/c"), 50), "who was told of a failure asks again");
}

#[test]
fn after_a_failed_write_a_file_that_lost_records_is_not_gone_on_from() {
    for lost in [fs::remove_file as fn(_) -> _, |path| fs::write(path, record::HEADER)] {
        let dir = tempfile::tempdir().unwrap();
        sample(dir.path());
        let path = dir.path().join(FILE);
        let mut ledger = Ledger::open(dir.path()).unwrap();
        ledger.file = File::open(&path).unwrap(); // not for writing
        assert!(ledger.submit(revoke("agent/c", 50)).is_err());
        lost(path.clone()).unwrap();
        let error = ledger.submit(revoke("agent/d", 60)).unwrap_err().to_string();
        assert!(error.contains("lost records") && error.contains("restore it"), "{error}");
    }
}

#[test]
fn a_ledger_others_may_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path());
    fs::set_permissions(dir.path().join(FILE), PermissionsExt::from_mode(0o644)).unwrap();
    assert!(matches!(Ledger::open(dir.path()), Err(PkiError::Exposed { .. })));
}
