//! Turns and lines at the front door: who is served while another has the turns.

#![allow(clippy::unwrap_used)] // a panic is the failure report

mod support;

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use metricstor_http::{Config, QueryLimits};
use metricstor_pki::Policy;
use support::secured::*;
use support::{NOW, Push, Reply, encoded};

/// Nothing here is to end for its time.
const LONG: Duration = Duration::from_secs(3600);
/// How long a failing test waits for what does not come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server whose series `wide` make an answer of 60 MB, which no socket takes at once: who does not
/// read it keeps its turn.
fn gated(limits: QueryLimits) -> Secured {
    let queries = QueryLimits { stall_timeout: LONG, timeout: LONG, ..limits };
    let secured = Secured::with(Config { queries, ..Config::default() }, Policy::default());
    // Six bytes a sign in an answer.
    let value = "\u{1}".repeat(4000);
    let numbers: Vec<String> = (0..2500).map(|n| n.to_string()).collect();
    let push = numbers.iter().fold(Push::default(), |push, n| {
        push.series(&[("__name__", "wide"), ("n", n), ("value", &value)], &[(NOW, 1.0)])
    });
    let writer = secured.issue("service/writer");
    assert_eq!(secured.ask(&writer, write_with("", &push)).status, 204);
    secured
}

/// However little work it is to find: a long answer is streamed.
fn wide() -> String {
    get("/api/v1/query?query=wide")
}

/// A query that has its turn, and keeps it until it is dropped.
fn holder(secured: &Secured, who: &str) -> Stream {
    let mut stream = sent(secured, who, wide());
    await_turn(&mut stream);
    stream
}

fn sent(secured: &Secured, who: &str, request: impl AsRef<[u8]>) -> Stream {
    let mut stream = secured.connect(secured.client(&secured.issue(who)));
    stream.write_all(request.as_ref()).unwrap();
    stream.flush().unwrap();
    stream
}

/// An answer that has begun to come is written in its query's turn.
fn await_turn(stream: &mut Stream) {
    let mut begin = [0; b"HTTP/1.1 200".len()];
    stream.read_exact(&mut begin).unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200", "{}", String::from_utf8_lossy(&begin));
}

/// Reads the metrics, again and again on one connection.
struct Watcher(Stream);

impl Watcher {
    fn of(secured: &Secured) -> Self {
        Self(secured.connect(secured.client(&secured.issue("user/watcher"))))
    }

    /// A metric by its name and labels; one that was never touched is 0.
    fn metric(&mut self, name: &str) -> u64 {
        let page = exchange(&mut self.0, get("/metrics"));
        let line = page.text().lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |value| value.trim().parse().unwrap())
    }

    /// Refused reads by the reason.
    fn refused(&mut self, reason: &str) -> u64 {
        self.metric(&format!("metricstor_http_refused_queries_total{{reason=\"{reason}\"}}"))
    }

    fn await_waiting(&mut self, queries: u64) {
        let begun = Instant::now();
        loop {
            let waiting = self.metric("metricstor_http_queries_waiting ");
            if waiting == queries {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{waiting} of {queries} wait");
            std::thread::yield_now();
        }
    }
}

#[test]
fn whatever_is_asked_is_parsed_in_its_turn() {
    let secured = gated(QueryLimits { concurrent: 1, ..patient() });
    let mut watcher = Watcher::of(&secured);
    let held = holder(&secured, "service/flood");
    let wrong = [
        get("/api/v1/query?query=("),
        get("/api/v1/query_range?query=(&start=0&end=1&step=1"),
        get("/api/v1/query_exemplars?query=("),
        get("/api/v1/format_query?query=("),
        get("/api/v1/parse_query?query=("),
        get("/api/v1/series?match[]=("),
        get("/api/v1/labels?match[]=("),
        get("/api/v1/label/job/values?match[]=("),
        get("/federate?match[]=("),
        post("/api/v1/read", "no snappy"),
    ];
    let mut waiting = wrong.clone().map(|request| sent(&secured, "service/other", request));
    watcher.await_waiting(wrong.len() as u64);
    drop(held);
    for (request, stream) in wrong.iter().zip(&mut waiting) {
        assert_eq!(Reply::read(stream).status, 400, "{request}");
    }
}

#[test]
fn exemplars_that_are_not_parsed_are_counted() {
    let secured = Secured::start();
    let mut watcher = Watcher::of(&secured);
    let mut reader = secured.connect(secured.client(&secured.issue("service/other")));
    let mut ask = |query: &str| {
        let path = format!("/api/v1/query_exemplars?query={}", encoded(query));
        exchange(&mut reader, get(&path))
    };
    assert_eq!((ask("1").status, ask("up").status), (204, 200));
    let selectors: Vec<String> =
        (0..100).map(|i| format!("{{job=~\"\\\\pL{{100}}{i}|b.*\"}}")).collect();
    let refused = ask(&selectors.join(" or "));
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert_eq!(watcher.refused("query_regexes"), 1);
}

#[test]
fn turns_alternate_between_a_flood_and_who_asks_now_and_then() {
    let secured = gated(QueryLimits { concurrent: 2, concurrent_per_identity: 2, ..patient() });
    let mut watcher = Watcher::of(&secured);
    let mut evaluated: VecDeque<_> = (0..2).map(|_| holder(&secured, "service/flood")).collect();
    let mut waiting = VecDeque::new();
    for place in 1..=5 {
        // Each keeps the turn that it gets: who waits for all of them waits for ever.
        waiting.push_back(sent(&secured, "service/flood", wide()));
        watcher.await_waiting(place);
    }
    let mut other = secured.connect(secured.client(&secured.issue("service/other")));
    for left in (3..=5).rev() {
        other.write_all(READ.as_bytes()).unwrap();
        watcher.await_waiting(left + 1);
        drop(evaluated.pop_front());
        let reply = Reply::read(&mut other);
        assert_eq!(reply.status, 200, "with {left} of the flood before it: {}", reply.text());
        let mut next = waiting.pop_front().unwrap();
        await_turn(&mut next);
        evaluated.push_back(next);
        watcher.await_waiting(left - 1);
    }
    assert_eq!((watcher.refused("queue"), watcher.refused("queue_timeout")), (0, 0));
}

#[test]
fn an_answer_that_nobody_reads_ends_when_its_query_is_cancelled() {
    let secured = gated(QueryLimits { concurrent: 1, ..patient() });
    let mut watcher = Watcher::of(&secured);
    let _held = holder(&secured, "service/flood");
    let mut other = sent(&secured, "service/other", READ);
    watcher.await_waiting(1);
    let admin = secured.issue("user/admin");
    let listed = secured.ask(&admin, get("/api/v1/status/active_queries"));
    let listed: serde_json::Value = serde_json::from_slice(&listed.body).unwrap();
    let id = listed["data"][0]["id"].as_u64().unwrap();
    let cancelled = secured.ask(&admin, post(&format!("/api/v1/admin/queries/{id}/cancel"), ""));
    assert_eq!(cancelled.status, 204);
    assert_eq!(Reply::read(&mut other).status, 200);
}

#[test]
fn beyond_the_queue_a_flood_loses_its_last_query() {
    let secured = gated(QueryLimits { concurrent: 1, queue: 2, ..patient() });
    let mut watcher = Watcher::of(&secured);
    let held = holder(&secured, "service/flood");
    let mut flood = [1, 2].map(|place| {
        let stream = sent(&secured, "service/flood", READ);
        watcher.await_waiting(place);
        stream
    });
    assert_refused(&secured.ask(&secured.issue("service/flood"), READ), "waiting already");
    assert_eq!(watcher.refused("queue"), 1, "the newest of the flood");
    let mut other = sent(&secured, "service/other", READ);
    assert_refused(&Reply::read(&mut flood[1]), "waiting already");
    assert_eq!(watcher.refused("queue"), 2, "and for another caller the last that waits");
    watcher.await_waiting(2);
    drop(held);
    assert_eq!([&mut flood[0], &mut other].map(|stream| Reply::read(stream).status), [200; 2]);
}

#[test]
fn beyond_its_own_number_an_identity_waits_beside_a_free_turn_and_only_so_long() {
    let queue_timeout = Duration::from_millis(100);
    let limits = QueryLimits { concurrent: 2, concurrent_per_identity: 1, ..patient() };
    let secured = gated(QueryLimits { queue_timeout, ..limits });
    let mut watcher = Watcher::of(&secured);
    let _held = holder(&secured, "service/flood");
    assert_refused(&secured.ask(&secured.issue("service/flood"), READ), "waited too long");
    assert_eq!((watcher.refused("queue"), watcher.refused("queue_timeout")), (0, 1));
    assert_eq!(secured.ask(&secured.issue("service/other"), READ).status, 200);
}

/// Limits under which nobody waits too long.
fn patient() -> QueryLimits {
    QueryLimits { queue_timeout: LONG, ..QueryLimits::default() }
}

fn assert_refused(reply: &Reply, why: &str) {
    let retry = reply.header("retry-after").is_some();
    assert_eq!((reply.status, retry), (429, true), "{}", reply.text());
    assert!(reply.text().contains(r#""errorType":"unavailable""#), "{}", reply.text());
    assert!(reply.text().contains(why), "{}", reply.text());
}
