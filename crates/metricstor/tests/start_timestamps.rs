//! Start timestamps of remote write 2.0, from the sender to queries: from memory, from the replayed
//! log, from a chunk file.

#![allow(clippy::unwrap_used)] // a panic is the failure report

mod support;

use prost::Message;
use support::{Response, Server, now};

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(string, repeated, tag = "4")]
    symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    series: Vec<Series>,
}

#[derive(Clone, PartialEq, Message)]
struct Series {
    #[prost(uint32, repeated, tag = "1")]
    labels: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    histograms: Vec<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
    #[prost(int64, tag = "3")]
    start_timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(uint64, tag = "6")]
    zero_count: u64,
    #[prost(int64, tag = "15")]
    timestamp: i64,
    #[prost(int64, tag = "17")]
    start_timestamp: i64,
}

const HEADERS: [(&str, &str); 3] = [
    ("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
    ("Content-Encoding", "snappy"),
    ("X-Prometheus-Remote-Write-Version", "2.0.0"),
];

fn push(server: &Server, series: Vec<Series>) -> Response {
    let symbols = ["", "__name__", "c", "h", "plain"].map(str::to_owned).to_vec();
    let message = Request { symbols, series }.encode_to_vec();
    let body = snap::raw::Encoder::new().compress_vec(&message).unwrap();
    server.post("/api/v1/write", &HEADERS, &body)
}

/// Seconds: time, value, start.
fn counter(name: u32, samples: &[(i64, f64, i64)]) -> Series {
    let sample = |&(time, value, start): &(i64, f64, i64)| Sample {
        value,
        timestamp: time * 1000,
        start_timestamp: start * 1000,
    };
    let samples = samples.iter().map(sample).collect();
    Series { labels: vec![1, name], samples, ..Series::default() }
}

fn value(server: &Server, query: &str, time: i64) -> String {
    let rows = server.query(query, time);
    rows[0]["value"][1].as_str().unwrap_or("none").to_owned()
}

/// The counter began at `t - 400` and again at `t - 70`, which its values do not tell.
fn fill(server: &Server, t: i64) {
    let (first, second) = (t - 400, t - 70);
    let samples = [(t - 180, 10.0, first), (t - 120, 20.0, first), (t - 60, 25.0, second)];
    let histogram = |time: i64| Histogram {
        count: 3,
        zero_count: 3,
        timestamp: time * 1000,
        start_timestamp: (time - 5) * 1000,
    };
    let histograms = vec![histogram(t - 60), histogram(t)];
    let histograms = Series { labels: vec![1, 3], histograms, ..Series::default() };
    let plain = counter(4, &[(t - 60, 1.0, 0)]);
    assert_eq!(push(server, vec![counter(2, &samples), histograms, plain]).status, 204);
    // The newest, a late one that says nothing, and one that is there already with another start.
    let rest = [(t, 30.0, second), (t - 90, 22.0, 0), (t - 180, 10.0, 5)];
    assert_eq!(push(server, vec![counter(2, &rest)]).status, 204);
}

fn check(server: &Server, t: i64) {
    let start = |offset: i64| value(server, &format!("start_timestamp(c offset {offset}s)"), t);
    for (offset, expected) in [(180, t - 400), (120, t - 400), (90, 0), (60, t - 70), (0, t - 70)] {
        assert_eq!(start(offset), expected.to_string(), "{offset} s before");
    }
    assert_eq!(value(server, "start_timestamp(h)", t), (t - 5).to_string());
    assert_eq!(value(server, "start_timestamp(plain)", t), "0");
    assert_eq!(value(server, "resets(c[80s])", t), "0");
    assert_eq!(value(server, "resets(c[170s])", t), "1");
}

#[test]
fn start_timestamps_outlive_restarts_and_compactions() {
    let dir = tempfile::tempdir().unwrap();
    let with_starts = [("METRICSTOR_QUERY__START_TIMESTAMPS", "true")];
    let server = Server::start_with(dir.path(), &with_starts);
    let t = now();
    fill(&server, t);
    check(&server, t);
    server.kill();
    let server = Server::start_with(dir.path(), &with_starts);
    check(&server, t);
    assert_eq!(server.post("/api/v1/admin/storage/compact", &[], b"").status, 204);
    check(&server, t);
    // In the file, with something newer in memory.
    let newest = counter(2, &[(t + 1, 31.0, t - 70), (t + 2, 1.0, t + 1)]);
    assert_eq!(push(&server, vec![newest]).status, 204);
    check(&server, t);
    assert_eq!(value(&server, "start_timestamp(c)", t + 2), (t + 1).to_string());
    server.kill();

    // As Prometheus without its feature: kept, and not looked at.
    let server = Server::start(dir.path());
    assert_eq!(value(&server, "resets(c[170s])", t), "0");
    assert_eq!(value(&server, "start_timestamp(c)", t), "none");
}
