//! Remote write 2.0 through a real socket.

#![allow(clippy::unwrap_used)] // a panic is the failure report

mod support;

use prost::Message;
use support::{NOW, Push, Reply, Server, snappy};

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
    #[prost(message, repeated, tag = "4")]
    exemplars: Vec<Exemplar>,
    #[prost(message, optional, tag = "5")]
    metadata: Option<Metadata>,
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
    #[prost(double, tag = "3")]
    sum: f64,
    #[prost(sint32, tag = "4")]
    schema: i32,
    #[prost(uint64, tag = "6")]
    zero_count: u64,
    #[prost(int64, tag = "15")]
    timestamp: i64,
    #[prost(int64, tag = "17")]
    start_timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Exemplar {
    #[prost(uint32, repeated, tag = "1")]
    labels: Vec<u32>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(int64, tag = "3")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(uint32, tag = "3")]
    help: u32,
    #[prost(uint32, tag = "4")]
    unit: u32,
}

const V2: &str = "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\n\
                  Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 2.0.0\r\n";

fn push(server: &Server, symbols: &[&str], series: Vec<Series>) -> Reply {
    let symbols = symbols.iter().map(|&text| text.to_owned()).collect();
    server.push_with(V2, &snappy(&Request { symbols, series }.encode_to_vec()))
}

fn sample(value: f64, timestamp: i64) -> Sample {
    Sample { value, timestamp, start_timestamp: timestamp - 1000 }
}

/// A histogram with three observations of zero.
fn zeros(count: u64, schema: i32) -> Histogram {
    Histogram { count, sum: 1.0, schema, zero_count: 3, timestamp: NOW, start_timestamp: 5 }
}

/// Samples, histograms and exemplars as the answer counts them.
fn written(reply: &Reply) -> [Option<&str>; 3] {
    ["samples", "histograms", "exemplars"]
        .map(|what| reply.header(&format!("x-prometheus-remote-write-{what}-written")))
}

#[test]
fn samples_histograms_and_metadata_are_stored_and_counted() {
    let server = Server::start();
    let symbols = ["", "__name__", "requests", "job", "a", "took", "Requests.", "ops"];
    let histogram = zeros(3, 0);
    let reply = push(
        &server,
        &symbols,
        vec![
            Series {
                labels: vec![3, 4, 1, 2],
                samples: vec![sample(1.0, NOW - 1000), sample(2.0, NOW)],
                metadata: Some(Metadata { kind: 1, help: 6, unit: 7 }),
                ..Series::default()
            },
            Series { labels: vec![1, 5], histograms: vec![histogram], ..Series::default() },
        ],
    );
    assert_eq!((reply.status, reply.text()), (204, ""));
    assert_eq!(written(&reply), [Some("2"), Some("1"), Some("0")]);
    let answer = server.get("/api/v1/query?query=requests%5B1m%5D");
    assert!(answer.text().contains(r#"{"metric":{"__name__":"requests","job":"a"},"values":[[1735693199,"1"],[1735693200,"2"]]}"#), "{}", answer.text());
    let answer = server.get("/api/v1/query?query=histogram_count(took)");
    assert!(answer.text().contains(r#""value":[1735693200,"3"]"#), "{}", answer.text());
    let metadata = server.get("/api/v1/metadata").text().to_owned();
    assert!(
        metadata.contains(r#"{"requests":[{"type":"counter","help":"Requests.","unit":"ops"}]}"#),
        "{metadata}"
    );
    // The same series in the older protocol is no other series.
    let older =
        Push::default().series(&[("__name__", "requests"), ("job", "a")], &[(NOW + 1, 3.0)]);
    assert_eq!(server.push(&older.body()).status, 204);
    let answer = server.get("/api/v1/series?match[]=requests");
    assert_eq!(answer.text().matches("__name__").count(), 1, "{}", answer.text());
}

#[test]
fn exemplars_are_found_by_the_expressions_that_select_their_series() {
    let server = Server::start();
    let symbols = ["", "__name__", "took_bucket", "trace_id", "<f00>", "job", "a", "other"];
    let exemplar =
        |labels: &[u32], value, timestamp| Exemplar { labels: labels.to_vec(), value, timestamp };
    let series = |labels: &[u32], exemplars| Series {
        labels: labels.to_vec(),
        samples: vec![sample(1.0, NOW)],
        exemplars,
        ..Series::default()
    };
    let both = vec![exemplar(&[3, 4], 0.25, NOW - 1500), exemplar(&[], 7.0, NOW)];
    let reply = push(
        &server,
        &symbols,
        vec![series(&[1, 2, 5, 6], both), series(&[1, 7], vec![exemplar(&[3, 4], 1.0, NOW)])],
    );
    assert_eq!((reply.status, reply.text()), (204, ""));
    assert_eq!(written(&reply), [Some("2"), Some("0"), Some("3")]);
    let took = r#"{"seriesLabels":{"__name__":"took_bucket","job":"a"},"exemplars":[{"labels":{"trace_id":"<f00>"},"value":"0.25","timestamp":1735693198.500},{"labels":{},"value":"7","timestamp":1735693200}]}"#;
    let other = r#"{"seriesLabels":{"__name__":"other"},"exemplars":[{"labels":{"trace_id":"<f00>"},"value":"1","timestamp":1735693200}]}"#;
    for (query, expected) in [
        ("query=histogram_quantile(0.9,sum%20by(le)(rate(took_bucket%5B5m%5D)))", took.to_owned()),
        ("query=took_bucket%2Fother", format!("{other},{took}")),
        ("query=other&start=1&end=2", String::new()),
        ("query=nothing", String::new()),
    ] {
        let reply = server.get(&format!("/api/v1/query_exemplars?{query}"));
        let expected = format!(r#"{{"status":"success","data":[{expected}]}}"#);
        assert_eq!((reply.status, reply.text()), (200, expected.as_str()), "{query}");
    }
    let posted = server.post("/api/v1/query_exemplars", "query=other&start=0&end=2e9");
    assert!(posted.text().contains("trace_id"), "{}", posted.text());
}

/// As Prometheus 3.5 sends them.
#[test]
fn an_exemplar_that_comes_alone_is_its_series_or_nobodys() {
    let server = Server::start();
    let symbols = ["", "__name__", "took_bucket", "unknown", "trace_id", "f00"];
    let alone = |metric| Series {
        labels: vec![1, metric],
        exemplars: vec![Exemplar { labels: vec![4, 5], value: 0.25, timestamp: NOW }],
        ..Series::default()
    };
    let sampled =
        Series { labels: vec![1, 2], samples: vec![sample(1.0, NOW)], ..Series::default() };
    let reply = push(&server, &symbols, vec![sampled, alone(2), alone(3)]);
    assert_eq!((reply.status, reply.text()), (204, ""));
    assert_eq!(written(&reply), [Some("1"), Some("0"), Some("1")]);
    let found = server.get("/api/v1/query_exemplars?query=%7B__name__=~%22.%2B%22%7D");
    assert_eq!(found.text().matches("trace_id").count(), 1, "{}", found.text());
    assert!(found.text().contains("took_bucket"), "{}", found.text());
    let names = server.get("/api/v1/label/__name__/values");
    assert!(!names.text().contains("unknown"), "{}", names.text());
}

#[test]
fn what_is_wrong_with_one_series_does_not_concern_the_others() {
    let server = Server::start();
    let one = |labels: &[u32], timestamp| Series {
        labels: labels.to_vec(),
        samples: vec![sample(1.0, timestamp)],
        ..Series::default()
    };
    let symbols = ["", "__name__", "up", "job"];
    let series = vec![
        one(&[1, 2], NOW),
        one(&[3, 2], NOW),
        one(&[1, 9], NOW),
        one(&[1, 2, 3], NOW),
        one(&[], NOW),
        one(&[1, 2], NOW + 3_600_000),
    ];
    let reply = push(&server, &symbols, series);
    assert_eq!(reply.status, 400);
    assert!(
        reply.text().starts_with("5 samples refused, 1 stored; first refusal:"),
        "{}",
        reply.text()
    );
    assert_eq!(written(&reply), [Some("1"), Some("0"), Some("0")]);
}

#[test]
fn a_series_without_samples_is_refused_alone() {
    let server = Server::start();
    let symbols = ["", "__name__", "up", "down"];
    let whole = Series { labels: vec![1, 2], samples: vec![sample(1.0, NOW)], ..Series::default() };
    let empty = Series { labels: vec![1, 3], ..Series::default() };
    let reply = push(&server, &symbols, vec![empty, whole]);
    let text = "0 samples refused, 1 stored; first refusal: no_samples: \
                1 series with neither samples nor histograms nor exemplars\n";
    assert_eq!((reply.status, reply.text()), (400, text));
    assert_eq!(written(&reply), [Some("1"), Some("0"), Some("0")]);
    let metrics = server.get("/metrics");
    let counted = "metricstor_storage_samples_refused_total{reason=\"no_samples\"} 1\n";
    assert!(metrics.text().contains(counted), "{}", metrics.text());
}

#[test]
fn histograms_that_do_not_add_up_are_refused_and_fine_ones_made_coarser() {
    let server = Server::start();
    let push = |histogram| {
        let histograms = vec![histogram];
        let series = Series { labels: vec![1, 2], histograms, ..Series::default() };
        push(&server, &["", "__name__", "took"], vec![series])
    };
    for (wrong, reason) in [
        (zeros(9, 0), "9 observations, but 3 in the buckets"),
        (zeros(3, 53), "schema 53 is neither exponential (-4 to 52) nor custom buckets (-53)"),
    ] {
        let reply = push(wrong);
        assert_eq!(reply.status, 400, "{}", reply.text());
        assert!(reply.text().contains(reason), "{}", reply.text());
    }
    assert_eq!(server.get("/api/v1/series?match[]=took").text().matches("took").count(), 0);
    assert_eq!(push(zeros(3, 20)).status, 204);
    let answer = server.get("/api/v1/query?query=took");
    assert!(answer.text().contains(r#""count":"3""#), "{}", answer.text());
    // Of another time than what was asked for, though still in memory.
    for (range, found) in [("start=0&end=5", 0), ("start=1735693200", 1)] {
        let answer = server.get(&format!("/api/v1/series?match[]=took&{range}"));
        assert_eq!(answer.text().matches("took").count(), found, "{range}");
    }
}

#[test]
fn the_message_is_chosen_by_its_name() {
    let server = Server::start();
    let v1 = Push::default().series(&[("__name__", "up")], &[(NOW, 1.0)]).body();
    for (content_type, status) in [
        ("application/x-protobuf", 204),
        ("application/x-protobuf;proto=prometheus.WriteRequest", 204),
        ("application/x-protobuf; proto=prometheus.WriteRequest", 204),
        ("application/x-protobuf; proto=\"prometheus.WriteRequest\"", 204),
        ("application/x-protobuf;proto=io.prometheus.write.v3.Request", 415),
        ("application/json;proto=io.prometheus.write.v2.Request", 415),
        ("image/png", 415),
    ] {
        let headers = format!("Content-Type: {content_type}\r\nContent-Encoding: snappy\r\n");
        let reply = server.push_with(&headers, &v1);
        assert_eq!(reply.status, status, "{content_type}: {}", reply.text());
        assert_eq!(written(&reply), [None; 3]);
    }
    let reply = server.push_with(&V2.replace("snappy", "gzip"), &v1);
    assert_eq!(reply.status, 415);
    let reply = server.push_with(V2, b"not snappy");
    assert_eq!((reply.status, written(&reply)), (400, [Some("0"); 3]));
}
