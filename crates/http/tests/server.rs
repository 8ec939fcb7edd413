//! The server itself: limits on connections and headers, other paths and methods, stopping.

#![allow(clippy::unwrap_used)] // a panic is the failure report

mod support;

use std::io::{Read, Write};

use metricstor_http::{Config, ConnectionLimits};
use support::{NOW, Push, Reply, Server};

fn constrained(change: impl FnOnce(&mut ConnectionLimits)) -> Server {
    let mut config = Config::default();
    change(&mut config.connections);
    Server::with(config)
}

#[test]
fn health_is_answered_to_get_and_head_only() {
    let server = Server::start();
    for path in ["/-/healthy", "/-/ready"] {
        assert_eq!(server.get(path).status, 200);
        let mut stream = server.connect();
        stream.write_all(format!("HEAD {path} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
        let mut head = String::new();
        stream.read_to_string(&mut head).unwrap();
        assert!(head.starts_with("HTTP/1.0 200") && head.ends_with("\r\n\r\n"), "{head}");
        assert_eq!(server.post(path, "").status, 405);
    }
}

#[test]
fn unknown_paths_are_404_in_words_that_grafana_knows() {
    let server = Server::start();
    for path in ["/ui", "/api/v1/nothing", "/etc/passwd", "/%2e%2e%2fetc%2fpasswd", "/a%00"] {
        let reply = server.get(path);
        assert_eq!((reply.status, reply.text()), (404, "404 page not found\n"), "{path}");
    }
    let metrics = server.get("/metrics");
    let other = "metricstor_http_requests_total{path=\"other\",code=\"404\"} 5\n";
    assert!(metrics.text().contains(other), "{}", metrics.text());
}

#[test]
fn paths_that_are_not_clean_lead_to_those_that_are() {
    let server = Server::start();
    let lead = |reply: Reply| (reply.status, reply.header("location").map(str::to_owned));
    let query = "/api/v1/query?query=1".to_owned();
    assert_eq!(lead(server.get("//api/v1/query?query=1")), (301, Some(query)));
    assert_eq!(lead(server.get("/ui/../../etc/passwd")), (301, Some("/etc/passwd".to_owned())));
    assert_eq!(
        lead(server.post("//api//v1/query", "query=1")),
        (308, Some("/api/v1/query".to_owned()))
    );
}

#[test]
fn what_does_not_exist_yet_has_the_right_empty_shape() {
    let server = Server::start();
    for (path, data) in [
        ("rules", r#"{"groups":[]}"#),
        ("alerts", r#"{"alerts":[]}"#),
        ("alertmanagers", r#"{"activeAlertmanagers":[],"droppedAlertmanagers":[]}"#),
        ("targets", r#"{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":{}}"#),
        ("targets/metadata", "[]"),
        ("scrape_pools", r#"{"scrapePools":[]}"#),
        ("notifications", "[]"),
        ("status/walreplay", r#"{"min":0,"max":0,"current":0}"#),
    ] {
        let reply = server.get(&format!("/api/v1/{path}"));
        let expected = format!(r#"{{"status":"success","data":{data}}}"#);
        assert_eq!((reply.status, reply.text()), (200, expected.as_str()), "{path}");
    }
}

#[test]
fn relabelling_has_no_pool_to_look_into() {
    let server = Server::start();
    for (parameters, error) in [
        ("", "no scrapePool parameter provided"),
        ("?scrapePool=a", "no labels parameter provided"),
        ("?scrapePool=a&labels={", "error parsing labels: "),
        (
            "?scrapePool=a&labels={}",
            "error retrieving scrape config: scrape pool \\\"a\\\" not found",
        ),
    ] {
        let reply = server.get(&format!("/api/v1/targets/relabel_steps{parameters}"));
        assert_eq!(reply.status, 400, "{parameters}");
        assert!(reply.text().contains(&format!(r#""error":"{error}"#)), "{}", reply.text());
    }
}

#[test]
fn status_pages_are_json_of_prometheus_shape() {
    let server = Server::start();
    let data = |path: &str| -> serde_json::Value {
        let reply = server.get(path);
        assert_eq!(reply.status, 200, "{path}");
        serde_json::from_slice::<serde_json::Value>(&reply.body).unwrap()["data"].clone()
    };
    let build = data("/api/v1/status/buildinfo");
    assert!(build["version"].as_str().unwrap().starts_with("3."), "{build}");
    assert!(build.get("features").is_none() && build.get("application").is_none());
    assert_eq!(build["revision"], "metricstor 1.2.3");
    assert!(data("/api/v1/status/flags").is_object());
    assert!(data("/api/v1/status/config")["yaml"].is_string());
    assert_eq!(data("/api/v1/status/runtimeinfo")["serverTime"], "2025-01-01T01:00:00Z");
    assert!(data("/api/v1/features")["api"].is_object());
    let tsdb = data("/api/v1/status/tsdb");
    assert_eq!(tsdb["headStats"]["numSeries"], 0);
    assert_eq!(tsdb["seriesCountByMetricName"], serde_json::json!([]));
    assert!(server.get("/api/v1/openapi.yaml").text().starts_with("openapi: 3."));
}

#[test]
fn administration_is_closed_to_pages_of_other_sites() {
    let server = Server::start();
    let compact = "POST /api/v1/admin/storage/compact HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n";
    assert_eq!(server.send(&format!("{compact}\r\n"), b"").status, 204);
    for browser in ["Origin: http://evil\r\n", "Sec-Fetch-Site: cross-site\r\n"] {
        assert_eq!(server.send(&format!("{compact}{browser}\r\n"), b"").status, 403);
    }
}

#[test]
fn administration_is_closed_to_pages_of_sites_whose_name_leads_here() {
    let server = Server::start();
    let compact = |host: &str| {
        let head = "POST /api/v1/admin/storage/compact HTTP/1.1\r\nContent-Length: 0\r\n";
        let browser = "Sec-Fetch-Site: same-origin\r\n";
        server.send(&format!("{head}Host: {host}\r\n{browser}\r\n"), b"").status
    };
    for own in ["localhost:9103", "127.0.0.1:9103", "[::1]:9103", "web.localhost", "db1", "db1."] {
        assert_eq!(compact(own), 204, "{own}");
    }
    for foreign in ["evil.example", "evil.example:9103", "evil.example.", "127.0.0.1.evil.example"]
    {
        assert_eq!(compact(foreign), 403, "{foreign}");
    }
}

#[test]
fn compaction_keeps_what_was_written() {
    let server = Server::start();
    let push = Push::default().series(&[("__name__", "up")], &[(NOW, 1.0)]);
    assert_eq!(server.push(&push.body()).status, 204);
    let before = server.get("/api/v1/query?query=up").body;
    assert_eq!(server.post("/api/v1/admin/storage/compact", "").status, 204);
    assert_eq!(server.get("/api/v1/query?query=up").body, before);
}

#[test]
fn malformed_and_oversized_requests_are_refused() {
    let server = Server::start();
    let many: String = (0..200).map(|i| format!("h{i}: x\r\n")).collect();
    let cases = [
        ("200 headers", format!("GET / HTTP/1.1\r\n{many}\r\n"), vec![431]),
        ("large header", format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "x".repeat(70_000)), vec![431]),
        ("large URL", format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1 << 20)), vec![414, 431]),
        (
            "two lengths",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".into(),
            vec![400],
        ),
        ("no HTTP", "hello\r\n\r\n".into(), vec![400]),
        ("obsolete folding", "GET / HTTP/1.1\r\na: b\r\n c\r\n\r\n".into(), vec![400]),
    ];
    for (name, request, expected) in cases {
        let reply = server.send(&request, b"");
        assert!(expected.contains(&reply.status), "{name}: {}", reply.status);
    }
    assert_eq!(server.get("/-/healthy").status, 200);
}

#[test]
fn one_address_cannot_take_all_connections() {
    let server = constrained(|connections| connections.per_address = 2);
    let mut first = server.connect();
    let mut second = server.connect();
    for stream in [&mut first, &mut second] {
        stream.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!(Reply::read(stream).status, 200);
    }
    let mut third = server.connect();
    let mut nothing = Vec::new();
    // Closed at once: an orderly end, or a reset if our bytes were on their way.
    let _ = third.read_to_end(&mut nothing);
    assert!(nothing.is_empty());
}

#[test]
fn a_stop_lets_a_begun_request_end() {
    let mut server = Server::start();
    let push = Push::default().series(&[("__name__", "up")], &[(NOW, 1.0)]);
    let body = push.body();
    let mut stream = server.connect();
    let head = format!(
        "POST /api/v1/write HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The interim answer says that the server has begun to read this request.
    assert_eq!(Reply::read(&mut stream).status, 100);
    server.begin_stop();
    stream.write_all(&body).unwrap();
    assert_eq!(Reply::read(&mut stream).status, 204);
    server.wait();
}

#[test]
fn a_url_may_hold_quotes_and_comparisons_as_people_type_them() {
    let server = Server::start();
    let push = Push::default().series(&[("__name__", "up"), ("job", "a b")], &[(NOW, 3.0)]);
    assert_eq!(server.push(&push.body()).status, 204);
    let reply = server.get(r#"/api/v1/query?query=up{job=~"a.b"}>2<4"#);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.text().contains(r#""value":[1735693200,"3"]"#), "{}", reply.text());
    assert_eq!(reply.header("connection"), Some("close"));
    assert_eq!(server.get("/api/v1/query?query=up").header("connection"), None);
    // What is no URL at all is still refused.
    assert_eq!(server.get("/api/v1/query?query=up{job=\"a b\"}").status, 400);
}

#[test]
fn pages_may_read_and_ask_for_methods_where_there_is_something() {
    let server = Server::start();
    let ask = |path: &str| {
        server.send(&format!("OPTIONS {path} HTTP/1.1\r\nHost: x\r\nOrigin: http://a\r\n\r\n"), b"")
    };
    let reply = ask("/api/v1/query");
    assert_eq!(reply.status, 204);
    assert_eq!(reply.header("access-control-allow-origin"), Some("http://a"));
    assert_eq!(reply.header("access-control-allow-methods"), Some("GET, POST, OPTIONS"));
    assert_eq!(ask("/nowhere").status, 404);
    let missing = server.get("/nowhere");
    assert_eq!(missing.header("x-content-type-options"), Some("nosniff"));
}
