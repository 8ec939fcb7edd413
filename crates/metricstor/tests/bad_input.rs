//! What senders get wrong, by real requests to the real server: the documented answer each time, and
//! afterwards the server serves and what was acknowledged is there.

#![allow(clippy::unwrap_used)] // a panic is the failure report

mod support;
use support::remote_write::{HEADERS, Message};
use support::{Response, Server, now, request};

struct Fixture {
    server: Server,
    _dir: tempfile::TempDir,
    start: i64,
}

impl Fixture {
    fn new(environment: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start_with(dir.path(), environment);
        let fixture = Self { server, _dir: dir, start: now() - 60 };
        let kept = Message::new().series(&[("__name__", "kept")], &[(fixture.ms(), 42.0)]);
        assert_eq!(fixture.server.push(&kept.bytes).status, 204);
        fixture
    }

    fn ms(&self) -> i64 {
        self.start * 1000
    }

    /// The answer to a bad request; the good sample must have outlived it.
    fn check(&self, response: &Response, status: u16, mentions: &str) {
        let text = response.text();
        assert_eq!(response.status, status, "{text}");
        assert!(text.contains(mentions), "{text:?} does not mention {mentions:?}");
        assert_eq!(self.value("kept").as_deref(), Some("42"));
    }

    fn value(&self, query: &str) -> Option<String> {
        let result = self.server.query(query, self.start + 1);
        result[0]["value"][1].as_str().map(str::to_owned)
    }
}

#[test]
fn bodies_that_are_no_message_are_400() {
    let f = Fixture::new(&[]);
    let post = |body: &[u8]| f.server.post("/api/v1/write", &HEADERS, body);
    f.check(&post(b"not snappy at all"), 400, "snappy");
    f.check(&post(b""), 400, "");
    let random = snap::raw::Encoder::new().compress_vec(&[0xff; 100]).unwrap();
    f.check(&post(&random), 400, "protobuf");
    let whole = Message::new().series(&[("__name__", "x")], &[(f.ms(), 1.0)]).bytes;
    let cut = snap::raw::Encoder::new().compress_vec(&whole[..whole.len() - 3]).unwrap();
    f.check(&post(&cut), 400, "protobuf");
}

#[test]
fn bad_series_are_400_by_name_and_the_good_ones_are_stored() {
    let f = Fixture::new(&[]);
    let sample = [(f.ms(), 7.0)];
    let bad: [(&[(&str, &str)], &str); 4] = [
        (&[("job", "x")], "metric name"),
        (&[("__name__", "bad"), ("a", "1"), ("a", "2")], "duplicate label"),
        (&[("__name__", "bad"), ("", "1")], "empty label name"),
        (&[("__name__", ""), ("a", "1")], "metric name"),
    ];
    for (i, (labels, mentions)) in bad.iter().enumerate() {
        let good = format!("good_{i}");
        let message =
            Message::new().series(labels, &sample).series(&[("__name__", &good)], &sample);
        f.check(&f.server.push(&message.bytes), 400, mentions);
        assert_eq!(f.value(&good).as_deref(), Some("7"));
    }
}

#[test]
fn unsorted_labels_are_sorted_and_utf8_names_are_legal() {
    let f = Fixture::new(&[]);
    let labels = [("z", "1"), ("__name__", "größe.in.metern"), ("a b", "☃")];
    let message = Message::new().series(&labels, &[(f.ms(), 1.5)]);
    assert_eq!(f.server.push(&message.bytes).status, 204);
    assert_eq!(f.value(r#"{"größe.in.metern", "a b"="☃", z="1"}"#).as_deref(), Some("1.5"));
}

#[test]
fn sizes_beyond_the_limits_are_413_before_they_are_believed() {
    let f = Fixture::new(&[]);
    let declared: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0x0f, 0];
    f.check(&f.server.post("/api/v1/write", &HEADERS, declared), 413, "uncompressed");
    let mut headers = HEADERS.to_vec();
    headers.push(("Content-Length", "99999999999"));
    f.check(&f.server.post("/api/v1/write", &headers, b"x"), 413, "");
}

#[test]
fn other_types_and_encodings_are_415() {
    let f = Fixture::new(&[]);
    let body = snap::raw::Encoder::new().compress_vec(b"").unwrap();
    for headers in [
        [("Content-Type", "application/json"), ("Content-Encoding", "snappy")],
        [("Content-Type", "application/x-protobuf"), ("Content-Encoding", "gzip")],
    ] {
        f.check(&f.server.post("/api/v1/write", &headers, &body), 415, "");
    }
}

#[test]
fn samples_outside_the_accepted_times_are_refused_one_by_one() {
    let f = Fixture::new(&[]);
    let day = 24 * 3_600_000;
    let series = [("__name__", "timed")];
    let samples = [(f.ms() - 16 * day, 1.0), (f.ms(), 2.0), (f.ms() + 3_600_000, 3.0)];
    let response = f.server.push(&Message::new().series(&series, &samples).bytes);
    f.check(&response, 400, "too_old");
    assert!(response.text().contains('2'), "counts the refused: {}", response.text());
    assert_eq!(f.value("count_over_time(timed[1h])").as_deref(), Some("1"));
}

#[test]
fn a_longer_retention_accepts_older_samples() {
    let f = Fixture::new(&[("METRICSTOR_STORAGE__RETENTION", "100y")]);
    let message = Message::new().series(&[("__name__", "old")], &[(1_735_689_600_000, 5.0)]);
    assert_eq!(f.server.push(&message.bytes).status, 204);
    let result = f.server.query("old", 1_735_689_600);
    assert_eq!(result[0]["value"][1], "5");
}

#[test]
fn another_value_at_the_same_time_is_400_and_a_retry_is_204() {
    let f = Fixture::new(&[]);
    let of = |value| Message::new().series(&[("__name__", "kept")], &[(f.ms(), value)]).bytes;
    assert_eq!(f.server.push(&of(42.0)).status, 204);
    f.check(&f.server.push(&of(43.0)), 400, "value_conflict");
}

#[test]
fn special_values_are_stored_bit_for_bit() {
    let f = Fixture::new(&[]);
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 5e-324];
    for (i, value) in values.iter().enumerate() {
        let name = format!("special_{i}");
        let message = Message::new().series(&[("__name__", &name)], &[(f.ms(), *value)]);
        assert_eq!(f.server.push(&message.bytes).status, 204);
    }
    let read = |i| f.value(&format!("special_{i}")).unwrap();
    let found: Vec<String> = (0..values.len()).map(read).collect();
    assert_eq!(found, ["NaN", "+Inf", "-Inf", "-0", "5e-324"]);
    let ended = [(f.ms() - 5000, 1.0), (f.ms(), stale)];
    let message = Message::new().series(&[("__name__", "ended")], &ended);
    assert_eq!(f.server.push(&message.bytes).status, 204);
    assert_eq!(f.value("ended"), None);
    assert_eq!(f.value("last_over_time(ended[1m])").as_deref(), Some("1"));
}

#[test]
fn unknown_paths_and_broken_queries_answer_as_prometheus_does() {
    let f = Fixture::new(&[]);
    f.check(&f.server.get("/no/such/path"), 404, "page not found");
    f.check(&f.server.get("/api/v1/query?query=up%7B"), 400, "bad_data");
    f.check(&f.server.get("/api/v1/query"), 400, "bad_data");
    let range = "/api/v1/query_range?query=up&start=0&end=100000000&step=1";
    f.check(&f.server.get(range), 400, "11,000");
    let response = request(f.server.plain, "PUT", "/api/v1/query", &[], b"").unwrap();
    assert_eq!(response.status, 405);
}
