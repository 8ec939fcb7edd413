//! What a server refuses to start with: it ends with a sentence that names the file or the setting and
//! what to do, and changes nothing.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

mod support;
use support::{Server, curl, free_address};

/// `metricstor serve …`, which is to end by itself.
fn serve(data: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_metricstor"))
        .args(["serve", "--data-dir"])
        .arg(data)
        .args(["--listen", &free_address().to_string()])
        .args(more)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Why it did not start, in one line.
fn refusal(data: &Path, more: &[&str]) -> String {
    let output = serve(data, more);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{more:?}: {text}");
    assert!(!text.contains("panicked") && !text.contains("PRIVATE"), "{text}");
    text.lines().find(|line| line.starts_with("metricstor: ")).unwrap_or(&text).to_owned()
}

/// A directory that a server has used.
fn used() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    // Something for the register to hold.
    let revoke = r#"{"subject":"agent/sold","reason":"sold"}"#;
    assert_eq!(server.post("/api/v1/admin/pki/revoke", &[], revoke.as_bytes()).status, 200);
    assert!(server.terminate());
    dir
}

#[test]
fn secrets_that_others_could_read_or_change() {
    let dir = used();
    let data = dir.path().join("data");
    let names = ["root-1.pem", "issuing-1.pem", "server.key", "admin.key", "ledger.log"];
    let secrets = names.map(|name| format!("pki/{name}"));
    for name in secrets.iter().map(String::as_str).chain(["revoked.json"]) {
        let path = data.join(name);
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        let text = refusal(&data, &[]);
        assert!(text.contains(name) && text.contains("644"), "{text}");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o644,
            "not repaired"
        );
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    }
    fs::set_permissions(data.join("pki"), PermissionsExt::from_mode(0o770)).unwrap();
    assert!(refusal(&data, &[]).contains("pki"));
}

#[test]
fn a_damaged_register_or_copy_of_the_revocations() {
    let dir = used();
    let data = dir.path().join("data");
    for name in ["pki/ledger.log", "revoked.json"] {
        let path = data.join(name);
        let whole = fs::read(&path).unwrap();
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 0x80;
        fs::write(&path, &damaged).unwrap();
        let text = refusal(&data, &[]);
        assert!(text.contains(name) && text.contains("restore it from a backup"), "{text}");
        assert_eq!(fs::read(&path).unwrap(), damaged, "left as it was found");
        fs::write(&path, &whole).unwrap();
    }
    assert!(Server::start(dir.path()).terminate());
}

#[test]
fn a_directory_that_is_in_use_or_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let listing = || {
        let files = fs::read_dir(dir.path().join("data/pki")).unwrap();
        let mut files: Vec<_> = files.map(|e| fs::read(e.unwrap().path()).unwrap()).collect();
        files.sort();
        files
    };
    let before = listing();
    let text = refusal(&dir.path().join("data"), &[]);
    assert!(text.contains("lock") || text.contains("use"), "{text}");
    assert_eq!(listing(), before);
    assert!(curl(&server, &[], "/-/ready").status.success(), "the first goes on");

    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(refusal(&file, &[]).contains("file"));
    // Nobody, root included, makes files there.
    assert!(refusal(Path::new("/proc/metricstor"), &[]).contains("/proc/metricstor"));
}

#[test]
fn settings_that_cannot_work_or_do_not_exist() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let typo = file("typo.yml", "tls: {require_certificat: true}");
    let rule = file("rule.yml", "policy: [{who: agent/*, may: [write], stamp: {'': x}}]");
    let life = file("life.yml", "tls: {certificate_life: 10s}");
    let absent = dir.path().join("absent.yml");
    for (arguments, named) in [
        (&["--config", typo.as_str()], "require_certificate"),
        (&["--config", &rule], "rule 1"),
        (&["--config", &life], "tls.certificate_life"),
        (&["--config", absent.to_str().unwrap()], "absent.yml"),
        (&["--listen", "everywhere"], "listen"),
        (&["--loopback-http", "192.0.2.1:9103"], "loopback"),
        (&["--log-level", "loud"], "loud"),
        (&["--no-tls", "yes"], "--no-tls"),
    ] {
        let output = serve(&data, arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(named), "{arguments:?}: {text}");
    }
    assert!(!data.exists(), "nothing was made");
}

#[test]
fn another_trust_domain() {
    let dir = used();
    let config = dir.path().join("other.yml");
    fs::write(&config, "tls: {trust_domain: other.example}").unwrap();
    let text = refusal(&dir.path().join("data"), &["--config", config.to_str().unwrap()]);
    assert!(text.contains("other.example"), "{text}");
}

#[test]
fn a_socket_that_cannot_be_made_and_a_file_in_its_place_which_stays() {
    let dir = tempfile::tempdir().unwrap();
    let [file, link, deep] = ["notes", "link", "no/folder"].map(|name| dir.path().join(name));
    fs::write(&file, "mine").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for (path, what) in [(&file, "remove it"), (&link, "remove it"), (&deep, "make its folder")] {
        let config = dir.path().join("config.yml");
        fs::write(&config, format!("unix_socket: {}\n", path.display())).unwrap();
        let text = refusal(&dir.path().join("data"), &["--config", config.to_str().unwrap()]);
        assert!(text.contains(path.to_str().unwrap()) && text.contains(what), "{text}");
    }
    assert_eq!(
        (fs::read(&file).unwrap(), fs::read(&link).unwrap()),
        ("mine".into(), "mine".into())
    );
}
