//! A snapshot is a data directory: another server answers from it, whatever becomes of the first.

#![allow(clippy::unwrap_used)] // a panic is the failure report

mod support;
use support::remote_write::Message;
use support::{Server, now};

fn push(server: &Server, name: &str, time: i64) {
    let samples: Vec<_> = (0..100).map(|i| ((time - 100 + i) * 1000, i as f64)).collect();
    let mut message = Message::new();
    for i in 0..50 {
        message.add(&[("__name__", name), ("i", &i.to_string())], &samples);
    }
    assert_eq!(server.push(&message.bytes).status, 204);
}

fn snapshot(server: &Server, parameters: &str) -> String {
    let path = format!("/api/v1/admin/tsdb/snapshot{parameters}");
    let response = server.post(&path, &[], b"");
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()["data"]["name"].as_str().unwrap().to_owned()
}

fn count(server: &Server, name: &str, time: i64) -> String {
    let rows = server.query(&format!("sum(count_over_time({name}[1h]))"), time);
    rows[0]["value"][1].as_str().unwrap_or("0").to_owned()
}

#[test]
fn another_server_answers_from_a_snapshot() {
    let (dir, copy, part) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(dir.path());
    let time = now();
    push(&server, "first", time);
    let name = snapshot(&server, "");
    push(&server, "second", time);
    let files_only = snapshot(&server, "?skip_head=true");
    // What happens to the original does not reach the copies.
    let deleted = server.post("/api/v1/admin/tsdb/delete_series?match[]=first", &[], b"");
    assert_eq!(deleted.status, 204, "{}", deleted.text());
    assert_eq!(server.post("/api/v1/admin/storage/compact", &[], b"").status, 204);
    assert_eq!(count(&server, "first", time), "0");
    let snapshots = dir.path().join("data/snapshots");
    std::fs::rename(snapshots.join(&name), copy.path().join("data")).unwrap();
    std::fs::rename(snapshots.join(&files_only), part.path().join("data")).unwrap();
    assert_eq!(std::fs::read_dir(&snapshots).unwrap().count(), 0, "no leftovers");
    assert!(!copy.path().join("data/pki").exists(), "keys stay at home");
    for dir in [&copy, &part] {
        let server = Server::start(dir.path());
        assert_eq!(count(&server, "first", time), "5000");
        assert_eq!(count(&server, "second", time), "0");
        push(&server, "third", time);
        server.kill();
        let server = Server::start(dir.path());
        assert_eq!(count(&server, "third", time), "5000");
    }
    assert_eq!(count(&server, "second", time), "5000");
}
