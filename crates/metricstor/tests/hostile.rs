//! Clients that mean harm, or mean too much: each is refused or answered in bounds, by name, while
//! samples keep being taken.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

mod support;
use support::remote_write::Message;
use support::{PATIENCE, Server, encode, now, wait_until};

const SERIES: i64 = 2000;
const POINTS: i64 = 60;

/// Two thousand series of an hour, a sample a minute.
fn filled(environment: &[(&str, &str)]) -> (tempfile::TempDir, Server, i64) {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_with(dir.path(), environment);
    let end = now();
    for part in 0..4 {
        let mut message = Message::new();
        for i in 0..SERIES / 4 {
            let id = format!("{}", part * SERIES / 4 + i);
            let samples: Vec<_> = (0..POINTS)
                .map(|p| ((end - 60 * (POINTS - 1 - p)) * 1000, (i * p) as f64))
                .collect();
            message.add(&[("__name__", "load"), ("id", &id), ("job", "a")], &samples);
        }
        let response = server.push(&message.bytes);
        assert_eq!(response.status, 204, "{}", response.text());
    }
    (dir, server, end)
}

/// The most memory the process ever held, in MiB.
fn peak_memory(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
fn fifty_heavy_queries_at_once_stay_in_bounds_and_samples_keep_coming_in() {
    let (_dir, server, end) = filled(&[
        ("METRICSTOR_QUERY__CONCURRENCY", "2"),
        ("METRICSTOR_QUERY__CONCURRENCY_PER_IDENTITY", "2"),
        ("METRICSTOR_QUERY__QUEUE", "20"),
        ("METRICSTOR_QUERY__QUEUE_TIMEOUT", "20s"),
        ("METRICSTOR_QUERY__TIMEOUT", "5s"),
        ("METRICSTOR_QUERY__MAX_MEMORY", "32MiB"),
    ]);
    let before = peak_memory(&server);
    let heavy = [
        "{__name__=~\".+\"}".to_owned(),
        "load * on (job) group_left () sum by (job) (load)".to_owned(),
        "load + on (id, job) load or load - on (id) load".to_owned(),
        "sum_over_time(load[1h:1s])".to_owned(),
        "label_replace(load, \"id\", \"$1$1$1\", \"id\", \"(.*)\") or load offset 1s".to_owned(),
        "quantile_over_time(0.5, (max_over_time(load[1h:1s]))[1h:1s])".to_owned(),
        "count_values(\"v\", load) or topk(1000, load)".to_owned(),
    ];
    let (done, written) = (AtomicBool::new(false), AtomicUsize::new(0));
    let statuses: Vec<(u16, String)> = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut slowest = Duration::ZERO;
            for i in 0.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                let time = now() * 1000 + i % 1000;
                let id = format!("{i}");
                let message =
                    Message::new().series(&[("__name__", "kept"), ("i", &id)], &[(time, 1.0)]);
                let begun = Instant::now();
                assert_eq!(server.push(&message.bytes).status, 204);
                slowest = slowest.max(begun.elapsed());
                written.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20)); // a sender's pace, not a wait
            }
            slowest
        });
        let ask = |i: usize| {
            let query = encode(&heavy[i % heavy.len()]);
            let range = format!("start={}&end={end}&step=1", end - 3600);
            let response = server.get(&format!("/api/v1/query_range?query={query}&{range}"));
            (
                response.status,
                String::from_utf8_lossy(&response.body[..response.body.len().min(300)])
                    .into_owned(),
            )
        };
        let asking: Vec<_> = (0..50).map(|i| scope.spawn(move || ask(i))).collect();
        let statuses = asking.into_iter().map(|thread| thread.join().unwrap()).collect();
        done.store(true, Ordering::Relaxed);
        let slowest = writer.join().unwrap();
        assert!(slowest < Duration::from_secs(5), "a write took {slowest:?}");
        statuses
    });
    for (status, body) in &statuses {
        match status {
            200 => {}
            422 => assert!(body.contains("(limit "), "{body}"),
            429 => assert!(body.contains("queries"), "{body}"),
            503 => assert!(body.contains("timed out"), "{body}"),
            _ => panic!("{status}: {body}"),
        }
    }
    let refused = statuses.iter().filter(|(status, _)| *status != 200).count();
    assert!(refused > 10, "heavy enough to need limits: {statuses:?}");
    let peak = peak_memory(&server);
    // What a query may hold is counted in columns; its answer, what is copied on the way and what the
    // allocator keeps come on top: up to four times as much for each of the two that run.
    assert!(peak < before + 2 * 4 * 32 + 64, "{before} MiB before, {peak} MiB at most");
    let kept = written.load(Ordering::Relaxed);
    let count = server.query("count(kept)", now() + 2);
    assert_eq!(count[0]["value"][1], kept.to_string());
    let metrics = server.get("/metrics").text();
    let counted: f64 = metrics
        .lines()
        .filter(|line| line.starts_with("metricstor_http_refused_queries_total{"))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum();
    assert_eq!(counted, refused as f64, "{metrics}");
}

#[test]
fn who_sends_a_request_slowly_or_too_large_a_head_is_let_go() {
    let (_dir, server, _) = filled(&[("METRICSTOR_CONNECTIONS__IDLE_TIMEOUT", "2s")]);
    let slow: Vec<_> = (0..40)
        .map(|i| {
            let mut stream = TcpStream::connect(server.plain).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(b"GET /api/v1/query?query=up HTTP/1.1\r\nHost: x\r\n").unwrap();
            (i, stream)
        })
        .collect();
    let begun = Instant::now();
    let letting_go: Vec<_> = slow
        .into_iter()
        .map(|(i, mut stream)| {
            std::thread::spawn(move || {
                // A byte now and then does not keep a request alive.
                let mut drip = stream.try_clone().unwrap();
                let dripping = std::thread::spawn(move || {
                    while begun.elapsed() < PATIENCE && drip.write_all(b"X").is_ok() {
                        std::thread::sleep(Duration::from_millis(200)); // the attack's pace
                    }
                });
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest); // closed or reset: both are an end
                drop(stream);
                dripping.join().unwrap();
                (i, begun.elapsed())
            })
        })
        .collect();
    assert_eq!(server.get("/api/v1/query?query=count(load)").status, 200, "others are served");
    for thread in letting_go {
        let (i, took) = thread.join().unwrap();
        assert!(took < Duration::from_secs(20), "connection {i} was held for {took:?}");
    }
    let long = "x".repeat(100 * 1024);
    let response = support::request(server.plain, "GET", "/-/ready", &[("X-Long", &long)], b"");
    assert!(response.is_err() || response.is_ok_and(|r| r.status == 431));
    let many: Vec<(String, String)> = (0..200).map(|i| (format!("X-{i}"), "v".into())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let response = support::request(server.plain, "GET", "/-/ready", &many, b"");
    assert!(response.is_err() || response.is_ok_and(|r| r.status == 431));
    wait_until("all connections to be closed", || {
        server.get("/metrics").text().contains("metricstor_http_connections 1\n")
    });
}
