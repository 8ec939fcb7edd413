//! The front door: mutual TLS by the files that the server made, and nothing without them.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::process::Command;

mod support;
use support::{Server, curl};

#[test]
fn the_administrators_certificate_opens_the_door() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let output = curl(&server, &[], "/api/v1/query?query=1%2B1&time=4");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains(r#""result":[4,"2"]"#), "{text}");
}

#[test]
fn without_a_certificate_nothing_is_written_or_read() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    for path in ["/api/v1/query?query=up", "/api/v1/write", "/metrics", "/-/ready"] {
        let output = Command::new("curl")
            .args(["-sS", "--max-time", "10", "-w", "%{http_code}", "--cacert"])
            .arg(server.dir.join("data/pki/ca.crt"))
            .arg(format!("https://{}{path}", server.tls))
            .output()
            .unwrap();
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        let refused =
            !output.status.success() || answer.ends_with("401") || answer.ends_with("403");
        assert!(refused, "{path}: {answer}");
    }
}

#[test]
fn tls_1_2_is_spoken_by_setting_only() {
    let speaks = |setting: &[(&str, &str)]| {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start_with(dir.path(), setting);
        curl(&server, &["--tls-max", "1.2"], "/-/healthy").status.success()
    };
    assert!(!speaks(&[]));
    assert!(speaks(&[("METRICSTOR_TLS__ALLOW_TLS12", "true")]));
}

#[test]
fn by_setting_nothing_is_said_without_a_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_with(dir.path(), &[("METRICSTOR_TLS__REQUIRE_CERTIFICATE", "true")]);
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "10", "--cacert"])
        .arg(server.dir.join("data/pki/ca.crt"))
        .arg(format!("https://{}/-/healthy", server.tls))
        .output()
        .unwrap();
    // The alert may be overtaken by the end of the connection; either way there is no answer.
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(curl(&server, &[], "/-/healthy").status.success());
}

#[test]
fn a_second_start_finds_certificates_and_samples_again() {
    let dir = tempfile::tempdir().unwrap();
    let ca = |server: &Server| std::fs::read(server.dir.join("data/pki/ca.crt")).unwrap();
    let server = Server::start(dir.path());
    let first = ca(&server);
    assert!(server.terminate());
    let server = Server::start(dir.path());
    assert_eq!(ca(&server), first);
    assert!(curl(&server, &[], "/-/ready").status.success());
}

#[test]
fn keys_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let pki = server.dir.join("data/pki");
    let mut keys = 0;
    let mut folders = vec![pki];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "key") {
                let mode = path.metadata().unwrap().permissions().mode();
                assert_eq!(mode & 0o077, 0, "{}", path.display());
                keys += 1;
            }
        }
    }
    assert!(keys >= 2, "{keys} keys");
    for line in server.log().lines() {
        assert!(!line.contains("PRIVATE KEY"), "{line}");
    }
}
