//! Clients that were written for Prometheus, pointed at us over mutual TLS: a Prometheus reading
//! remotely, another federating, promtool, vmalert, the Python package prometheus-api-client.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

mod support;
use support::peer::{Peer, needed, optional, succeeded, tls_config};
use support::remote_write::Message;
use support::{Server, encode, now, request, wait_until};

/// Samples every 15 s for half an hour before the newest.
const POINTS: i64 = 121;

/// A gauge, a counter that starts again, a series that ended, a native histogram; until `end`.
fn fill(server: &Server, end: i64) {
    let times: Vec<i64> = (0..POINTS).map(|i| (end - 15 * (POINTS - 1 - i)) * 1000 + 7).collect();
    let mut message = Message::new();
    for instance in ["a:1", "b:2"] {
        let labels = |name| [("__name__", name), ("instance", instance), ("job", "demo")];
        let gauge: Vec<_> = times.iter().map(|t| (*t, (*t as f64 / 1e5).sin() / 3.0)).collect();
        message.add(&labels("temperature"), &gauge);
        let counter = |i: i64| if i < 70 { 4.5 * i as f64 } else { (i - 70) as f64 };
        let counter: Vec<_> = (0..).zip(&times).map(|(i, t)| (*t, counter(i))).collect();
        message.add(&labels("requests_total"), &counter);
    }
    let mut ended: Vec<_> = times[..100].iter().map(|t| (*t, 1.0)).collect();
    ended.push((times[100], f64::from_bits(0x7ff0_0000_0000_0002)));
    message.add(&[("__name__", "gone"), ("job", "demo")], &ended);
    let counts: Vec<[u64; 3]> = (0..POINTS as u64).map(|i| [i % 90, 2 * (i % 90), 5]).collect();
    let histograms: Vec<(i64, &[u64])> =
        times.iter().zip(&counts).map(|(t, counts)| (*t, &counts[..])).collect();
    let message = message.histogram(&[("__name__", "latency"), ("job", "demo")], &histograms);
    let response = server.push(&message.bytes);
    assert_eq!(response.status, 204, "{}", response.text());
}

/// Each series of an answer by its labels, its points as text.
fn rows(answer: &serde_json::Value) -> BTreeMap<String, String> {
    let result = answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let row = |row: &serde_json::Value| {
        let mut points = row.clone();
        points.as_object_mut().unwrap().remove("metric");
        (row["metric"].to_string(), points.to_string())
    };
    result.iter().map(row).collect()
}

fn started(dir: &Path) -> (Server, i64) {
    let server = Server::start(dir);
    let end = now() - 5;
    fill(&server, end);
    (server, end)
}

/// Is it a Prometheus 3? Before, native histograms were an experiment.
fn is_current(prometheus: SocketAddr) -> bool {
    let info = request(prometheus, "GET", "/api/v1/status/buildinfo", &[], b"").unwrap().json();
    info["data"]["version"].as_str().unwrap().starts_with('3')
}

#[test]
fn a_prometheus_reads_remotely_what_we_store() {
    let dir = tempfile::tempdir().unwrap();
    let (server, end) = started(dir.path());
    let config = format!(
        "remote_read: [{{url: 'https://{}/api/v1/read', read_recent: true, {}}}]\n",
        server.tls,
        tls_config(&server)
    );
    let (_peer, prometheus) = Peer::prometheus(&config, dir.path());
    let is_current = is_current(prometheus);
    let mut queries = vec![
        "temperature",
        "requests_total{instance='a:1'}",
        "{job='demo',__name__!~'latency|x.*'}",
        "rate(requests_total[1m4s])",
        "resets(requests_total[20m4s])",
        "count_over_time(gone[10m4s])",
        "sum by (job) (temperature) / scalar(count(requests_total))",
    ];
    if is_current {
        queries.extend([
            "latency",
            "histogram_quantile(0.7, rate(latency[2m4s]))",
            "resets(latency[20m4s])",
        ]);
    }
    for query in queries {
        let (query, start) = (encode(query), end - 1700);
        for path in [
            format!("/api/v1/query?query={query}&time={end}"),
            format!("/api/v1/query_range?query={query}&start={start}&end={end}&step=17"),
        ] {
            let theirs = request(prometheus, "GET", &path, &[], b"").unwrap().json();
            let ours = server.get(&path).json();
            assert_eq!(rows(&ours), rows(&theirs), "{path}");
        }
    }
    let range = format!("start={}&end={end}", end - 1700);
    let path = format!("/api/v1/series?match[]={}&{range}", encode("{job=\"demo\"}"));
    let theirs = request(prometheus, "GET", &path, &[], b"").unwrap().json();
    assert_eq!(theirs["data"], server.get(&path).json()["data"]);
    assert_eq!(theirs["data"].as_array().unwrap().len(), 6);
}

#[test]
fn a_prometheus_writes_in_the_newer_protocol() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let version = succeeded(
        "version",
        &Command::new(needed("prometheus")).arg("--version").output().unwrap(),
    );
    if version.starts_with("prometheus, version 2") {
        return eprintln!("SKIPPED: this Prometheus speaks remote write 1.0 only");
    }
    let config = format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs: [{{job_name: prometheus, static_configs: [{{targets: [SELF]}}]}}]\n\
         remote_write:\n\
         - url: https://{}/api/v1/write\n\
         \x20 protobuf_message: io.prometheus.write.v2.Request\n\
         \x20 queue_config: {{batch_send_deadline: 1s}}\n\
         \x20 {}\n",
        server.tls,
        tls_config(&server)
    );
    let (_peer, prometheus) = Peer::prometheus(&config, dir.path());
    wait_until("written samples", || {
        let end = now();
        let rows = server.query("count_over_time(up[10m]) > 3", end);
        rows.as_array().is_some_and(|rows| !rows.is_empty())
    });
    let metrics = server.get("/metrics").text();
    assert!(metrics.contains("metricstor_http_writes_total{protocol=\"2.0\"}"), "{metrics}");
    assert!(!metrics.contains("metricstor_http_writes_total{protocol=\"1.0\"}"), "{metrics}");
    // Everything of one scrape that both have, at a time when both have it.
    let time =
        server.query("max(timestamp(up))", now())[0]["value"][1].as_str().unwrap().to_owned();
    let time = format!("{:.3}", time.parse::<f64>().unwrap());
    let path = format!("/api/v1/query?query={}&time={time}", encode("{job='prometheus'}"));
    let theirs = rows(&request(prometheus, "GET", &path, &[], b"").unwrap().json());
    assert_eq!(rows(&server.get(&path).json()), theirs);
    assert!(theirs.len() > 300, "{}", theirs.len());
    let said =
        server.get("/api/v1/metadata?metric=prometheus_http_request_duration_seconds").json();
    assert_eq!(
        said["data"]["prometheus_http_request_duration_seconds"][0]["type"], "histogram",
        "{said}"
    );
    let log = std::fs::read_to_string(dir.path().join("prometheus.log")).unwrap();
    assert!(!log.contains("level=ERROR") && !log.contains("non-recoverable"), "{log}");
}

#[test]
fn a_prometheus_federates_from_us() {
    let dir = tempfile::tempdir().unwrap();
    let (server, end) = started(dir.path());
    let config = format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs:\n\
         - job_name: federation\n\
         \x20 honor_labels: true\n\
         \x20 scheme: https\n\
         \x20 metrics_path: /federate\n\
         \x20 params: {{'match[]': ['{{job=\"demo\"}}']}}\n\
         \x20 static_configs: [{{targets: ['{}']}}]\n\
         \x20 {}\n",
        server.tls,
        tls_config(&server)
    );
    let (_peer, prometheus) = Peer::prometheus_with("native-histograms", &config, dir.path());
    let path = format!("/api/v1/query?query={}", encode("requests_total{job='demo'}"));
    let federated = || rows(&request(prometheus, "GET", &path, &[], b"").unwrap().json());
    wait_until("federated samples", || federated().len() == 2);
    let values = |rows: BTreeMap<String, String>| -> Vec<(String, String)> {
        let value = |points: String| points.rsplit(',').next().unwrap().to_owned();
        rows.into_iter().map(|(labels, points)| (labels, value(points))).collect()
    };
    assert_eq!(values(federated()), values(rows(&server.get(&path).json())));
    if !is_current(prometheus) {
        return;
    }
    // Native histograms have a form in protobuf only, which it asks for.
    let path = format!("/api/v1/query?query={}&time={}", encode("latency{job='demo'}"), end + 1);
    let ours = server.get(&path).json()["data"]["result"].clone();
    assert!(ours[0]["histogram"][1]["buckets"].is_array(), "{ours}");
    let federated = || request(prometheus, "GET", &path, &[], b"").unwrap().json();
    wait_until("federated histograms", || federated()["data"]["result"] == ours);
}

#[test]
fn promtool_asks_us() {
    let dir = tempfile::tempdir().unwrap();
    let (server, end) = started(dir.path());
    let help = Command::new(needed("promtool")).args(["query", "instant", "--help"]).output();
    let help = help.unwrap();
    let help = String::from_utf8_lossy(&[help.stdout, help.stderr].concat()).into_owned();
    let config = dir.path().join("http.yml");
    std::fs::write(&config, tls_config(&server)).unwrap();
    // Promtool speaks mutual TLS since 2.43.
    let speaks_tls = help.contains("--http.config.file");
    let url = match speaks_tls {
        true => format!("https://{}", server.tls),
        false => format!("http://{}", server.plain),
    };
    let ask = |kind: &str, arguments: &[&str]| {
        let mut command = Command::new(needed("promtool"));
        command.args(["query", kind]);
        if speaks_tls {
            command.arg("--http.config.file").arg(&config);
        }
        succeeded(kind, &command.args(arguments).output().unwrap())
    };
    let time = end.to_string();
    let instant = ask("instant", &["--time", &time, &url, "requests_total{instance=\"a:1\"}"]);
    let expected = "requests_total{instance=\"a:1\", job=\"demo\"} => 49 @[";
    assert!(instant.starts_with(expected), "{instant}");
    let start = (end - 60).to_string();
    let bounds = ["--start", &start, "--end", &time, "--step", "30s"];
    let range = ask("range", &[&bounds[..], &[&url, "sum(requests_total)"]].concat());
    assert_eq!(range.lines().count(), 4, "{range}");
    let series = ask("series", &["--match", "temperature", &url]);
    assert_eq!(series.lines().count(), 2, "{series}");
    assert_eq!(ask("labels", &[&url, "instance"]), "a:1\nb:2\n");
}

#[test]
fn vmalert_evaluates_rules_against_us_and_writes_their_results_back() {
    let Some(vmalert) = optional("vmalert") else { return };
    let dir = tempfile::tempdir().unwrap();
    let (server, _) = started(dir.path());
    let rules = dir.path().join("rules.yml");
    let text = "groups:\n\
                - name: demo\n\
                \x20 interval: 1s\n\
                \x20 rules:\n\
                \x20 - {record: 'job:temperature:avg', expr: avg by (job) (temperature)}\n\
                \x20 - {alert: TooManyRequests, expr: requests_total > 10, labels: {severity: page}}\n";
    std::fs::write(&rules, text).unwrap();
    let pki = server.dir.join("data/pki");
    let mut arguments = vec![
        format!("-rule={}", rules.display()),
        "-notifier.blackhole".to_owned(),
        "-remoteWrite.flushInterval=1s".to_owned(),
        format!("-httpListenAddr={}", support::free_address()),
    ];
    for side in ["datasource", "remoteWrite"] {
        arguments.push(format!("-{side}.url=https://{}", server.tls));
        for (flag, file) in
            [("CAFile", "ca.crt"), ("CertFile", "admin.crt"), ("KeyFile", "admin.key")]
        {
            arguments.push(format!("-{side}.tls{flag}={}", pki.join(file).display()));
        }
    }
    let log = dir.path().join("vmalert.log");
    let _peer = Peer::start(&vmalert, &arguments, &log);
    for query in ["job:temperature:avg", "ALERTS{alertname='TooManyRequests',alertstate='firing'}"]
    {
        let found = || server.query(query, now()).as_array().is_some_and(|rows| !rows.is_empty());
        wait_until(&format!("{query}, see {}", std::fs::read_to_string(&log).unwrap()), found);
    }
}

const PYTHON: &str = r#"
import datetime, sys
from prometheus_api_client import PrometheusConnect
url, end = sys.argv[1:]
end = datetime.datetime.fromtimestamp(int(end))
prometheus = PrometheusConnect(url=url)
assert prometheus.check_prometheus_connection()
assert "temperature" in prometheus.all_metrics()
assert prometheus.get_label_values("instance") == ["a:1", "b:2"]
rows = prometheus.custom_query("requests_total{instance='a:1'}", params={"time": end.timestamp()})
assert rows[0]["value"][1] == "49", rows
start = end - datetime.timedelta(minutes=10)
rows = prometheus.custom_query_range("requests_total", start_time=start, end_time=end, step="60")
assert len(rows) == 2 and len(rows[0]["values"]) == 11, rows
rows = prometheus.get_metric_range_data("temperature", {"job": "demo"}, start_time=start, end_time=end)
assert sum(len(row["values"]) for row in rows) == 80, rows
print("all equal")
"#;

#[test]
fn the_python_client_works() {
    let module = |python: &PathBuf| {
        let mut command = Command::new(python);
        command.args(["-c", "import prometheus_api_client"]).output().unwrap().status.success()
    };
    let Some(python) = optional("python3") else { return };
    if !module(&python) {
        eprintln!("SKIPPED: python3 has no package prometheus-api-client");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (server, end) = started(dir.path());
    let output = Command::new(python)
        .args(["-c", PYTHON, &format!("http://{}", server.plain), &end.to_string()])
        .output()
        .unwrap();
    assert_eq!(succeeded("python", &output), "all equal\n");
}
