//! kill -9 in the middle of a push: every sample that was acknowledged is there, exactly once.
//!
//! `METRICSTOR_KILL_ROUNDS=200 cargo test --release -p metricstor --test kill` runs longer.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

mod support;
use support::remote_write::{HEADERS, Message};
use support::{Server, now, request, wait_until};

const SENDERS: u64 = 3;
const SERIES: u64 = 20;

/// Numbered samples: sender `k`'s request `n` writes the value n at start + n seconds to 20 series.
fn message(sender: u64, n: u64, start: i64) -> Vec<u8> {
    let mut message = Message::new();
    for series in 0..SERIES {
        let (sender, series) = (sender.to_string(), series.to_string());
        let labels = [("__name__", "numbered"), ("sender", &*sender), ("series", &*series)];
        message.add(&labels, &[(start * 1000 + n as i64 * 100, n as f64)]);
    }
    snap::raw::Encoder::new().compress_vec(&message.bytes).unwrap()
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let rounds = std::env::var("METRICSTOR_KILL_ROUNDS").map_or(20, |n| n.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let start = now() - 12 * 3600;
    let acknowledged: Vec<AtomicU64> = (0..SENDERS).map(|_| AtomicU64::new(0)).collect();
    let attempted: Vec<AtomicU64> = (0..SENDERS).map(|_| AtomicU64::new(0)).collect();
    for round in 0..rounds {
        let server = Server::start(dir.path());
        verify(&server, start, &acknowledged, &attempted);
        let killed = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for sender in 0..SENDERS {
                let (acknowledged, attempted) =
                    (&acknowledged[sender as usize], &attempted[sender as usize]);
                let (killed, plain) = (&killed, server.plain);
                scope.spawn(move || {
                    // A request without an answer is sent again after the restart, as senders do.
                    while !killed.load(Ordering::SeqCst) {
                        let n = acknowledged.load(Ordering::SeqCst);
                        attempted.fetch_max(n + 1, Ordering::SeqCst);
                        let body = message(sender, n, start);
                        let sent = request(plain, "POST", "/api/v1/write", &HEADERS, &body);
                        match sent {
                            Ok(response) if response.status == 204 => {
                                acknowledged.fetch_add(1, Ordering::SeqCst);
                            }
                            Ok(response) => panic!("{}: {}", response.status, response.text()),
                            Err(_) => {}
                        }
                    }
                });
            }
            let target: u64 = 30 * (round + 1);
            wait_until("enough acknowledged requests", || {
                acknowledged.iter().map(|a| a.load(Ordering::SeqCst)).sum::<u64>() >= target
            });
            if round % 3 == 2 {
                // Some kills hit a flush or a merge.
                let plain = server.plain;
                let path = "/api/v1/admin/storage/compact";
                scope.spawn(move || request(plain, "POST", path, &[], b""));
                std::thread::sleep(Duration::from_millis(round % 7));
            }
            server.kill();
            killed.store(true, Ordering::SeqCst);
        });
    }
    let server = Server::start(dir.path());
    verify(&server, start, &acknowledged, &attempted);
    let total: u64 = acknowledged.iter().map(|a| a.load(Ordering::SeqCst)).sum();
    println!("{rounds} kills, {} samples acknowledged, none missing", total * SERIES);
    assert!(server.terminate(), "a clean stop is clean");
}

/// Each series holds 0, 1, 2 … in order, at least as many as were acknowledged, none twice.
fn verify(server: &Server, start: i64, acknowledged: &[AtomicU64], attempted: &[AtomicU64]) {
    for (sender, (acknowledged, attempted)) in acknowledged.iter().zip(attempted).enumerate() {
        let (least, most) = (acknowledged.load(Ordering::SeqCst), attempted.load(Ordering::SeqCst));
        if least == 0 {
            continue;
        }
        let query = format!("numbered{{sender=\"{sender}\"}}[13h]");
        let result = server.query(&query, start + 12 * 3600);
        let series = result.as_array().unwrap();
        assert_eq!(series.len() as u64, SERIES);
        for one in series {
            let values = one["values"].as_array().unwrap();
            let count = values.len() as u64;
            assert!(
                count >= least && count <= most,
                "{count} of {least}..={most}: {}",
                one["metric"]
            );
            for (n, sample) in values.iter().enumerate() {
                assert_eq!(sample[1], n.to_string(), "{}", one["metric"]);
                let expected = start as f64 + n as f64 / 10.0;
                assert!((sample[0].as_f64().unwrap() - expected).abs() < 1e-6);
            }
        }
    }
}
