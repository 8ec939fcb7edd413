//! More new series than may be held in memory at ease: all are taken, nothing is held beyond the limit,
//! and who has to wait is told why.
//!
//! `METRICSTOR_MANY_SERIES=10000000 cargo test --release -p metricstor --test many_series -- --nocapture`
//! is the measurement; the limit grows with the number, 2 GiB for ten million.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::time::Instant;

mod support;
use support::remote_write::Message;
use support::{Server, now, wait_until};

/// Series of one request.
const REQUEST: usize = 2000;
/// Series of one target.
const PARTS: usize = 700;
/// Samples of each series.
const ROUNDS: i64 = 3;
const BYTES_PER_SERIES: usize = 215;

fn message(first: usize, last: usize, at: i64) -> Vec<u8> {
    let mut message = Message::new();
    for i in first..last {
        let (target, part) = ((i / PARTS).to_string(), (i % PARTS).to_string());
        message.add(&[("__name__", "m"), ("part", &part), ("target", &target)], &[(at, at as f64)]);
    }
    message.bytes
}

/// Pushes a sample of every series; how often it was asked to come again.
fn push_all(server: &Server, series: usize, at: i64) -> usize {
    let mut refused = 0;
    for first in (0..series).step_by(REQUEST) {
        let bytes = message(first, series.min(first + REQUEST), at);
        wait_until("the samples to be taken", || {
            let answer = server.push(&bytes);
            if answer.status == 204 {
                return true;
            }
            assert_eq!(answer.status, 503, "{}", answer.text());
            assert!(answer.text().contains("memory.limit"), "{}", answer.text());
            assert!(answer.header("retry-after").is_some());
            refused += 1;
            false
        });
    }
    refused
}

#[test]
fn many_new_series_are_all_taken_within_the_memory_there_is() {
    let asked = std::env::var("METRICSTOR_MANY_SERIES").ok().map(|n| n.parse().unwrap());
    let series: usize = asked.unwrap_or(60_000);
    let limit = (BYTES_PER_SERIES * series).max(64 << 20);
    let dir = tempfile::tempdir().unwrap();
    let setting = [("METRICSTOR_MEMORY__LIMIT", limit.to_string())];
    let server = Server::start_with(dir.path(), &setting.each_ref().map(|(k, v)| (*k, v.as_str())));
    let start = now() * 1000 - 60_000;
    let begun = Instant::now();
    let refused: usize =
        (0..ROUNDS).map(|round| push_all(&server, series, start + round * 15_000)).sum();
    let per_second = ROUNDS as f64 * series as f64 / begun.elapsed().as_secs_f64();
    let held = server.metric("metricstor_memory_held_bytes");
    assert!(0.0 < held && held <= limit as f64, "{held} of {limit} bytes");
    assert_eq!(server.metric("metricstor_storage_series"), series as f64);
    // Until the heads are flushed, there may be no memory for a query.
    let count = format!("/api/v1/query?query=count(m)&time={}", start / 1000 + 30);
    wait_until("an answer", || server.get(&count).status == 200);
    let counted = server.get(&count).json()["data"]["result"][0]["value"][1].clone();
    assert_eq!(counted, series.to_string());
    let resident = server.metric("process_resident_memory_bytes") / f64::from(1 << 20);
    println!(
        "{series} series × {ROUNDS} within {} MiB: {per_second:.0} samples/s from one client, asked to \
         wait {refused} times, {:.0} MiB held, {resident:.0} MiB resident",
        limit >> 20,
        held / f64::from(1 << 20),
    );
}
