//! Remote write through a real socket: what is stored, what is refused with which status, and that
//! the server goes on after each.

#![allow(clippy::unwrap_used)] // a panic is the failure report

mod support;

use std::io::Write;
use std::time::Duration;

use metricstor_http::{Config, RequestLimits};
use support::{NOW, Push, Reply, Server, snappy};

fn up(value: f64) -> Push {
    Push::default().series(&[("__name__", "up"), ("job", "a")], &[(NOW - 1000, value)])
}

/// How many series the metric has; "none" if there is no answer to that.
fn count_of(server: &Server, metric: &str) -> String {
    let reply = server.get(&format!("/api/v1/query?query=count({metric})"));
    let json: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    json["data"]["result"][0]["value"][1].as_str().unwrap_or("none").to_owned()
}

fn limited(change: impl FnOnce(&mut RequestLimits)) -> Server {
    let mut config = Config::default();
    change(&mut config.requests);
    Server::with(config)
}

#[test]
fn what_was_acknowledged_is_visible_at_once() {
    let server = Server::start();
    let reply = server.push(&up(1.5).body());
    assert_eq!((reply.status, reply.text()), (204, ""));
    let reply = server.get("/api/v1/query?query=up");
    assert_eq!(
        reply.text(),
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"a"},"value":[1735693200,"1.5"]}]}}"#
    );
}

#[test]
fn unsorted_labels_and_utf8_names_are_taken() {
    let server = Server::start();
    let labels = [("z", "1"), ("__name__", "my.métrique"), ("a.b", "2"), ("empty", "")];
    let push = Push::default().series(&labels, &[(NOW, 1.0)]);
    assert_eq!(server.push(&push.body()).status, 204);
    let reply = server.get("/api/v1/query?query=%7B%22my.m%C3%A9trique%22%7D");
    let metric = r#""metric":{"__name__":"my.métrique","a.b":"2","z":"1"}"#;
    assert!(reply.text().contains(metric), "{}", reply.text());
}

#[test]
fn special_values_are_kept() {
    let server = Server::start();
    let nan = f64::from_bits(0x7ff8_0000_0000_1234);
    let values = [nan, f64::INFINITY, f64::NEG_INFINITY, -0.0, 5e-324];
    let samples: Vec<_> =
        values.iter().enumerate().map(|(i, v)| (NOW - 10_000 + i as i64 * 1000, *v)).collect();
    let push = Push::default().series(&[("__name__", "x")], &samples);
    assert_eq!(server.push(&push.body()).status, 204);
    let text = server.get("/api/v1/query?query=x%5B1m%5D").text().to_owned();
    for value in ["\"NaN\"", "\"+Inf\"", "\"-Inf\"", "\"-0\"", "\"5e-324\""] {
        assert!(text.contains(value), "{value} in {text}");
    }
}

#[test]
fn good_series_are_stored_beside_bad_ones() {
    let server = Server::start();
    let push = up(1.0)
        .series(&[("job", "nameless")], &[(NOW, 1.0)])
        .series(&[("__name__", "twice"), ("a", "1"), ("a", "2")], &[(NOW, 1.0)])
        .series(&[("__name__", "old")], &[(NOW - 16 * 86_400_000, 1.0), (NOW, 1.0)])
        .series(&[("__name__", "ahead")], &[(NOW + 11 * 60_000, 1.0)]);
    let reply = server.push(&push.body());
    assert_eq!(reply.status, 400);
    assert!(reply.text().starts_with("4 samples refused, 2 stored"), "{}", reply.text());
    assert!(reply.text().contains("no metric name"), "{}", reply.text());
    assert_eq!(count_of(&server, "up"), "1");
    assert_eq!(count_of(&server, "old"), "1");
}

#[test]
fn a_duplicate_is_accepted_and_another_value_is_not() {
    let server = Server::start();
    for _ in 0..2 {
        assert_eq!(server.push(&up(1.0).body()).status, 204);
    }
    let reply = server.push(&up(2.0).body());
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert!(reply.text().contains("value_conflict"), "{}", reply.text());
}

#[test]
fn what_can_never_succeed_is_400() {
    let server = Server::start();
    let whole = up(1.0).body();
    let bodies: [(&str, Vec<u8>); 6] = [
        ("empty", Vec::new()),
        ("no snappy", b"hello, this is not snappy".to_vec()),
        ("truncated", whole[..whole.len() - 3].to_vec()),
        ("declares more than it can hold", vec![0xff, 0xff, 0x03, 0, 0]),
        ("no protobuf", snappy(&[0xff; 40])),
        ("overlong length", snappy(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1])),
    ];
    for (name, body) in bodies {
        let reply = server.push(&body);
        assert_eq!(reply.status, 400, "{name}: {}", reply.text());
        assert!(!reply.text().is_empty(), "{name} is explained");
    }
    assert_eq!(server.push(&whole).status, 204, "the server goes on");
}

#[test]
fn an_empty_message_is_accepted() {
    let server = Server::start();
    assert_eq!(server.push(&snappy(b"")).status, 204);
}

#[test]
fn what_is_too_large_is_413_before_it_is_read_or_unpacked() {
    let server = limited(|requests| {
        requests.compressed_bytes = 10_000;
        requests.decoded_bytes = 50_000;
        requests.samples = 100;
    });
    let reply = server.push(&vec![b'x'; 10_001]);
    assert_eq!(
        (reply.status, reply.text()),
        (413, "the request body is larger than the limit of 10000 bytes\n")
    );

    let head = "POST /api/v1/write HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunked = [b"2711\r\n".as_slice(), &[b'x'; 10_001], b"\r\n0\r\n\r\n"].concat();
    assert_eq!(server.send(head, &chunked).status, 413, "without a declared length");

    let four_gib = [0xff, 0xff, 0xff, 0xff, 0x0f];
    assert_eq!(server.push(&four_gib).status, 413, "declared, not sent");
    assert_eq!(server.push(&snappy(&vec![0; 50_001])).status, 413, "unpacked");

    let samples: Vec<_> = (0..101).map(|i| (NOW - i, 1.0)).collect();
    let push = Push::default().series(&[("__name__", "many")], &samples);
    assert_eq!(server.push(&push.body()).status, 413, "samples");
    assert_eq!(server.push(&up(1.0).body()).status, 204, "the server goes on");
}

#[test]
fn other_types_and_encodings_are_415() {
    let server = Server::start();
    let body = up(1.0).body();
    for headers in [
        "Content-Type: application/json\r\nContent-Encoding: snappy\r\n",
        "Content-Type: application/x-protobuf;proto=io.prometheus.write.v3.Request\r\n",
        "Content-Type: application/x-protobuf;proto=something.Else\r\n",
        "Content-Type: application/x-protobuf\r\nContent-Encoding: gzip\r\n",
        "Content-Type: application/x-protobuf\r\nContent-Encoding: zstd\r\n",
    ] {
        let reply = server.push_with(headers, &body);
        assert_eq!(reply.status, 415, "{headers}");
    }
    for headers in [
        "",
        "Content-Type: application/x-protobuf;proto=prometheus.WriteRequest\r\n",
        "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n",
    ] {
        assert_eq!(server.push_with(headers, &body).status, 204, "{headers}");
    }
    assert_eq!(server.get("/api/v1/write").status, 405);
}

#[test]
fn overload_is_503_with_retry_after_or_429_if_asked_for() {
    for (overload_is_429, status) in [(false, 503), (true, 429)] {
        let server = limited(|requests| {
            requests.writing_bytes = 10;
            requests.overload_is_429 = overload_is_429;
        });
        let reply = server.push(&up(1.0).body());
        assert_eq!((reply.status, reply.header("retry-after")), (status, Some("1")));
        assert_eq!(count_of(&server, "up"), "none");
    }
}

#[test]
fn a_body_that_does_not_come_is_408() {
    let server = limited(|requests| requests.body_grace = Duration::from_millis(20));
    let mut stream = server.connect();
    stream
        .write_all(b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        .unwrap();
    assert_eq!(Reply::read(&mut stream).status, 408);
}

#[test]
fn a_sender_that_leaves_early_changes_nothing() {
    let server = Server::start();
    let mut stream = server.connect();
    stream
        .write_all(b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        .unwrap();
    drop(stream);
    assert_eq!(server.push(&up(1.0).body()).status, 204);
}

#[test]
fn metadata_is_answered_as_it_was_sent() {
    let server = Server::start();
    let push = Push::default().metadata("b_total", "Help <b>.", "").metadata("a_seconds", "", "s");
    assert_eq!(server.push(&push.body()).status, 204);
    let all = r#"{"status":"success","data":{"a_seconds":[{"type":"counter","help":"","unit":"s"}],"b_total":[{"type":"counter","help":"Help \u003cb\u003e.","unit":""}]}}"#;
    assert_eq!(server.get("/api/v1/metadata").text(), all);
    let one =
        r#"{"status":"success","data":{"a_seconds":[{"type":"counter","help":"","unit":"s"}]}}"#;
    assert_eq!(server.get("/api/v1/metadata?limit=1").text(), one);
    assert_eq!(server.get("/api/v1/metadata?metric=a_seconds").text(), one);
    assert_eq!(server.get("/api/v1/metadata?metric=c").text(), r#"{"status":"success","data":{}}"#);
}
