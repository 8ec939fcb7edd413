//! The policy in the configuration file: taken over while the server runs, kept when the file is
//! wrong, and asked beforehand.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::path::Path;
use std::process::Command;

mod support;
use support::remote_write::Message;
use support::{Server, curl, now, wait_until};

const STAMPING: &str = r#"
policy:
  - who: user/*
    may: [write, read, admin]
    stamp: {sender: "{kind}-{name}"}
"#;

fn start(dir: &Path, config: &str) -> Server {
    let path = dir.join("metricstor.yml");
    std::fs::write(&path, config).unwrap();
    Server::start_configured(dir, &path)
}

fn push(server: &Server) -> String {
    let message = Message::new().series(&[("__name__", "up")], &[(now() * 1000, 1.0)]);
    let body = server.dir.join("body");
    std::fs::write(&body, snap::raw::Encoder::new().compress_vec(&message.bytes).unwrap()).unwrap();
    let data = format!("@{}", body.display());
    let protobuf = "Content-Type: application/x-protobuf";
    let arguments =
        ["-w", "%{http_code}", "-o", "/dev/null", "-H", protobuf, "--data-binary", &data];
    let output = curl(server, &arguments, "/api/v1/write");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_changed_file_is_in_force_within_seconds_and_a_wrong_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), STAMPING);
    let file = dir.path().join("metricstor.yml");
    assert_eq!(push(&server), "204");
    let found = server.query("up", now()).to_string();
    assert!(found.contains(r#""sender":"user-admin""#), "{found}");

    std::fs::write(&file, "policy: [{who: 'user/*', may: [read]}]\n").unwrap();
    wait_until("the new policy", || push(&server) == "403");
    std::fs::write(&file, "policy: [{who: 'user/*', may: [fly]}]\n").unwrap();
    let metric = |name: &str| {
        let page = server.get("/metrics").text();
        page.lines().find_map(|l| l.strip_prefix(name)?.trim().parse::<f64>().ok())
    };
    let healthy = || metric("metricstor_policy_last_reload_successful ");
    wait_until("the alarm", || healthy() == Some(0.0));
    assert_eq!(push(&server), "403", "the old policy stays");
    assert!(server.log().contains("unknown variant `fly`"), "{}", server.log());
    std::fs::write(&file, STAMPING).unwrap();
    wait_until("the first policy again", || push(&server) == "204");
    assert_eq!(healthy(), Some(1.0));
    assert!(server.log().contains("policy changed"), "{}", server.log());
    // Writing as somebody who may not is on record.
    assert!(server.log().contains("refused a request"), "{}", server.log());
}

const RELOADED: &str = r#"metricstor_policy_reloads_total{result="success"}"#;

/// A file that looks untouched is taken over at SIGHUP all the same, and only then.
#[test]
fn sighup_reads_the_file_again() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), STAMPING);
    let path = dir.path().join("metricstor.yml");
    let written = std::fs::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(push(&server), "204");
    // Of the same length, in the same file, as old as before.
    let rules = "\npolicy:\n  - {who: user/*, may: [read]}\n";
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &padded(rules), 0).unwrap();
    file.set_modified(written).unwrap();
    let before = server.metric(RELOADED);
    server.signal("-HUP");
    wait_until("the reload", || server.metric(RELOADED) > before);
    wait_until("the new policy", || push(&server) == "403");

    std::os::unix::fs::FileExt::write_all_at(&file, &padded("\npolicy: [{who: 7}]\n"), 0).unwrap();
    server.signal("-HUP");
    let healthy = "metricstor_policy_last_reload_successful";
    wait_until("the alarm", || server.metric(healthy) == 0.0);
    assert_eq!(push(&server), "403", "the old policy stays");
}

fn padded(rules: &str) -> Vec<u8> {
    format!("{rules:<width$}", width = STAMPING.len()).into_bytes()
}

#[test]
fn sighup_without_a_file_ends_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    server.signal("-HUP");
    wait_until("the reload of nothing", || server.metric(RELOADED) == 1.0);
    assert_eq!(push(&server), "204");
}

#[test]
fn what_a_policy_means_can_be_asked_before_it_is_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("metricstor.yml");
    std::fs::write(
        &file,
        "policy:\n  - {who: 'agent/web-*', may: [write], tenant: shop, stamp: {instance: '{name}'}}\n",
    )
    .unwrap();
    let ask = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_metricstor"))
            .args(["policy", "can-i", "--config"])
            .arg(&file)
            .args(arguments)
            .output()
            .unwrap()
    };
    let series = r#"up{instance="forged",job="node"}"#;
    let yes = ask(&["--as", "spiffe://metricstor/agent/web-1", "write", series]);
    let text = String::from_utf8_lossy(&yes.stdout).into_owned();
    assert!(yes.status.success(), "{text}");
    assert!(text.contains("tenant shop") && text.contains(r#"instance="web-1""#), "{text}");
    assert!(!text.contains("forged"), "{text}");
    let no = ask(&["--as", "agent/web-1", "read"]);
    assert_eq!(no.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&no.stderr).contains("rule 1"));
    assert_eq!(ask(&["--as", "agent/db-1", "write"]).status.code(), Some(1));
}
