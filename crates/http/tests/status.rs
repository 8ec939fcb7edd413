//! What the server says about itself beyond the short pages: its metrics, its files, that it stops.

#![allow(clippy::unwrap_used)] // a panic is the failure report

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use metricstor_http::Config;
use serde_json::Value;
use support::{NOW, Push, Reply, Server};

fn data(server: &Server, path: &str) -> Value {
    let reply = server.get(path);
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    serde_json::from_slice::<Value>(&reply.body).unwrap()["data"].clone()
}

#[test]
fn own_metrics_are_there_as_protobuf_json() {
    let server = Server::start();
    let path = "/api/v1/status/self_metrics";
    let all = data(&server, path);
    let all = all.as_array().unwrap();
    assert!(all.len() > 20, "{all:?}");
    for family in all {
        assert!(family["help"].is_string() && family["type"].is_string(), "{family}");
        assert!(!family["metric"].as_array().unwrap().is_empty(), "{family}");
    }
    let some = data(&server, &format!("{path}?metric_name_pattern=metricstor_.*_info"));
    assert_eq!(some.as_array().unwrap().len(), 1, "{some}");
    assert_eq!(some[0]["name"], "metricstor_build_info");
    assert_eq!(some[0]["type"], "GAUGE");
    assert_eq!(some[0]["metric"][0]["gauge"]["value"], 1);
    assert_eq!(some[0]["metric"][0]["label"][0]["name"], "version");
    assert_eq!(data(&server, &format!("{path}?metric_name_pattern=info")), Value::Array(vec![]));
    let wrong = server.get(&format!("{path}?metric_name_pattern=[a"));
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("invalid metric_name_pattern: "), "{}", wrong.text());
}

#[test]
fn chunk_files_are_listed_as_blocks() {
    let server = Server::start();
    let path = "/api/v1/status/tsdb/blocks";
    assert_eq!(data(&server, path), serde_json::json!({"blocks": []}));
    let samples = [(NOW - 5000, 1.0), (NOW - 4000, 2.0)];
    let push = Push::default().series(&[("__name__", "up"), ("job", "a")], &samples);
    assert_eq!(server.push(&push.body()).status, 204);
    assert_eq!(server.post("/api/v1/admin/storage/compact", "").status, 204);
    let blocks = data(&server, path);
    let [block] = &blocks["blocks"].as_array().unwrap()[..] else { panic!("{blocks}") };
    assert_eq!(block["ulid"].as_str().unwrap().len(), 26);
    assert_eq!(block["minTime"], NOW - 5000);
    assert_eq!(block["maxTime"], NOW - 3999, "the end is exclusive");
    let stats = serde_json::json!({"numSamples": 2, "numSeries": 1, "numChunks": 1});
    assert_eq!(block["stats"], stats);
    assert!(block["compaction"]["level"].as_i64().unwrap() >= 1, "{block}");
    assert_eq!(block["version"], 1);
}

#[test]
fn features_name_the_language_by_its_parts() {
    let server = Server::start();
    let features = data(&server, "/api/v1/features");
    assert_eq!(features["api"]["remote_write_receiver"], true);
    assert_eq!(features["promql"]["anchored"], true);
    assert_eq!(features["promql"]["delayed_name_removal"], false);
    assert_eq!(features["promql_functions"]["rate"], true);
    assert_eq!(features["promql_functions"]["info"], true, "experimental functions are on");
    assert_eq!(features["promql_operators"][">="], true);
    assert_eq!(features["promql_operators"]["limitk"], true);
    assert_eq!(features["tsdb"]["st_storage"], true);
}

/// Asks for notifications as they come; the answer's head is read.
fn listen(server: &Server) -> (String, BufReader<TcpStream>) {
    let mut stream = server.connect();
    stream.write_all(b"GET /api/v1/notifications/live HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let (mut head, mut lines) = (String::new(), BufReader::new(stream));
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(lines.read_line(&mut head).unwrap(), 0, "{head}");
    }
    (head, lines)
}

#[test]
fn listeners_hear_that_the_server_stops() {
    let mut server = Server::start();
    let (head, lines) = listen(&server);
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains("content-type: text/event-stream\r\n"), "{head}");
    assert!(head.contains("cache-control: no-cache\r\n"), "{head}");
    assert_eq!(data(&server, "/api/v1/notifications"), Value::Array(vec![]));
    server.begin_stop();
    let event = lines.lines().map(Result::unwrap).find_map(|line| {
        line.strip_prefix("data: ").map(|json| serde_json::from_str::<Value>(json).unwrap())
    });
    let event = event.expect("an event before the end");
    assert_eq!(event["text"], "metricstor is stopping.");
    assert_eq!((&event["active"], &event["date"]), (&true.into(), &"2025-01-01T01:00:00Z".into()));
    server.wait();
}

#[test]
fn listeners_are_bounded_and_counted() {
    let mut config = Config::default();
    config.connections.listeners = 1;
    let server = Server::with(config);
    let (head, first) = listen(&server);
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let refused: Reply = server.get("/api/v1/notifications/live");
    assert_eq!(refused.status, 204);
    let metrics = server.get("/metrics");
    assert!(metrics.text().contains("metricstor_http_refused_listeners_total 1\n"));
    drop(first);
}
