//! How long writes and queries wait while heads are flushed, files merged, samples deleted and series
//! forgotten: asked through the front door, and as the server measured its own locks.
//!
//! `METRICSTOR_PAUSE_SERIES=1000000 cargo test --release -p metricstor --test pauses -- --nocapture` is
//! the measurement, on an otherwise idle machine, and holds the longest to 200 ms.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

mod support;
use support::remote_write::Message;
use support::{Server, now};

/// Of the measurement; the ordinary run shares its machine with other tests.
const LONGEST: f64 = 0.2;
const LONGEST_ON_A_BUSY_MACHINE: f64 = 2.0;
/// Series of one request.
const REQUEST: usize = 2000;

/// Waits of one kind of request.
#[derive(Default)]
struct Waits(Vec<Duration>);

impl Waits {
    fn time(&mut self, act: impl FnOnce()) {
        let started = Instant::now();
        act();
        self.0.push(started.elapsed());
    }

    fn print(mut self, what: &str) {
        self.0.sort_unstable();
        let at = |part: f64| self.0[((self.0.len() - 1) as f64 * part) as usize];
        let (count, half, most, longest) = (self.0.len(), at(0.5), at(0.99), at(1.0));
        println!("{what}: {count}, median {half:?}, 99 % below {most:?}, longest {longest:?}");
    }
}

fn push_all(server: &Server, series: usize, at: i64) {
    for first in (0..series).step_by(REQUEST) {
        let mut message = Message::new();
        for i in first..series.min(first + REQUEST) {
            let (i, group) = (i.to_string(), (i % 10).to_string());
            let labels = [("__name__", "m"), ("group", &*group), ("i", &*i)];
            message.add(&labels, &[(at, at as f64)]);
        }
        assert_eq!(server.push(&message.bytes).status, 204);
    }
}

/// Everything that works in the background, while series come and lose their samples again.
fn maintain(server: &Server, series: usize, rounds: i64) {
    let start = now() * 1000 - 3_600_000;
    let post = |path: &str| {
        let answer = server.post(path, &[], b"");
        assert!(answer.status < 300, "{path}: {}", answer.text());
    };
    for round in 0..rounds {
        push_all(server, series, start + 2 * round * 15_000);
        post("/api/v1/admin/storage/compact");
        push_all(server, series, start + (2 * round + 1) * 15_000);
        // Some of what is deleted is in files, some in memory; after that some series have nothing.
        post("/api/v1/admin/tsdb/delete_series?match[]=%7Bgroup%3D%223%22%7D");
        post("/api/v1/admin/tsdb/clean_tombstones");
    }
}

#[test]
fn nobody_waits_long_for_the_maintenance() {
    let asked = std::env::var("METRICSTOR_PAUSE_SERIES").ok().map(|n| n.parse().unwrap());
    let (series, rounds) = (asked.unwrap_or(20_000), 2);
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let done = AtomicBool::new(false);
    let busy = || !done.load(Ordering::Acquire);
    let (writes, queries) = std::thread::scope(|scope| {
        let writes = scope.spawn(|| {
            let mut waits = Waits::default();
            for i in (0..).take_while(|_| busy()) {
                // Every second one is of a new series.
                let name = if i % 2 == 0 { "probe".to_owned() } else { format!("probe_{i}") };
                let labels: [(&str, &str); 1] = [("__name__", &name)];
                let sample = [(now() * 1000 - 60_000 + i % 60_000, 1.0)];
                let message = Message::new().series(&labels, &sample);
                waits.time(|| {
                    assert!([204, 400].contains(&server.push(&message.bytes).status));
                });
            }
            waits
        });
        let queries = scope.spawn(|| {
            let mut waits = Waits::default();
            while busy() {
                waits.time(|| drop(server.query("m{i=\"7\"}", now())));
            }
            waits
        });
        maintain(&server, series, rounds);
        done.store(true, Ordering::Release);
        (writes.join().unwrap(), queries.join().unwrap())
    });
    writes.print("writes");
    queries.print("queries");
    let metrics = server.get("/metrics").text();
    let name = "metricstor_storage_longest_pause_seconds{lock=";
    let pauses: Vec<(&str, f64)> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.split_once("} "))
        .map(|(lock, seconds)| (lock, seconds.parse().unwrap()))
        .collect();
    println!("longest pauses in seconds, with {series} series: {pauses:?}");
    let fsync = server.metric("metricstor_storage_longest_fsync_seconds");
    println!("longest wait for the log's disk: {fsync} s");
    assert_eq!(pauses.len(), 4, "{metrics}");
    let longest = if asked.is_some() { LONGEST } else { LONGEST_ON_A_BUSY_MACHINE };
    for (lock, seconds) in pauses {
        assert!(0.0 < seconds && seconds <= longest, "{lock} was held for {seconds} s");
    }
}
