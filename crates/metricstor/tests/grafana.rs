//! What Grafana's data source "Prometheus" sends, from saving it to an open dashboard, in that order:
//! each answer has the shape that Grafana reads, and is the one that a Prometheus 3 gives.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::io::Read;
use std::net::SocketAddr;
use std::process::Command;

mod support;
use serde_json::Value;
use support::peer::{Peer, needed, succeeded};
use support::remote_write::{HEADERS, Message};
use support::{Response, Server, encode, now, request};

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
/// Grafana's Go client reads gzip.
const AGENT: [(&str, &str); 2] = [("User-Agent", "Grafana/12.1.0"), ("Accept-Encoding", "gzip")];

/// A call: what for, how, and where in the answer which type of value has to be.
struct Call {
    purpose: &'static str,
    method: &'static str,
    path: String,
    form: String,
    status: u16,
    pointer: &'static str,
    is: fn(&Value) -> bool,
    /// Is the answer that of Prometheus, or only its shape?
    equal: bool,
}

fn get(purpose: &'static str, path: String, is: fn(&Value) -> bool) -> Call {
    let (method, form, pointer) = ("GET", String::new(), "/data");
    Call { purpose, method, path, form, status: 200, pointer, is, equal: true }
}

fn post(purpose: &'static str, path: &str, form: String, is: fn(&Value) -> bool) -> Call {
    Call { method: "POST", form, ..get(purpose, path.to_owned(), is) }
}

fn texts(value: &Value) -> bool {
    value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_string))
}

fn rows(value: &Value) -> bool {
    value.as_array().is_some_and(|list| !list.is_empty())
}

/// The data source is saved: is it there, and what is it?
fn saving() -> Vec<Call> {
    let version = |data: &Value| {
        // A map of features would make it a Mimir.
        data["version"].as_str().is_some_and(|v| v.starts_with('3'))
            && data.get("features").is_none()
    };
    vec![
        Call {
            pointer: "/data/result/1",
            ..post("health", "/api/v1/query", "query=1%2B1&time=4".into(), |v| v == "2")
        },
        Call { equal: false, ..get("what it is", "/api/v1/status/buildinfo".into(), version) },
        get("rules for recording", "/api/v1/rules".into(), |data| data["groups"].is_array()),
    ]
}

/// The query editor opens, and somebody chooses metric and labels.
fn editing(start: i64, end: i64) -> Vec<Call> {
    let range = format!("start={start}&end={end}&limit=40000");
    let chosen = encode("{__name__=\"requests_total\",job=\"a\"}");
    let of_metric = encode("requests_total");
    let any = encode("{__name__!=\"\"}");
    let values = |label: &str| format!("/api/v1/label/{label}/values?{range}");
    vec![
        get("metrics", values("__name__"), texts),
        Call {
            equal: false,
            ..get("metadata", "/api/v1/metadata?limit=40000".into(), Value::is_object)
        },
        post("labels", "/api/v1/labels", range.clone(), texts),
        post("labels of any", "/api/v1/labels", format!("match%5B%5D={any}&{range}"), texts),
        post("its labels", "/api/v1/labels", format!("match%5B%5D={of_metric}&{range}"), texts),
        get("labels, from older versions", format!("/api/v1/labels?{range}"), texts),
        get("values", format!("{}&match%5B%5D={of_metric}", values("job")), texts),
        get("values of another name", values("U__in_2d_valid"), texts),
        post("series", "/api/v1/series", format!("match%5B%5D={chosen}&{range}"), rows),
        get("series", format!("/api/v1/series?match%5B%5D={chosen}&{range}"), rows),
        get("metadata of one", "/api/v1/metadata?metric=none".into(), Value::is_object),
    ]
}

/// A dashboard with variables, panels, exemplars and annotations.
fn dashboard(start: i64, end: i64) -> Vec<Call> {
    let path = "/api/v1/query_range";
    let panel = |purpose, query: &str, step: &str| {
        let query = encode(query);
        let form = format!("end={end}.25&query={query}&start={start}.25&step={step}");
        Call { pointer: "/data/result", ..post(purpose, path, form, rows) }
    };
    let instant = |purpose, query: &str| {
        let form = format!("query={}&time={end}.25", encode(query));
        Call { pointer: "/data/result", ..post(purpose, "/api/v1/query", form, rows) }
    };
    let exemplars = format!("end={end}&query={}&start={start}", encode("requests_total"));
    vec![
        instant("variable by query_result", "count by (job) (requests_total)"),
        panel("panel", "sum by (job) (rate(requests_total[1m0s]))", "15"),
        panel("panel of many jobs", "requests_total{job=~\"(a|b\\\\.c|d)\"}", "30"),
        panel("panel of fractions", "temperature / 3", "7.5"),
        panel("quoted names", "{\"temperature\",\"in-valid\"=\"é\"}", "60"),
        panel("with an annotation", "rate(temperature[5m0s])", "60"),
        panel("histogram", "histogram_quantile(0.9, rate(latency[5m0s]))", "60"),
        panel("heat map", "latency", "60"),
        panel("annotations", "changes(requests_total[2m0s]) > 0", "60"),
        instant("table", "topk(1, temperature)"),
        post("exemplars", "/api/v1/query_exemplars", exemplars, Value::is_array),
        Call {
            path: format!("{path}?max_source_resolution=5m&timeout=60s"),
            ..panel("own parameters", "vector(1)", "60")
        },
        Call {
            path: format!("{path}?query=time()&step=60&start={start}&end={end}"),
            method: "GET",
            form: String::new(),
            ..panel("panel with GET", "", "")
        },
    ]
}

/// Alerting's pages, and what people get wrong.
fn others(start: i64, end: i64) -> Vec<Call> {
    let wrong = |purpose, form: String| Call {
        status: 400,
        pointer: "/errorType",
        ..post(purpose, "/api/v1/query_range", form, |kind| kind == "bad_data")
    };
    vec![
        get("alert rules", "/api/v1/rules?type=alert".into(), |data| data["groups"].is_array()),
        get("alerts", "/api/v1/alerts".into(), |data| data["alerts"].is_array()),
        get("Alertmanagers", "/api/v1/alertmanagers".into(), Value::is_object),
        get("targets", "/api/v1/targets?state=active".into(), Value::is_object),
        wrong("half a query", format!("end={end}&query=sum%28&start={start}&step=15")),
        wrong("too fine", format!("end={end}&query=up&start={start}&step=0.001")),
        Call {
            status: 422,
            pointer: "/errorType",
            // Which of the two series is named first was left to chance in earlier versions.
            equal: false,
            ..post(
                "ambiguous",
                "/api/v1/query",
                format!("query={}&time={end}", encode("temperature + on () requests_total")),
                |kind| kind == "execution",
            )
        },
        Call {
            status: 404,
            pointer: "",
            ..get("a ruler", "/api/v1/rules/nobody/here".into(), |text| {
                text.as_str().is_some_and(|text| text.contains("page not found"))
            })
        },
    ]
}

fn send(call: &Call, address: SocketAddr) -> Response {
    let mut headers = AGENT.to_vec();
    if call.method == "POST" {
        headers.push(FORM);
    }
    let mut response =
        request(address, call.method, &call.path, &headers, call.form.as_bytes()).unwrap();
    if response.header("content-encoding") == Some("gzip") {
        let mut body = Vec::new();
        flate2::read::GzDecoder::new(&*response.body).read_to_end(&mut body).unwrap();
        response.body = body;
    }
    response
}

/// The body, vectors and matrices in the order of their labels.
fn body(response: &Response) -> Value {
    let text = || Value::from(response.text());
    let mut body = serde_json::from_slice(&response.body).unwrap_or_else(|_| text());
    if let Some(rows) = body.pointer_mut("/data/result").and_then(Value::as_array_mut) {
        rows.sort_by_key(|row| row["metric"].to_string());
    }
    body
}

fn data(end: i64) -> Message {
    let times: Vec<i64> = (0..121).map(|i| (end - 15 * (120 - i)) * 1000 + 7).collect();
    let values = |of: fn(f64) -> f64| -> Vec<(i64, f64)> {
        (0..).zip(&times).map(|(i, t)| (*t, of(f64::from(i)))).collect()
    };
    let mut message = Message::new();
    for job in ["a", "b.c"] {
        let labels = [("__name__", "requests_total"), ("job", job)];
        message.add(&labels, &values(|i| 3.0 * (i % 70.0)));
    }
    message.add(&[("__name__", "temperature"), ("in-valid", "é")], &values(f64::sin));
    let counts: Vec<[u64; 3]> = (0..121).map(|i| [i, 2 * i, 5]).collect();
    let histograms: Vec<(i64, &[u64])> =
        times.iter().zip(&counts).map(|(t, counts)| (*t, &counts[..])).collect();
    message.histogram(&[("__name__", "latency"), ("job", "a")], &histograms)
}

#[test]
fn what_grafana_asks_is_answered_as_by_prometheus() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let (end, start) = (now() - 5, now() - 1805);
    let message = data(end);
    assert_eq!(server.push(&message.bytes).status, 204);
    let version = Command::new(needed("prometheus")).arg("--version").output().unwrap();
    let is_current = !succeeded("version", &version).starts_with("prometheus, version 2");
    let peer = is_current.then(|| {
        let (peer, address) =
            Peer::prometheus_with("exemplar-storage,native-histograms", "global: {}\n", dir.path());
        let bytes = snap::raw::Encoder::new().compress_vec(&message.bytes).unwrap();
        let response = request(address, "POST", "/api/v1/write", &HEADERS, &bytes).unwrap();
        assert_eq!(response.status, 204, "{}", response.text());
        (peer, address)
    });
    if peer.is_none() {
        eprintln!("SKIPPED: the comparison; the shapes of this Prometheus are not those of 3");
    }
    let parts = [saving(), editing(start, end), dashboard(start, end), others(start, end)];
    for call in parts.iter().flatten() {
        let response = send(call, server.plain);
        let (purpose, ours) = (call.purpose, body(&response));
        assert_eq!(response.status, call.status, "{purpose}: {ours}");
        let part = ours.pointer(call.pointer).unwrap_or_else(|| panic!("{purpose}: {ours}"));
        assert!((call.is)(part), "{purpose}: {ours}");
        if let (Some((_, address)), true) = (&peer, call.equal) {
            let theirs = send(call, *address);
            let kind = |response: &Response| response.header("content-type").map(str::to_owned);
            let them = (theirs.status, kind(&theirs), body(&theirs));
            assert_eq!((response.status, kind(&response), ours), them, "{purpose}");
        }
    }
}
