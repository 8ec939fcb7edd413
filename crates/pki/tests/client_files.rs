//! Credentials in files: stable paths, whole generations, nothing lost in a crash.

#![allow(clippy::unwrap_used, reason = "a panic is the failure report, in helpers too")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use metricstor_pki::{ClientFiles, Enrolled, Kind, Registrar, TokenSpec};
use support::*;

struct Setup {
    _authority: tempfile::TempDir,
    output: tempfile::TempDir,
    registrar: Registrar,
}

impl Setup {
    fn new() -> Self {
        let authority = tempfile::tempdir().unwrap();
        let registrar = Registrar::open(authority.path(), &domain(), day(0)).unwrap();
        Self { _authority: authority, output: tempfile::tempdir().unwrap(), registrar }
    }

    fn enrol(&mut self, files: &ClientFiles) -> Enrolled {
        let names = "web-1".parse().unwrap();
        let lifetime = Duration::from_secs(3_600);
        let spec = TokenSpec { kind: Kind::Agent, names, uses: 1, lifetime };
        let token = self.registrar.create_token(&spec, "user/admin", day(0)).unwrap();
        let key = files.applicant_key().unwrap();
        let answer = self.registrar.enrol(&key.enrol(&token, "web-1"), day(0)).unwrap();
        key.accept(&answer, Some(&token.root_pin), day(0)).unwrap()
    }

    fn renew(&mut self, files: &ClientFiles, old: &Enrolled, n: u64) -> Enrolled {
        let key = files.applicant_key().unwrap();
        let answer = self.registrar.renew(Some(&old.identity), &key.renew(), day(n)).unwrap();
        key.accept(&answer, None, day(n)).unwrap()
    }
}

fn generations(dir: &Path) -> usize {
    let is_dir = |e: &fs::DirEntry| e.file_type().unwrap().is_dir();
    fs::read_dir(dir).unwrap().map(Result::unwrap).filter(is_dir).count()
}

#[test]
fn renewed_credentials_appear_under_the_same_paths() {
    let mut setup = Setup::new();
    let dir = setup.output.path().to_owned();
    let files = ClientFiles::open(&dir).unwrap();
    assert!(files.current().unwrap().is_none());
    let mut enrolled = setup.enrol(&files);
    for n in 1..6 {
        files.publish(&enrolled).unwrap();
        let stored = ClientFiles::open(&dir).unwrap().current().unwrap().unwrap();
        assert_eq!(stored.credentials.chain(), enrolled.credentials.chain());
        assert_eq!(stored.credentials.key_der(), enrolled.credentials.key_der());
        assert_eq!(stored.trust_bundle, enrolled.trust_bundle);
        for (name, mode) in [("client.key", 0o600), ("client.crt", 0o644), ("ca.crt", 0o644)] {
            let metadata = fs::metadata(dir.join("current").join(name)).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o777, mode, "{name}");
        }
        assert!(generations(&dir) <= 2, "only the previous generation is kept");
        enrolled = setup.renew(&files, &enrolled, n);
    }
}

#[test]
fn the_key_that_waits_for_an_answer_survives_until_it_is_used() {
    let mut setup = Setup::new();
    let files = ClientFiles::open(setup.output.path()).unwrap();
    let key = files.applicant_key().unwrap().to_pem();
    assert_eq!(files.applicant_key().unwrap().to_pem(), key);
    let enrolled = setup.enrol(&files);
    files.publish(&enrolled).unwrap();
    assert_ne!(files.applicant_key().unwrap().to_pem(), key);
}

#[test]
fn what_others_put_into_the_directory_is_not_touched() {
    let mut setup = Setup::new();
    let dir = setup.output.path().to_owned();
    let files = ClientFiles::open(&dir).unwrap();
    fs::create_dir(dir.join("mine")).unwrap();
    fs::write(dir.join("notes"), "x").unwrap();
    let mut enrolled = setup.enrol(&files);
    for n in 1..5 {
        files.publish(&enrolled).unwrap();
        enrolled = setup.renew(&files, &enrolled, n);
    }
    assert!(dir.join("mine").is_dir() && dir.join("notes").is_file());
}

#[test]
fn damaged_and_planted_files_are_refused() {
    let mut setup = Setup::new();
    let dir = setup.output.path().to_owned();
    let files = ClientFiles::open(&dir).unwrap();
    let enrolled = setup.enrol(&files);
    files.publish(&enrolled).unwrap();
    for name in ["client.key", "client.crt", "ca.crt"] {
        let path = dir.join("current").join(name);
        let good = fs::read(&path).unwrap();
        fs::write(&path, "damaged").unwrap();
        let error = files.current().unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("enrol again"), "{error}");
        fs::write(&path, good).unwrap();
    }
    files.current().unwrap().unwrap();
    fs::remove_file(dir.join("current")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", dir.join("current")).unwrap();
    files.current().unwrap_err();
}

#[test]
fn one_process_at_a_time_changes_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let files = ClientFiles::open(dir.path()).unwrap();
    let lock = files.lock().unwrap();
    let (sender, entered) = std::sync::mpsc::channel();
    let path = dir.path().to_owned();
    let other = std::thread::spawn(move || {
        let _lock = ClientFiles::open(&path).unwrap().lock().unwrap();
        sender.send(()).unwrap();
    });
    assert!(entered.recv_timeout(Duration::from_millis(50)).is_err(), "it waits");
    drop(lock);
    entered.recv_timeout(Duration::from_secs(30)).unwrap();
    other.join().unwrap();
    fs::remove_file(dir.path().join("lock")).unwrap();
    std::os::unix::fs::symlink("elsewhere", dir.path().join("lock")).unwrap();
    assert!(files.lock().is_err(), "a planted link is not followed");
}
