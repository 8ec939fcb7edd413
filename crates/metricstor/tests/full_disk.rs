//! A server on a small disk of its own that somebody else fills: writes are refused, everything else
//! goes on, and so do writes once there is room again. Needs root, for the mount; skipped aloud without.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

mod support;
use support::remote_write::Message;
use support::{Server, now, wait_until};

const MIB: u64 = 1 << 20;
const DISK: u64 = 192 * MIB;
const RESERVE: u64 = 8 * MIB;
/// What is held while there is plenty.
const LITTLE: u64 = 256 << 10;

/// A tmpfs, unmounted when dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount() -> Option<Self> {
        let disk = Self(tempfile::tempdir().unwrap());
        let options = format!("size={DISK}");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "metricstor-test"])
            .arg(disk.path())
            .output();
        match mount {
            Ok(output) if output.status.success() => Some(disk),
            failed => {
                eprintln!("SKIPPED: a tmpfs cannot be mounted here: {failed:?}");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn free(&self) -> u64 {
        let df = Command::new("df").args(["--output=avail", "-B1"]).arg(self.path()).output();
        let df = String::from_utf8(df.unwrap().stdout).unwrap();
        df.lines().nth(1).unwrap().trim().parse().unwrap()
    }

    /// Somebody else's file takes all but `left` bytes.
    fn fill(&self, left: u64) -> PathBuf {
        let path = self.path().join(format!("other-{left}"));
        let mut file = File::create(&path).unwrap();
        let block = vec![1; 64 << 10];
        while self.free() > left + block.len() as u64 {
            let many = (self.free() - left) / block.len() as u64;
            for _ in 0..many {
                match file.write_all(&block) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => return path,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        // The last pages, too.
        while left == 0 && file.write_all(&[1; 4096]).is_ok() {}
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

/// Pushes and knows what was acknowledged.
struct Sender {
    step: i64,
    acknowledged: i64,
    start: i64,
}

impl Sender {
    const SERIES: i64 = 2000;

    fn new(start: i64) -> Self {
        Self { step: 0, acknowledged: 0, start }
    }

    fn push(&mut self, server: &Server) -> u16 {
        let mut message = Message::new();
        self.step += 1;
        for i in 0..Self::SERIES {
            // Not compressible, so that the log grows.
            let value = ((i * 31 + self.step) as f64).sin();
            let at = self.start + self.step;
            message.add(&[("__name__", "m"), ("i", &i.to_string())], &[(at, value)]);
        }
        let answer = server.push(&message.bytes);
        assert!([204, 503].contains(&answer.status), "{}: {}", answer.status, answer.text());
        if answer.status == 204 {
            self.acknowledged += Self::SERIES;
        } else {
            assert!(answer.header("retry-after").is_some());
        }
        answer.status
    }

    /// Until the disk is full.
    fn push_until_refused(&mut self, server: &Server) {
        wait_until("a refused write", || self.push(server) == 503);
    }

    fn check(&self, server: &Server) {
        let result = server.query("sum(count_over_time(m[2h]))", now());
        assert_eq!(result[0]["value"][1], self.acknowledged.to_string());
    }
}

fn reserve(server: &Server) -> u64 {
    let length = server.dir.join("data/reserve").metadata().map_or(0, |file| file.len());
    let shown = server.metric("metricstor_storage_reserve_bytes") as u64;
    // It may change between the two looks.
    if length == shown { length } else { u64::MAX }
}

fn start(disk: &Disk, environment: &[(&str, &str)]) -> Server {
    let settings = [("METRICSTOR_STORAGE__RESERVE", "8MiB")];
    Server::start_with(disk.path(), &[&settings, environment].concat())
}

#[test]
fn a_full_disk_stops_writes_alone_and_only_until_there_is_room() {
    let Some(disk) = Disk::mount() else { return };
    let server = start(&disk, &[]);
    let mut sender = Sender::new(now() * 1000 - 600_000);
    assert_eq!(sender.push(&server), 204);
    assert_eq!(reserve(&server), LITTLE, "there is plenty");
    let first = disk.fill(40 * MIB);
    wait_until("the reserve to be held", || reserve(&server) == RESERVE);
    let second = disk.fill(0);
    sender.push_until_refused(&server);
    sender.check(&server);
    let full = "metricstor_http_refused_writes_total{reason=\"disk_full\"}";
    assert!(server.metric(full) > 0.0);
    // What is in memory becomes files, from the reserve.
    let compacted = server.post("/api/v1/admin/storage/compact", &[], b"");
    assert!(compacted.status < 300, "{}", compacted.text());
    assert!(server.metric("metricstor_storage_chunk_files") > 0.0);
    assert_eq!(server.metric("metricstor_storage_head_samples"), 0.0);
    sender.check(&server);
    let path = "/api/v1/admin/tsdb/delete_series?match[]=m%7Bi%3D%227%22%7D";
    let deleted = server.post(path, &[], b"");
    assert_eq!(deleted.status, 204, "{}", deleted.text());
    sender.acknowledged -= sender.acknowledged / Sender::SERIES;
    sender.check(&server);
    std::fs::remove_file(&second).unwrap();
    wait_until("writes to go on", || sender.push(&server) == 204);
    wait_until("the reserve to be held again", || reserve(&server) == RESERVE);
    std::fs::remove_file(&first).unwrap();
    wait_until("the reserve to be let go", || reserve(&server) == LITTLE);
    sender.check(&server);
    server.kill();
    let server = start(&disk, &[]);
    sender.check(&server);
    assert_eq!(sender.push(&server), 204);
}

/// From plenty to nothing between two looks: what is held always is enough for the retention.
#[test]
fn a_disk_that_somebody_fills_at_once_is_freed_by_the_retention() {
    let Some(disk) = Disk::mount() else { return };
    let server = start(&disk, &[("METRICSTOR_STORAGE__RETENTION", "1h")]);
    let seconds = 12;
    let mut sender = Sender::new((now() - 3600 + seconds) * 1000);
    assert_eq!(sender.push(&server), 204);
    let compacted = server.post("/api/v1/admin/storage/compact", &[], b"");
    assert!(compacted.status < 300, "{}", compacted.text());
    assert!(server.metric("metricstor_storage_chunk_files") > 0.0);
    let _other = disk.fill(0);
    wait_until("the retention", || server.metric("metricstor_storage_chunk_files") == 0.0);
    assert_eq!(server.get("/-/healthy").status, 200);
}
