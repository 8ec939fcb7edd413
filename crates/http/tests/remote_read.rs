//! Remote read through a real socket, decoded by prost.

#![allow(clippy::unwrap_used)] // a panic is the failure report

mod support;

use metricstor_http::{Config, QueryLimits};
use metricstor_promql::EngineOptions;
use prost::Message;
use support::{NOW, Push, Reply, Server, snappy};

#[derive(Clone, PartialEq, Message)]
struct ReadRequest {
    #[prost(message, repeated, tag = "1")]
    queries: Vec<Query>,
    #[prost(int32, repeated, tag = "2")]
    accepted_response_types: Vec<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct Query {
    #[prost(int64, tag = "1")]
    start: i64,
    #[prost(int64, tag = "2")]
    end: i64,
    #[prost(message, repeated, tag = "3")]
    matchers: Vec<Matcher>,
    #[prost(message, optional, tag = "4")]
    hints: Option<Hints>,
}

#[derive(Clone, PartialEq, Message)]
struct Matcher {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Hints {
    #[prost(string, tag = "2")]
    function: String,
}

#[derive(Clone, PartialEq, Message)]
struct ReadResponse {
    #[prost(message, repeated, tag = "1")]
    results: Vec<QueryResult>,
}

#[derive(Clone, PartialEq, Message)]
struct QueryResult {
    #[prost(message, repeated, tag = "1")]
    series: Vec<Series>,
}

#[derive(Clone, PartialEq, Message)]
struct Series {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ChunkedResponse {
    #[prost(message, repeated, tag = "1")]
    series: Vec<ChunkedSeries>,
    #[prost(int64, tag = "2")]
    query_index: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ChunkedSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    chunks: Vec<Chunk>,
}

#[derive(Clone, PartialEq, Message)]
struct Chunk {
    #[prost(int64, tag = "1")]
    start: i64,
    #[prost(int64, tag = "2")]
    end: i64,
    #[prost(int32, tag = "3")]
    encoding: i32,
    #[prost(bytes = "vec", tag = "4")]
    data: Vec<u8>,
}

fn query(kind: i32, name: &str, value: &str, start: i64, end: i64) -> Query {
    let matcher = Matcher { kind, name: name.into(), value: value.into() };
    Query { start, end, matchers: vec![matcher], hints: None }
}

fn filled(config: Config) -> Server {
    let server = Server::with(config);
    let samples: Vec<_> = (0..300).map(|i| (NOW - 300_000 + i * 1000, i as f64)).collect();
    let push = Push::default()
        .series(&[("__name__", "up"), ("job", "b")], &samples)
        .series(&[("__name__", "up"), ("job", "a")], &samples)
        .series(&[("__name__", "other")], &samples[..10]);
    assert_eq!(server.push(&push.body()).status, 204);
    server
}

fn read(server: &Server, queries: Vec<Query>, accepted_response_types: &[i32]) -> Reply {
    let accepted_response_types = accepted_response_types.to_vec();
    let request = ReadRequest { queries, accepted_response_types };
    post(server, &snappy(&request.encode_to_vec()))
}

fn post(server: &Server, body: &[u8]) -> Reply {
    let head = format!(
        "POST /api/v1/read HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n\
         Content-Encoding: snappy\r\nAccept-Encoding: snappy\r\n\
         X-Prometheus-Remote-Read-Version: 0.1.0\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    server.send(&head, body)
}

fn names(labels: &[Label]) -> String {
    labels.iter().map(|l| format!("{}={} ", l.name, l.value)).collect()
}

#[test]
fn samples_of_several_queries_come_in_one_message() {
    let server = filled(Config::default());
    let queries = vec![
        query(0, "__name__", "up", NOW - 10_000, NOW - 8_000),
        query(2, "__name__", "x.*", 0, NOW),
        query(1, "job", "b", NOW - 300_000, NOW - 299_500),
        query(3, "__name__", "up|other", 0, NOW),
    ];
    let reply = read(&server, queries, &[]);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/x-protobuf"));
    assert_eq!(reply.header("content-encoding"), Some("snappy"));
    let message = snap::raw::Decoder::new().decompress_vec(&reply.body).unwrap();
    let response = ReadResponse::decode(&message[..]).unwrap();
    let shown: Vec<Vec<_>> = response
        .results
        .iter()
        .map(|result| result.series.iter().map(|s| (names(&s.labels), s.samples.len())).collect())
        .collect();
    let up = |job: &str, n| (format!("__name__=up job={job} "), n);
    let other = ("__name__=other ".to_owned(), 1);
    assert_eq!(shown, [vec![up("a", 3), up("b", 3)], vec![], vec![other, up("a", 1)], vec![]]);
    let first = &response.results[0].series[0].samples[0];
    assert_eq!((first.timestamp, first.value), (NOW - 10_000, 290.0));
}

/// The frames of a streamed answer, their checksums verified.
fn frames(mut stream: &[u8]) -> Vec<ChunkedResponse> {
    let mut frames = Vec::new();
    while !stream.is_empty() {
        let length = prost::decode_length_delimiter(&mut stream).unwrap();
        let (checksum, rest) = stream.split_at(4);
        let (message, rest) = rest.split_at(length);
        assert_eq!(checksum, crc32c::crc32c(message).to_be_bytes());
        frames.push(ChunkedResponse::decode(message).unwrap());
        stream = rest;
    }
    frames
}

#[test]
fn chunks_are_streamed_series_by_series_in_order() {
    let server = filled(Config::default());
    let queries = vec![
        query(0, "__name__", "up", NOW - 299_000, NOW),
        query(0, "__name__", "other", 0, NOW),
        query(0, "__name__", "none", 0, NOW),
    ];
    let reply = read(&server, queries, &[9, 1, 0]);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let streamed = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
    assert_eq!(reply.header("content-type"), Some(streamed));
    assert_eq!(reply.header("content-encoding"), None);
    let shown: Vec<_> = frames(&reply.body)
        .iter()
        .map(|frame| {
            let series = &frame.series[0];
            let chunk = |c: &Chunk| (c.encoding, c.data[1], (c.end - c.start) / 1000);
            let chunks: Vec<_> = series.chunks.iter().map(chunk).collect();
            (frame.query_index, names(&series.labels), chunks)
        })
        .collect();
    let up = |job: &str| {
        (0, format!("__name__=up job={job} "), vec![(1, 120, 119), (1, 120, 119), (1, 59, 58)])
    };
    let other = (1, "__name__=other ".to_owned(), vec![(1, 10, 9)]);
    assert_eq!(shown, [up("a"), up("b"), other]);
}

#[test]
fn who_asks_for_series_alone_gets_no_samples() {
    let server = filled(Config::default());
    let hints = Some(Hints { function: "series".into() });
    let asked = Query { hints, ..query(0, "__name__", "up", 0, NOW) };
    let chunked = frames(&read(&server, vec![asked.clone()], &[1]).body);
    let shown: Vec<_> =
        chunked.iter().map(|f| (names(&f.series[0].labels), f.series[0].chunks.len())).collect();
    assert_eq!(shown, [("__name__=up job=a ".into(), 0), ("__name__=up job=b ".into(), 0)]);
    let reply = read(&server, vec![asked], &[0]);
    let message = snap::raw::Decoder::new().decompress_vec(&reply.body).unwrap();
    let result = &ReadResponse::decode(&message[..]).unwrap().results[0];
    assert!(result.series.len() == 2 && result.series.iter().all(|s| s.samples.is_empty()));
}

#[test]
fn what_cannot_be_read_is_explained_in_plain_text() {
    let queries = QueryLimits { read_samples: 599, ..QueryLimits::default() };
    let server = filled(Config { queries, ..Config::default() });
    let all = || vec![query(0, "__name__", "up", 0, NOW)];
    let garbage = snappy(b"\xff\xff");
    let longer = snappy(&vec![0; 64 << 20]);
    for (what, reply, status, text) in [
        ("samples", read(&server, all(), &[0]), 400, "exceeded sample limit (599)"),
        ("type", read(&server, all(), &[7]), 400, "server does not support any of the requested"),
        ("regex", read(&server, vec![query(2, "a", "(", 0, 1)], &[]), 400, "invalid regular"),
        (
            "kind",
            read(&server, vec![query(4, "a", "b", 0, 1)], &[]),
            400,
            "unknown kind of matcher",
        ),
        ("snappy", post(&server, b"no"), 400, "invalid snappy"),
        ("protobuf", post(&server, &garbage), 400, "invalid protobuf at byte"),
        ("size", post(&server, &longer), 413, "uncompressed request size"),
        ("count", read(&server, vec![Query::default(); 1001], &[]), 413, "queries in one request"),
    ] {
        assert_eq!(reply.status, status, "{what}: {}", reply.text());
        assert!(reply.text().starts_with(text), "{what}: {}", reply.text());
        assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
    }
    assert_eq!(read(&server, all(), &[1]).status, 200, "a stream has no such limit");
    assert_eq!(server.get("/api/v1/read").status, 405);
}

#[test]
fn regular_expressions_of_one_request_share_a_bound() {
    let server = filled(Config::default());
    let ask = |count: i32| {
        let query = |i| query(2, "job", &format!("\\pL{{100}}{i}|b.*"), 0, NOW);
        read(&server, (0..count).map(query).collect(), &[])
    };
    assert_eq!(ask(2).status, 200);
    let refused = ask(100);
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.text().contains("query.max_regex_memory"), "{}", refused.text());
    let counter = "metricstor_http_refused_queries_total{reason=\"query_regexes\"} 1\n";
    assert!(server.get("/metrics").text().contains(counter));
}

/// Times the wrong way round hold no samples, in memory and in files.
#[test]
fn a_range_that_ends_before_it_starts_is_empty() {
    let server = filled(Config::default());
    for place in ["memory", "files"] {
        let queries = vec![query(0, "__name__", "up", NOW - 10_000, NOW - 200_000)];
        let reply = read(&server, queries, &[]);
        assert_eq!(reply.status, 200, "{place}: {}", reply.text());
        let message = snap::raw::Decoder::new().decompress_vec(&reply.body).unwrap();
        let response = ReadResponse::decode(message.as_slice()).unwrap();
        assert!(response.results[0].series.is_empty(), "{place}");
        assert_eq!(server.post("/api/v1/admin/storage/compact", "").status, 204);
    }
}

/// Labels alone are no samples: many questions for them are bounded by memory.
#[test]
fn all_that_one_request_asks_for_counts_as_memory() {
    let options = EngineOptions { memory_max: 100_000, ..EngineOptions::default() };
    let server = Server::evaluating(options);
    let long = "x".repeat(1000);
    let push = (0..20).fold(Push::default(), |push, i| {
        let i = i.to_string();
        push.series(&[("__name__", "up"), ("long", &long), ("i", &i)], &[(NOW, 1.0)])
    });
    assert_eq!(server.push(&push.body()).status, 204);
    let labels = Query {
        hints: Some(Hints { function: "series".into() }),
        ..query(0, "__name__", "up", 0, NOW)
    };
    assert_eq!(read(&server, vec![labels.clone()], &[0]).status, 200);
    let refused = read(&server, vec![labels; 10], &[0]);
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(refused.text().contains("limit memory_max"), "{}", refused.text());
    assert_eq!(server.get("/federate?match[]=up").status, 200);
    let more = (20..200).fold(Push::default(), |push, i| {
        let i = i.to_string();
        push.series(&[("__name__", "up"), ("long", &long), ("i", &i)], &[(NOW, 1.0)])
    });
    assert_eq!(server.push(&more.body()).status, 204);
    let refused = server.get("/federate?match[]=up");
    assert_eq!(refused.status, 422, "{}", refused.text());
    let streamed = read(&server, vec![query(0, "__name__", "up", 0, NOW)], &[1]);
    assert_eq!(streamed.status, 422, "the labels, to be put in order: {}", streamed.text());
}
