//! The query API through a real socket, byte for byte as a Prometheus 3.5 answers the same data.

#![allow(clippy::unwrap_used)] // a panic is the failure report

mod support;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use metricstor_http::{Config, QueryLimits};
use support::{NOW, Push, Reply, Server, encoded};

const T: i64 = NOW / 1000;

/// `up` of two jobs and a counter, every 15 s for ten minutes.
fn filled() -> Server {
    filled_with(Config::default())
}

fn filled_with(config: Config) -> Server {
    let server = Server::with(config);
    let times = (0..=40).map(|i| NOW - 600_000 + i * 15_000);
    let ones: Vec<_> = times.clone().map(|t| (t, 1.0)).collect();
    let counter: Vec<_> = times.zip(0..).map(|(t, i)| (t, f64::from(i) * 2.5)).collect();
    let push = Push::default()
        .series(&[("__name__", "up"), ("job", "a")], &ones)
        .series(&[("__name__", "up"), ("job", "b<&>\"")], &ones)
        .series(&[("__name__", "requests_total"), ("job", "a")], &counter);
    assert_eq!(server.push(&push.body()).status, 204);
    server
}

fn data(json: &str) -> String {
    format!(r#"{{"status":"success","data":{json}}}"#)
}

fn error(error_type: &str, text: &str) -> String {
    let text = serde_json::Value::from(text).to_string();
    format!(r#"{{"status":"error","errorType":"{error_type}","error":{text}}}"#)
}

#[test]
fn every_kind_of_result_has_its_shape() {
    let server = filled();
    for (query, expected) in [
        ("1+1", r#"{"resultType":"scalar","result":[1735693200,"2"]}"#),
        ("\"a<b>\"", r#"{"resultType":"string","result":[1735693200,"a\u003cb\u003e"]}"#),
        (
            "sort_by_label(up, \"job\")",
            r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"a"},"value":[1735693200,"1"]},{"metric":{"__name__":"up","job":"b<&>\""},"value":[1735693200,"1"]}]}"#,
        ),
        (
            "requests_total[20s]",
            r#"{"resultType":"matrix","result":[{"metric":{"__name__":"requests_total","job":"a"},"values":[[1735693185,"97.5"],[1735693200,"100"]]}]}"#,
        ),
        ("absent_metric", r#"{"resultType":"vector","result":[]}"#),
        (
            "vector(1e-7)",
            r#"{"resultType":"vector","result":[{"metric":{},"value":[1735693200,"1e-07"]}]}"#,
        ),
    ] {
        let reply = server.get(&format!("/api/v1/query?query={}", encoded(query)));
        assert_eq!((reply.status, reply.text()), (200, data(expected).as_str()), "{query}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
        let form = format!("time={T}&query={}", encoded(query));
        assert_eq!(server.post("/api/v1/query", &form).body, reply.body, "as a form");
    }
}

#[test]
fn a_scalar_has_no_exponent_and_its_timestamp_no_zeros_at_the_end() {
    let server = filled();
    for (query, expected) in [
        ("1e-7", r#"{"resultType":"scalar","result":[1735693200.5,"0.0000001"]}"#),
        ("-1e21", r#"{"resultType":"scalar","result":[1735693200.5,"-1000000000000000000000"]}"#),
        ("'a'", r#"{"resultType":"string","result":[1735693200.5,"a"]}"#),
    ] {
        let reply = server.get(&format!("/api/v1/query?query={}&time={T}.5", encoded(query)));
        assert_eq!((reply.status, reply.text()), (200, data(expected).as_str()), "{query}");
    }
}

#[test]
fn a_range_is_a_matrix_with_decimals_in_its_timestamps() {
    let server = filled();
    let reply = server.post(
        "/api/v1/query_range",
        &format!("query={}&start={}&end={T}&step=5.5", encoded("up{job=\"a\"} * 0.5"), T - 11),
    );
    let expected = r#"{"resultType":"matrix","result":[{"metric":{"job":"a"},"values":[[1735693189,"0.5"],[1735693194.500,"0.5"],[1735693200,"0.5"]]}]}"#;
    assert_eq!(reply.text(), data(expected));
    let scalar = server.get(&format!("/api/v1/query_range?query=7&start={T}&end={T}&step=1m"));
    let expected =
        r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1735693200,"7"]]}]}"#;
    assert_eq!(scalar.text(), data(expected));
}

#[test]
fn wrong_parameters_are_explained_as_prometheus_explains_them() {
    let server = filled();
    for (path, reason) in [
        (
            "query?query=1&time=abc",
            r#"invalid parameter "time": invalid time value for 'time': cannot parse "abc" to a valid timestamp"#,
        ),
        (
            "query?query=1&time=NaN",
            r#"invalid parameter "time": invalid time value for 'time': cannot parse "NaN" to a valid timestamp"#,
        ),
        (
            "query?query=1&timeout=-1s",
            r#"invalid parameter "timeout": cannot parse "-1s" to a valid duration"#,
        ),
        ("query?query=1&limit=-1", r#"invalid parameter "limit": limit must be non-negative"#),
        (
            "query?query=1&limit=x",
            r#"invalid parameter "limit": strconv.Atoi: parsing "x": invalid syntax"#,
        ),
        (
            "query?query=1&lookback_delta=x",
            r#"error parsing lookback delta duration: cannot parse "x" to a valid duration"#,
        ),
        (
            "query",
            r#"invalid parameter "query": unknown position: parse error: no expression found in input"#,
        ),
        (
            "query?query=up%5B",
            r#"invalid parameter "query": 1:4: parse error: unexpected end of input in duration expression"#,
        ),
        (
            "query_range?query=up&end=1&step=1",
            r#"invalid parameter "start": cannot parse "" to a valid timestamp"#,
        ),
        (
            "query_range?query=up&start=2&end=1&step=1",
            r#"invalid parameter "end": end timestamp must not be before start time"#,
        ),
        (
            "query_range?query=up&start=1&end=1&step=0",
            r#"invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer"#,
        ),
        (
            "query_range?query=up&start=1&end=1&step=1e300",
            r#"invalid parameter "step": cannot parse "1e300" to a valid duration. It overflows int64"#,
        ),
        (
            "query_range?query=up&start=0&end=11001&step=1",
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ),
        (
            "query_range?query=up%5B1m%5D&start=0&end=1&step=1",
            r#"invalid parameter "query": invalid expression type "range vector" for range query, must be Scalar or instant Vector"#,
        ),
        ("series", "no match[] parameter provided"),
        (
            "series?match[]=up%5B",
            r#"invalid parameter "match[]": 1:3: parse error: unexpected "[""#,
        ),
        (
            "series?match[]=%7B%7D",
            r#"invalid parameter "match[]": match[] must contain at least one non-empty matcher"#,
        ),
        ("labels?match[]=%7B%7D", "match[] must contain at least one non-empty matcher"),
        (
            "labels?start=x",
            r#"invalid parameter "start": invalid time value for 'start': cannot parse "x" to a valid timestamp"#,
        ),
        ("metadata?limit=x", "limit must be a number"),
        ("rules?match[]={job=~%22a|%22}", "match[] must contain at least one non-empty matcher"),
        (
            "rules?group_limit=0",
            r#"invalid parameter "group_limit": group_limit needs to be greater than 0"#,
        ),
        (
            "rules?group_limit=1&group_next_token=a",
            r#"invalid parameter "group_next_token": invalid group_next_token 'a'. were rule groups changed?"#,
        ),
        ("targets/metadata?limit=x", "limit must be a number"),
        (
            "targets/metadata?match_target=%7D",
            r#"invalid parameter "match_target": 1:1: parse error: unexpected character: '}'"#,
        ),
        ("rules?type=x", r#"invalid parameter "type": not supported value "x""#),
        ("status/tsdb?limit=0", "limit must be a positive number"),
        (
            "query_exemplars?query=up&start=3&end=2",
            "end timestamp must not be before start timestamp",
        ),
        (
            "format_query?query=(",
            r#"invalid parameter "query": 1:2: parse error: unclosed left parenthesis"#,
        ),
    ] {
        let reply = server.get(&format!("/api/v1/{path}"));
        assert_eq!(
            (reply.status, reply.text()),
            (400, error("bad_data", reason).as_str()),
            "{path}"
        );
    }
}

#[test]
fn a_query_that_cannot_be_answered_is_422() {
    let server = filled();
    let reply = server.get(&format!("/api/v1/query?query={}", encoded("up + on() up")));
    assert_eq!(reply.status, 422, "{}", reply.text());
    assert!(reply.text().starts_with(
        r#"{"status":"error","errorType":"execution","error":"found duplicate series"#
    ));
}

#[test]
fn a_limit_cuts_and_says_so() {
    let server = filled();
    let warning = r#","warnings":["results truncated due to limit"]}"#;
    for (path, rows) in [
        ("query?query=up&limit=1", 1),
        ("series?match[]=up&limit=1", 1),
        ("labels?limit=1", 1),
        ("label/job/values?limit=1", 1),
    ] {
        let reply = server.get(&format!("/api/v1/{path}"));
        assert!(reply.text().ends_with(warning), "{path}: {}", reply.text());
        let json: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        let data = &json["data"];
        let list = data.as_array().or_else(|| data["result"].as_array()).unwrap();
        assert_eq!(list.len(), rows, "{path}");
    }
    let whole = server.get("/api/v1/query?query=up&limit=2");
    assert!(!whole.text().contains("warnings"), "{}", whole.text());
}

#[test]
fn names_values_and_series_are_sorted_and_selected() {
    let server = filled();
    for (path, expected) in [
        ("labels", r#"["__name__","job"]"#),
        ("label/__name__/values", r#"["requests_total","up"]"#),
        ("label/job/values", r#"["a","b\u003c\u0026\u003e\""]"#),
        ("label/U__job/values", r#"["a","b\u003c\u0026\u003e\""]"#),
        ("label/job/values?match[]=requests_total", r#"["a"]"#),
        ("label/a.b/values", "[]"),
        ("series?match[]=up", r#"[{"__name__":"up","job":"a"},{"__name__":"up","job":"b<&>\""}]"#),
        (
            "series?match[]=up%7Bjob%3D%22a%22%7D&match[]=requests_total",
            r#"[{"__name__":"requests_total","job":"a"},{"__name__":"up","job":"a"}]"#,
        ),
        ("series?match[]=up&start=1&end=2", "[]"),
        ("query_exemplars?query=up", "[]"),
        ("labels?start=1&end=2", "[]"),
        ("label/job/values?start=1&end=2", "[]"),
        ("format_query?query=up%2B1", r#""up + 1""#),
    ] {
        let reply = server.get(&format!("/api/v1/{path}"));
        assert_eq!((reply.status, reply.text()), (200, data(expected).as_str()), "{path}");
    }
    assert_eq!(server.get("/api/v1/query_exemplars?query=1").status, 204, "nothing is selected");
    let posted = server.post("/api/v1/series", "match[]=up&limit=40000");
    assert_eq!(posted.body, server.get("/api/v1/series?match[]=up").body);
}

#[test]
fn a_tree_is_described_with_sorted_keys() {
    let server = filled();
    let reply = server.get("/api/v1/parse_query?query=-up");
    let text = reply.text();
    assert!(text.starts_with(r#"{"status":"success","data":{"expr":{"#), "{text}");
    assert!(text.ends_with(r#""op":"-","type":"unaryExpr"}}"#), "{text}");
    serde_json::from_str::<serde_json::Value>(text).unwrap();
}

#[test]
fn trees_are_json_whatever_fills_a_gap() {
    let server = Server::start();
    let fill = |value: &str| {
        let query = encoded(&format!("a + fill_left({value}) b"));
        let reply = server.get(&format!("/api/v1/parse_query?query={query}"));
        let json: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        json["data"]["matching"]["fillValues"]["lhs"].clone()
    };
    assert_eq!(fill("-2.5"), -2.5);
    assert_eq!(fill("-Inf"), "-Inf");
    assert_eq!(fill("NaN"), "NaN");
}

#[test]
fn parts_of_a_millisecond_are_no_time_at_all() {
    let server = filled();
    let found = |time: &str, lookback: &str| {
        let path = format!("/api/v1/query?query=up&time={time}&lookback_delta={lookback}");
        server.get(&path).text().matches("metric").count()
    };
    assert_eq!(found(&format!("{T}"), "0.0005"), 2, "what stands there");
    assert_eq!(found(&format!("{T}.001"), "0.0005"), 0);
    assert_eq!(found(&format!("{T}.001"), "0"), 2, "the usual");
    let range = |end: i64, step: &str| {
        let start = T - 600;
        server.get(&format!("/api/v1/query_range?query=up&start={start}&end={end}&step={step}"))
    };
    let refused = range(T - 599, "0.0005");
    assert_eq!((refused.status, refused.text().contains("execution")), (422, true));
    assert!(range(T, "0.0005").text().contains("exceeded maximum resolution"));
    // 11,001 seconds are less than 11,001 steps.
    assert_eq!(range(T - 600 + 11_001, "1.0005").status, 200);
}

#[test]
fn statistics_come_when_asked_for() {
    let server = filled();
    let reply = server
        .get(&format!("/api/v1/query_range?query=up&start={}&end={T}&step=60&stats=all", T - 60));
    let json: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    let samples = &json["data"]["stats"]["samples"];
    assert_eq!(samples["totalQueryableSamples"], 4, "{json}");
    assert!(json["data"]["stats"]["timings"]["execTotalTime"].is_number());
    // A subquery that is the whole query has looked at what its expression looked at.
    let query = encoded("changes(up[2m])[5m:1m]");
    let reply = server.get(&format!("/api/v1/query?query={query}&time={T}&stats=all"));
    let json: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    let expected = serde_json::json!({
        "totalQueryableSamplesPerStep": [[T, 80]],
        "totalQueryableSamples": 80,
        "samplesReadPerStep": [[T, 48]],
        "samplesRead": 48,
        "peakSamples": json["data"]["stats"]["samples"]["peakSamples"],
    });
    assert_eq!(json["data"]["stats"]["samples"], expected);
    let plain = server.get("/api/v1/query?query=up");
    assert!(!plain.text().contains("stats"));
    for value in ["1", "true", "all"] {
        let reply = server.get(&format!("/api/v1/query?query=up&time={T}&stats={value}"));
        assert!(reply.text().contains(r#""stats":{"#), "{}", reply.text());
        let warned =
            reply.text().contains(r#""warnings":["value \"1\" for parameter \"stats\" is"#);
        assert_eq!(warned, value == "1", "{}", reply.text());
    }
}

#[test]
fn long_answers_arrive_whole_in_every_encoding() {
    let server = filled();
    let query = encoded("label_replace(up, \"x\", \"y\", \"\", \"\")");
    let path = format!("/api/v1/query_range?query={query}&start={}&end={T}&step=0.05", T - 500);
    let plain = server.get(&path);
    assert_eq!(plain.status, 200, "{}", plain.text());
    assert_eq!(plain.header("transfer-encoding"), Some("chunked"));
    assert!(plain.body.len() > 200_000, "{}", plain.body.len());
    serde_json::from_slice::<serde_json::Value>(&plain.body).unwrap();
    for encoding in ["gzip", "zstd"] {
        let reply = server.send(
            &format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {encoding}\r\n\r\n"),
            b"",
        );
        assert_eq!(reply.header("content-encoding"), Some(encoding));
        assert!(reply.body.len() < plain.body.len() / 4);
        assert!(decoded(encoding, &reply.body) == plain.body, "{encoding}");
    }
}

#[test]
fn what_takes_longer_to_compress_than_to_find_leaves_while_it_is_compressed() {
    let server = filled();
    let path = format!("/api/v1/query_range?query=up&start={}&end={T}&step=0.25", T - 500);
    let plain = server.get(&path);
    assert!(plain.header("content-length").is_some(), "{}", plain.head);
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n");
    let reply = server.send(&head, b"");
    assert_eq!(reply.header("transfer-encoding"), Some("chunked"), "{}", reply.head);
    assert!(decoded("gzip", &reply.body) == plain.body);
}

#[test]
fn what_was_thought_to_be_little_work_and_is_not_is_answered_all_the_same() {
    let server = Server::start();
    let samples: Vec<(i64, f64)> =
        (0..100_000).map(|ms: i32| (NOW - 100_000 + i64::from(ms), f64::from(ms))).collect();
    let push = Push::default().series(&[("__name__", "dense")], &samples);
    assert_eq!(server.push(&push.body()).status, 204);
    let query = encoded("quantile_over_time(0.5, dense[30s])");
    let (start, end) = (NOW / 1000 - 60, NOW / 1000 - 1);
    let path = format!("/api/v1/query_range?query={query}&start={start}&end={end}&step=1");
    let reply = server.get(&path);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let json: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    let points = json["data"]["result"][0]["values"].as_array().unwrap();
    assert_eq!(points.len(), 60);
    for point in points {
        let newest = 100_000.0 + 1000.0 * (point[0].as_f64().unwrap() - NOW as f64 / 1000.0);
        assert_eq!(point[1], format!("{}", newest - 14_999.5), "{point}");
    }
}

/// How long a query takes at least, of a few times.
fn shortest(server: &Server, path: &str) -> Duration {
    let once = || {
        let begun = Instant::now();
        assert_eq!(server.get(path).status, 200);
        begun.elapsed()
    };
    [once(), once(), once()].into_iter().min().unwrap()
}

#[test]
fn a_timeout_of_a_millisecond_holds_for_little_work_too() {
    let server = Server::start();
    let samples: Vec<_> = (1..=20).map(|i| (NOW - 15_000 * i, 1.0)).rev().collect();
    let numbers: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    let push = numbers
        .iter()
        .fold(Push::default(), |push, n| push.series(&[("__name__", "some"), ("n", n)], &samples));
    assert_eq!(server.push(&push.body()).status, 204);
    let path = |steps: i64| {
        let (query, start) = (encoded("sum(max_over_time(some[1m]))"), NOW / 1000 - steps);
        format!("/api/v1/query_range?query={query}&start={start}&end={}&step=1", NOW / 1000)
    };
    // As much as it takes, on a machine that is not too fast for it.
    let slow = (1..11)
        .map(|tenth| path(100 * tenth))
        .find(|path| shortest(&server, path) > Duration::from_millis(5));
    let Some(slow) = slow else { return };
    let reply = server.get(&format!("{slow}&timeout=1ms"));
    assert_eq!(reply.status, 503, "{}", reply.text());
}

fn decoded(encoding: &str, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match encoding {
        "gzip" => flate2::read::GzDecoder::new(body).read_to_end(&mut out).unwrap(),
        _ => zstd::Decoder::new(body).unwrap().read_to_end(&mut out).unwrap(),
    };
    out
}

#[test]
fn queries_beyond_the_queue_are_refused() {
    let queries = QueryLimits { concurrent: 1, queue: 0, ..QueryLimits::default() };
    let server = filled_with(Config { queries, ..Config::default() });
    let slow = encoded("count(sum_over_time(up[5m:1ms]) or sum_over_time(up[5m:1ms] offset 1s))");
    let path = format!("/api/v1/query?query={slow}");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| server.get(&path).status)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(statuses.contains(&200), "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
    assert_eq!(server.get("/api/v1/query?query=up").status, 200, "the turn was given back");
}

#[test]
fn federation_gives_last_samples_with_their_times() {
    let server = filled();
    let reply = server.get("/federate?match[]=up&match[]=requests_total");
    let expected = "# TYPE requests_total untyped\n\
                    requests_total{job=\"a\",instance=\"\"} 100 1735693200000\n\
                    # TYPE up untyped\n\
                    up{job=\"a\",instance=\"\"} 1 1735693200000\n\
                    up{job=\"b<&>\\\"\",instance=\"\"} 1 1735693200000\n";
    assert_eq!((reply.status, reply.text()), (200, expected));
    let type_ = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
    assert_eq!(reply.header("content-type"), Some(type_));
    let asked = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
                 encoding=delimited;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.4";
    let head = format!(
        "GET /federate?match[]=requests_total HTTP/1.1\r\nHost: x\r\nAccept: {asked}\r\n\r\n"
    );
    let reply = server.send(&head, b"");
    let type_ = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; \
                 encoding=delimited; escaping=allow-utf-8";
    assert_eq!((reply.status, reply.header("content-type")), (200, Some(type_)));
    let family = b"\x3e\x0a\x0erequests_total\x18\x03\x22\x2a";
    assert_eq!(&reply.body[..family.len()], &family[..], "{:?}", reply.body);
}

/// Takes minutes if nobody stops it.
const ENDLESS: &str = "sum_over_time((sum_over_time(up[10h:100ms]))[10h:100ms])";

/// Sends the endless query and waits until it is listed; returns its id.
fn begin_endless(server: &Server) -> (std::net::TcpStream, u64) {
    let mut stream = server.connect();
    let path = format!("/api/v1/query?query={}", encoded(ENDLESS));
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
    let listed = wait_for(server, |queries| !queries.is_empty());
    assert_eq!(listed[0]["query"], ENDLESS);
    assert_eq!(listed[0]["caller"], "local");
    (stream, listed[0]["id"].as_u64().unwrap())
}

fn wait_for(
    server: &Server,
    wanted: impl Fn(&Vec<serde_json::Value>) -> bool,
) -> Vec<serde_json::Value> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let reply = server.get("/api/v1/status/active_queries");
        let json: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        let queries = json["data"].as_array().unwrap().clone();
        if wanted(&queries) {
            return queries;
        }
        assert!(Instant::now() < deadline, "{json}");
    }
}

#[test]
fn a_running_query_can_be_cancelled() {
    let server = filled();
    let (mut stream, id) = begin_endless(&server);
    let path = format!("/api/v1/admin/queries/{id}/cancel");
    assert_eq!(server.post(&path, "").status, 204);
    let reply = Reply::read(&mut stream);
    let text = "query was canceled in expression evaluation";
    assert_eq!((reply.status, reply.text()), (499, error("canceled", text).as_str()));
    assert_eq!(server.post(&path, "").status, 404);
}

#[test]
fn a_query_ends_when_its_client_leaves() {
    let server = filled();
    let (stream, _) = begin_endless(&server);
    drop(stream);
    wait_for(&server, Vec::is_empty);
}

#[test]
fn a_query_ends_when_its_time_is_up() {
    let server = filled();
    let reply = server.get(&format!("/api/v1/query?query={}&timeout=50ms", encoded(ENDLESS)));
    let text = "query timed out in expression evaluation";
    assert_eq!((reply.status, reply.text()), (503, error("timeout", text).as_str()));
    wait_for(&server, Vec::is_empty);
}

#[test]
fn an_explained_query_tells_what_each_operation_took() {
    let server = filled();
    let query = encoded("sum by (job) (rate(requests_total[2m]))");
    let range = format!("query_range?start={}&end={T}&step=60", T - 60);
    for (path, samples) in [("query?", 8), (&format!("{range}&"), 12)] {
        let reply = server.get(&format!("/api/v1/{path}query={query}&explain=1"));
        let json: serde_json::Value = serde_json::from_str(reply.text()).unwrap();
        let sum = &json["data"]["explain"];
        assert_eq!(sum["operation"], "sum by (job)", "{json}");
        assert!(sum["seconds"].as_f64().unwrap() > 0.0);
        let rate = &sum["operands"][0];
        assert_eq!((&rate["operation"], &rate["streamed"]), (&"rate".into(), &true.into()));
        let selector = &rate["operands"][0];
        assert_eq!(selector["expression"], "requests_total[2m]");
        assert_eq!((&selector["series"], &selector["samples"]), (&1.into(), &samples.into()));
    }
    assert!(!server.get(&format!("/api/v1/query?query={query}")).text().contains("explain"));
}

#[test]
fn hostile_queries_are_refused_or_answered_and_the_server_goes_on() {
    let server = filled();
    let nested = |open: &str, n: usize| format!("{}up{}", open.repeat(n), ")".repeat(n));
    for (what, query, expected) in [
        ("10 MB of text", "x".repeat(10_000_000), 413),
        ("2 MB of text", format!("up{}", " ".repeat(2_000_000)), 400),
        ("100,000 parentheses", nested("(", 100_000), 400),
        ("10,000 signs", format!("{}up", "-".repeat(10_000)), 400),
        ("deep but allowed", nested("abs(", 490), 200),
        ("deep subqueries", format!("up{}", "[5m:1m]".repeat(1000)), 400),
        ("nested repetition", "{job=~\"(a+)+$\"}".to_owned(), 200),
        ("repetition of classes", "{job=~\"\\\\pL{1000}{1000}\"}".to_owned(), 400),
        ("everything", "{__name__=~\".+\"}".to_owned(), 200),
        ("nothing", "{}".to_owned(), 400),
        ("a thousand years", "rate(up[1000y])".to_owned(), 400),
        ("a subquery of too many steps", "count_over_time(up[200y:1ms])".to_owned(), 422),
    ] {
        let reply = server.post("/api/v1/query", &format!("query={}", encoded(&query)));
        assert_eq!(reply.status, expected, "{what}: {:.200}", reply.text());
    }
    assert_eq!(
        server.push(&Push::default().series(&[("__name__", "x")], &[(NOW, 1.0)]).body()).status,
        204
    );
}

#[test]
fn selectors_of_one_request_share_a_bound_on_their_expressions() {
    let server = filled();
    let selector = |i| encoded(&format!("{{job=~\"\\\\pL{{100}}{i}|b.*\"}}"));
    let form = |n: usize| (0..n).map(|i| format!("match[]={}", selector(i))).collect::<Vec<_>>();
    let ask = |n| server.post("/api/v1/series", &form(n).join("&"));
    assert_eq!(ask(2).status, 200);
    let refused = ask(100);
    assert_eq!(refused.status, 400, "{}", refused.text());
    let limit = "than query.max_regex_memory (67108864 bytes)";
    assert!(refused.text().contains(limit), "{}", refused.text());
    let counter = "metricstor_http_refused_queries_total{reason=\"query_regexes\"} 1\n";
    assert!(server.get("/metrics").text().contains(counter));
}

#[test]
fn cardinality_counts_each_value_once_however_many_shards_have_it() {
    let server = Server::start();
    let mut push = Push::default();
    let names: Vec<String> = (0..40).map(|i| format!("m{i}")).collect();
    for name in &names {
        for le in ["1", "22"] {
            push = push.series(&[("__name__", name), ("le", le)], &[(NOW, 1.0)]);
        }
    }
    assert_eq!(server.push(&push.body()).status, 204);
    let text = server.get("/api/v1/status/tsdb?limit=2").text().to_owned();
    for part in [
        r#""headStats":{"numSeries":80,"numLabelPairs":42,"#,
        r#""labelValueCountByLabelName":[{"name":"__name__","value":40},{"name":"le","value":2}]"#,
        r#""memoryInBytesByLabelName":[{"name":"__name__","value":110},{"name":"le","value":3}]"#,
        r#""seriesCountByLabelValuePair":[{"name":"le=1","value":40},{"name":"le=22","value":40}]"#,
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn deleted_samples_are_gone_when_the_answer_comes() {
    let server = filled();
    let count = |what: &str| {
        let query = encoded(&format!("sum(count_over_time({what}[10m1s]))"));
        let reply = server.get(&format!("/api/v1/query?query={query}"));
        let json: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        json["data"]["result"][0]["value"][1].as_str().unwrap_or("0").to_owned()
    };
    let path = "/api/v1/admin/tsdb/delete_series";
    let half = format!("match[]=up{{job=\"a\"}}&start={}&end={}", T - 600, T - 300);
    let reply = server.post(path, &half);
    assert_eq!((reply.status, reply.text()), (204, ""));
    assert_eq!((count("up{job='a'}"), count("up{job!='a'}")), ("20".into(), "41".into()));
    assert_eq!(server.post("/api/v1/admin/tsdb/clean_tombstones", "").status, 204);
    assert_eq!(count("up{job='a'}"), "20");
    assert_eq!(server.post(path, "match[]=up&match[]=requests_total").status, 204);
    assert_eq!((count("up"), count("requests_total")), ("0".into(), "0".into()));
    for (form, reason) in [
        ("", "no match[] parameter provided"),
        (
            "match[]=%7B",
            r#"invalid parameter "match[]": 1:2: parse error: unexpected end of input inside braces"#,
        ),
        ("match[]=up&start=2&end=1", "end timestamp must not be before start timestamp"),
    ] {
        let reply = server.post(path, form);
        assert_eq!(
            (reply.status, reply.text()),
            (400, error("bad_data", reason).as_str()),
            "{form}"
        );
    }
    assert_eq!(server.get(path).status, 405);
}

#[test]
fn a_form_is_known_by_its_type_and_the_empty_name_is_none() {
    let server = filled();
    let ask = |method: &str, content_type: &str| {
        let body = "query=2";
        let head = format!(
            "{method} /api/v1/query?query=3 HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        let reply = server.send(&head, body.as_bytes());
        let text = reply.text().to_owned();
        text.rsplit('"').nth(1).unwrap_or_default().to_owned()
    };
    let form = "application/x-www-form-urlencoded";
    for (method, content_type, expected) in [
        ("POST", form, "2"),
        ("POST", "Application/X-WWW-Form-URLencoded ; charset=utf-8", "2"),
        ("POST", "application/x-www-form-urlencodedfoo", "3"),
        ("GET", form, "3"),
    ] {
        assert_eq!(ask(method, content_type), expected, "{method} {content_type}");
    }
    let reply = server.get("/api/v1/label/U__/values");
    let expected = error("bad_data", r#"invalid label name: """#);
    assert_eq!((reply.status, reply.text()), (400, expected.as_str()));
    let for_ever = server.get("/api/v1/labels?end=9999-12-31T23:59:59Z");
    assert_eq!(for_ever.status, 200, "{}", for_ever.text());
}

#[test]
fn a_snapshot_is_named_by_its_time() {
    let server = filled();
    for n in 0..2 {
        let reply = server.post("/api/v1/admin/tsdb/snapshot", "");
        let expected = data(&format!(r#"{{"name":"20250101T010000Z-000000000000000{n}"}}"#));
        assert_eq!((reply.status, reply.text()), (200, expected.as_str()));
    }
    let reply = server.post("/api/v1/admin/tsdb/snapshot?skip_head=perhaps", "");
    assert_eq!(reply.status, 400, "{}", reply.text());
}

/// Chunks that tell enough are not decoded; what is counted and answered is the same as if they were.
#[test]
fn extremes_and_counts_of_long_times_are_those_of_the_samples() {
    let server = Server::start();
    let times = (0..20_000).map(|i| NOW - 20_000_000 + i * 1_000);
    let wave: Vec<_> =
        times.clone().zip(0..).map(|(t, i)| (t, f64::from(i * 7919 % 10_007))).collect();
    let zero: Vec<_> = times.map(|t| (t, -0.0)).collect();
    let push = Push::default()
        .series(&[("__name__", "wave")], &wave)
        .series(&[("__name__", "zero")], &zero);
    assert_eq!(server.push(&push.body()).status, 204);
    assert_eq!(server.post("/api/v1/admin/storage/compact", "").status, 204);
    // One that comes late, before all others.
    let late = [(NOW - 21_000_000, 10_007.0)];
    let push = Push::default().series(&[("__name__", "wave")], &late);
    assert_eq!(server.push(&push.body()).status, 204);
    let ask = |path: &str, query: &str| {
        let reply = server.get(&format!("/api/v1/{path}&query={}", encoded(query)));
        let json: serde_json::Value = serde_json::from_str(reply.text()).unwrap();
        assert_eq!(json["status"], "success", "{query}: {json}");
        json["data"].clone()
    };
    for (query, value) in [
        ("max_over_time(wave[6h])", "10007"),
        ("min_over_time(wave[6h])", "0"),
        ("count_over_time(wave[6h])", "20001"),
        ("present_over_time(wave[6h])", "1"),
        ("max_over_time(zero[6h])", "-0"),
        ("min_over_time(zero[6h])", "-0"),
        ("count_over_time(zero[6h])", "20000"),
    ] {
        let instant = ask(&format!("query?time={T}&stats=all"), query);
        assert_eq!(instant["result"][0]["value"][1], value, "{query}");
        // Of two steps, whose windows overlap, every sample is read.
        let times = format!("query_range?start={}&end={T}&step=1&stats=all", T - 1);
        let range = ask(&times, query);
        assert_eq!(range["result"][0]["values"][1][1], value, "{query}");
        let by_step = |data: &serde_json::Value, step: usize| {
            data["stats"]["samples"]["totalQueryableSamplesPerStep"][step][1].clone()
        };
        let samples = if query.contains("wave") { 20_001 } else { 20_000 };
        assert_eq!(by_step(&instant, 0), samples, "{query}");
        assert_eq!(by_step(&range, 1), samples, "{query}");
    }
}
