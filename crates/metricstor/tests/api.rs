//! Every call of the query API beside a real Prometheus 3 with the same data: equal statuses, types
//! and bodies, errors word for word. Nothing is asked whose answer depends on the order of series.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::process::Command;

mod support;
use support::peer::{Peer, needed, succeeded};
use support::remote_write::{HEADERS, Message};
use support::{Response, Server, encode, now, request};

/// Expressions for every call that takes one.
const QUERIES: [&str; 30] = [
    "up",
    "1",
    "\"a<b>\"",
    "up[1m]",
    "nothing",
    "sum(up) by (job)",
    "1/0",
    "-1/0",
    "0/0",
    "vector(1e-7)",
    "vector(1e21)",
    "vector(123456789.123)",
    "rate(requests_total[5m])",
    "topk(1, temperature)",
    "up{",
    "sum(",
    "foo(1)",
    "rate(up)",
    "up offset -1m",
    "up @ 0",
    "",
    "count_values(\"x\", up)",
    "absent(nothing)",
    "time()",
    "scalar(up)",
    "quantile(2, up)",
    "rate(temperature[5m])",
    "histogram_quantile(0.5, latency)",
    "label_replace(up, \"a\", \"<&>\", \"\", \"\")",
    "{__name__=~\"up|requests_total\",job!=\"b\"} > bool 1 unless on (job) nothing",
];

/// Paths behind `/api/v1/`, END standing for the newest sample's second.
const PATHS: &[&str] = &[
    "query?query=up&time=abc",
    "query?query=time()&time=2025-01-01T01:00:00%2B23:60",
    "query?query=time()&time=2025-01-01T01:00:00-24:60",
    "query?query=time()&time=2025-01-01T01:00:00%2B00:61",
    "query?query=time()&time=2025-01-01T01:00:00-25:00",
    "query?query=time()&time=2025-01-01T1:00:00,5%2B01:00",
    "query?query=time()&time=1e400",
    "query?query=up&timeout=x",
    "query?query=temperature&time=END&limit=1",
    "query?query=up&time=END&limit=0",
    "query?query=up&limit=-1",
    "query?query=up&limit=a",
    "query?query=up&limit=1.5",
    "query?query=up&lookback_delta=1&time=END",
    "query?query=up&lookback_delta=x",
    "query_range?query=up",
    "query_range?query=up&start=1&end=0&step=1",
    "query_range?query=up&start=0&end=1&step=0",
    "query_range?query=up&start=0&end=1&step=-1",
    "query_range?query=up&start=0&end=1",
    "query_range?query=up&start=0&end=11000&step=1",
    "query_range?query=up&start=0&end=11001&step=1",
    "query_range?query=up&start=0&end=1&step=NaN",
    "query_range?query=up&start=0&end=1&step=1ns",
    "query_range?query=up&start=0&end=1&step=1e10",
    "query_range?query=up&start=END&end=END&step=0.5&limit=1",
    "series",
    "series?match[]=up",
    "series?match[]=up&limit=1",
    "series?match[]=up&start=1&end=2",
    "series?match[]=up{",
    "series?match[]={}",
    "series?match[]=up[1m]",
    "series?match[]=up&start=x",
    "series?match[]=nothing",
    "labels",
    "labels?match[]=up",
    "labels?match[]={}",
    "labels?limit=2",
    "labels?start=1&end=2",
    "labels?match[]=nothing",
    "labels?limit=x",
    "label/job/values",
    "label/__name__/values?match[]=up",
    "label/nothing/values",
    "label/U__job/values",
    "label/U__in_2d_valid/values",
    "label/job/values?limit=1",
    "label/job/values?match[]=up{",
    "label/job/values?start=1&end=2",
    "metadata?limit=x",
    "metadata?metric=nothing",
    "metadata?limit_per_metric=x",
    "targets",
    "targets?state=active",
    "targets?state=dropped",
    "targets/metadata",
    "targets/metadata?limit=x",
    "targets/metadata?match_target=}",
    "scrape_pools",
    "rules",
    "rules?type=alert",
    "rules?type=x",
    "rules?exclude_alerts=x",
    "rules?group_limit=1",
    "rules?group_limit=x",
    "rules?group_limit=0",
    "rules?group_next_token=a",
    "rules?group_limit=1&group_next_token=a",
    "rules?match[]=}",
    "alerts",
    "alertmanagers",
    "query_exemplars?query=up&start=2&end=1",
    "format_query",
    "parse_query",
    "nothing",
    "notifications",
    "status/tsdb?limit=0",
    "status/tsdb?limit=a",
    "otlp/v1/metrics",
    "query?query=up{job=\"a\"}&time=END",
];

fn fill(message: &Message, prometheus: std::net::SocketAddr, server: &Server) {
    let body = snap::raw::Encoder::new().compress_vec(&message.bytes).unwrap();
    for address in [prometheus, server.plain] {
        let response = request(address, "POST", "/api/v1/write", &HEADERS, &body).unwrap();
        assert_eq!(response.status, 204, "{address}: {}", response.text());
    }
}

/// What has to be equal; vectors in the order of their labels.
fn essence(response: &Response) -> (u16, Option<String>, serde_json::Value) {
    let body: serde_json::Value =
        serde_json::from_slice(&response.body).unwrap_or_else(|_| response.text().into());
    let mut body = body;
    if let Some(rows) = body.pointer_mut("/data/result").and_then(|rows| rows.as_array_mut()) {
        rows.sort_by_key(|row| row["metric"].to_string());
    }
    (response.status, response.header("content-type").map(str::to_owned), body)
}

#[test]
fn every_call_answers_as_prometheus_does() {
    let version = Command::new(needed("prometheus")).arg("--version").output().unwrap();
    if succeeded("version", &version).starts_with("prometheus, version 2") {
        return eprintln!("SKIPPED: the shapes of Prometheus 3 are not those of this Prometheus");
    }
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let (_peer, prometheus) = Peer::prometheus("global: {}\n", dir.path());
    let end = now() - 5;
    let times: Vec<i64> = (0..60).map(|i| (end - 15 * (59 - i)) * 1000 + 3).collect();
    let values = |of: fn(i64) -> f64| -> Vec<(i64, f64)> {
        (0..).zip(&times).map(|(i, t)| (*t, of(i))).collect()
    };
    let mut message = Message::new();
    for job in ["a", "b<&>\""] {
        message.add(&[("__name__", "up"), ("job", job)], &values(|_| 1.0));
        message.add(&[("__name__", "requests_total"), ("job", job)], &values(|i| (i % 40) as f64));
    }
    message.add(&[("__name__", "temperature"), ("in-valid", "é")], &values(|i| (i as f64).sin()));
    fill(&message, prometheus, &server);
    let mut paths: Vec<String> = PATHS.iter().map(|path| format!("/api/v1/{path}")).collect();
    for query in QUERIES.map(encode) {
        paths.push(format!("/api/v1/query?query={query}&time=END"));
        paths
            .push(format!("/api/v1/query_range?query={query}&start={}&end=END&step=60", end - 600));
        paths.push(format!("/api/v1/format_query?query={query}"));
        paths.push(format!("/api/v1/query_exemplars?query={query}&start=0&end=END"));
    }
    paths.extend(
        ["/federate?match[]=up", "/federate?match[]=nothing", "/nothing"].map(str::to_owned),
    );
    let mut different = Vec::new();
    for path in &paths {
        let path = path.replace("END", &end.to_string());
        let ask = |address| essence(&request(address, "GET", &path, &[], b"").unwrap());
        let (theirs, ours) = (ask(prometheus), ask(server.plain));
        if ours != theirs {
            different.push(format!("{path}\n  theirs {theirs:?}\n  ours   {ours:?}"));
        }
    }
    assert!(
        different.is_empty(),
        "{} of {}\n{}",
        different.len(),
        paths.len(),
        different.join("\n")
    );
}
