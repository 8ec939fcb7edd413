//! Clients that mean harm, or mean too much: each is refused or answered in bounds, by name, while
//! samples keep being taken.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

mod support;
use support::remote_write::Message;
use support::{PATIENCE, Response, Server, encode, now, wait_until};

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

/// Asks so many questions at once while a sender pushes: the statuses with the beginnings of the
/// answers, and how many samples were acknowledged meanwhile, none of them slowly.
fn while_writing(
    server: &Server,
    questions: usize,
    ask: impl Fn(usize) -> Response + Sync,
) -> (Vec<(u16, String)>, usize) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let (mut slowest, mut written) = (Duration::ZERO, 0);
            while !done.load(Ordering::Relaxed) || written == 0 {
                let (time, id) = (now() * 1000 + written as i64 % 1000, written.to_string());
                let message =
                    Message::new().series(&[("__name__", "kept"), ("i", &id)], &[(time, 1.0)]);
                let begun = Instant::now();
                assert_eq!(server.push(&message.bytes).status, 204);
                slowest = slowest.max(begun.elapsed());
                written += 1;
                std::thread::sleep(Duration::from_millis(20)); // a sender's pace, not a wait
            }
            assert!(slowest < Duration::from_secs(5), "a write took {slowest:?}");
            written
        });
        let ask = &ask;
        let answer = move |i| {
            let response: Response = ask(i);
            let beginning = &response.body[..response.body.len().min(300)];
            (response.status, String::from_utf8_lossy(beginning).into_owned())
        };
        let asking: Vec<_> = (0..questions).map(|i| scope.spawn(move || answer(i))).collect();
        let statuses = asking.into_iter().map(|thread| thread.join().unwrap()).collect();
        done.store(true, Ordering::Relaxed);
        (statuses, writer.join().unwrap())
    })
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
    let (statuses, written) = while_writing(&server, 50, |i| {
        let query = encode(&heavy[i % heavy.len()]);
        let range = format!("start={}&end={end}&step=1", end - 3600);
        server.get(&format!("/api/v1/query_range?query={query}&{range}"))
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
    let count = server.query("count(kept)", now() + 2);
    assert_eq!(count[0]["value"][1], written.to_string());
    let metrics = server.get("/metrics").text();
    let counted: f64 = metrics
        .lines()
        .filter(|line| line.starts_with("metricstor_http_refused_queries_total{"))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum();
    assert_eq!(counted, refused as f64, "{metrics}");
}

/// A query that means harm, and what it may be answered: a status, and a word of its reason.
fn harmful() -> Vec<(String, &'static [(u16, &'static str)])> {
    let programs = (0..400).map(|i| format!("up{{a=~\"\\\\pL{{100}}x{i}\"}}"));
    let programs = programs.collect::<Vec<_>>().join(" or ");
    let hosts = (0..5000).map(|i| format!("host-{i:05}.example.com:9100"));
    let hosts = hosts.collect::<Vec<_>>().join("|");
    vec![
        (programs, &[(400, "query.max_regex_memory")]),
        (format!("load{{id=~\"{hosts}\"}}"), &[(200, "success")]),
        ("up + ".repeat(2 << 20), &[(413, "bad_data")]),
        (format!("up{}", " ".repeat(2 << 20)), &[(400, "bytes long")]),
        (format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000)), &[(400, "nested")]),
        ("-".repeat(500_000) + "1", &[(400, "nested"), (400, "chain")]),
        ("up + ".repeat(100_000) + "up", &[(400, "chain")]),
        ("load{id=~\"(a+)+$\"}".into(), &[(200, "success")]),
        ("load{id=~\"(x+x+)+y|((.*)*)*\"}".into(), &[(200, "success")]),
        ("load{id=~\"((a{0,99}){0,99}){0,99}\"}".into(), &[(400, "bad_data")]),
        ("label_replace(load, \"a\", \"$1\", \"id\", \"((.*)*)*\")".into(), &[(200, "success")]),
        ("load * on (job) group_left () load".into(), &[(422, "many-to-many")]),
        ("{__name__=~\".+\"}".into(), &[(200, "success"), (422, "(limit ")]),
        ("count_over_time({__name__=~\".+\"}[100y])".into(), &[(200, "success"), (422, "(limit ")]),
        ("sum_over_time(load[100y:1ms])".into(), &[(422, "(limit ")]),
        ("max_over_time(sum(load)[100y:1ms])".into(), &[(422, "(limit ")]),
    ]
}

#[test]
fn harmful_queries_are_refused_or_answered_in_bounds_while_samples_keep_coming_in() {
    let (_dir, server, end) = filled(&[
        ("METRICSTOR_QUERY__CONCURRENCY", "2"),
        ("METRICSTOR_QUERY__CONCURRENCY_PER_IDENTITY", "2"),
        ("METRICSTOR_QUERY__QUEUE_TIMEOUT", "60s"),
        ("METRICSTOR_QUERY__TIMEOUT", "10s"),
        ("METRICSTOR_QUERY__MAX_MEMORY", "32MiB"),
        ("METRICSTOR_QUERY__MAX_SAMPLES", "1000000"),
    ]);
    let before = peak_memory(&server);
    let harmful = harmful();
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let (answers, written) = while_writing(&server, 50, |i| {
        let (query, _) = &harmful[i % harmful.len()];
        let body = format!("query={}&time={end}", encode(query));
        server.post("/api/v1/query", &form, body.as_bytes())
    });
    for (i, (status, text)) in answers.iter().enumerate() {
        let (query, allowed) = &harmful[i % harmful.len()];
        let query: String = query.chars().take(60).collect();
        let fits = allowed.iter().any(|(code, word)| code == status && text.contains(word));
        assert!(fits, "{query}: {status} {text}");
    }
    let metrics = server.get("/metrics").text();
    let counted = |counter: &str| assert!(metrics.contains(counter), "{counter}: {metrics}");
    for reason in ["query_length", "query_depth", "query_chain", "query_regexes"] {
        counted(&format!("metricstor_http_refused_queries_total{{reason=\"{reason}\"}} "));
    }
    counted("metricstor_http_requests_total{path=\"/api/v1/query\",code=\"413\"} ");
    let peak = peak_memory(&server);
    // Besides what two queries hold there are the bodies of those that wait.
    assert!(peak < before + 2 * 4 * 32 + 50 * 12, "{before} MiB before, {peak} MiB at most");
    let count = server.query("count(kept)", now() + 2);
    assert_eq!(count[0]["value"][1], written.to_string());
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
