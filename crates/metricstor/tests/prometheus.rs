//! A real Prometheus scrapes a real node_exporter, writes to us over mutual TLS for a minute, and
//! then both answer the same queries over the same data: equal label sets, values within 1e-9.
//!
//! The binaries are found on PATH (Debian: prometheus, prometheus-node-exporter) or in
//! METRICSTOR_PEERS.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

mod support;
use support::peer::{Peer, needed, tls_config};
use support::{Server, encode, free_address, now, request, wait_until};

/// How long Prometheus scrapes and writes before the answers are compared.
const SCRAPING: Duration = Duration::from_secs(65);

const QUERIES: [&str; 30] = [
    "up",
    "node_load1",
    "{job='node',__name__=~'node_memory_(MemFree|Cached)_bytes'}",
    "node_cpu_seconds_total",
    "rate(node_cpu_seconds_total[30s])",
    "irate(node_cpu_seconds_total{mode!='idle'}[30s])",
    "increase(node_context_switches_total[45s])",
    "sum by (mode) (rate(node_cpu_seconds_total[30s]))",
    "sum without (cpu) (node_cpu_seconds_total)",
    "avg(node_load1)",
    "max by (device) (node_disk_io_time_seconds_total)",
    "min(node_memory_MemFree_bytes)",
    "count({job='node'})",
    "stddev(node_cpu_seconds_total)",
    "topk(3, node_cpu_seconds_total)",
    "quantile(0.9, node_cpu_seconds_total)",
    "group by (mode) (node_cpu_seconds_total)",
    "avg_over_time(node_load1[30s])",
    "max_over_time(node_memory_MemFree_bytes[30s])",
    "count_over_time(up[30s])",
    "quantile_over_time(0.5, node_memory_MemFree_bytes[30s])",
    "stddev_over_time(node_memory_MemFree_bytes[30s])",
    "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
    "node_cpu_seconds_total > 1",
    "node_load1 * on (instance) group_left (release) node_uname_info",
    "node_load1 and node_load5",
    "up or vector(1)",
    "node_memory_MemFree_bytes offset 10s",
    "histogram_quantile(0.9, rate(prometheus_http_request_duration_seconds_bucket[30s]))",
    "max_over_time(sum(rate(node_cpu_seconds_total[15s] offset OFFSET))[30s:5s])",
];

/// Every evaluation time and window edge has this fraction of a second, where no sample lies:
/// Prometheus 2 counts a sample on a window's left edge, Prometheus 3 and we do not.
fn fraction_without_samples(prometheus: SocketAddr, end: i64) -> i64 {
    let scraped = answer(prometheus, &format!("/api/v1/query?query=timestamp(up)&time={end}"));
    let taken: Vec<i64> =
        scraped.values().map(|s| (s[0].1 * 1000.0).round() as i64 % 1000).collect();
    let free = |candidate: &i64| taken.iter().all(|t| (t - candidate).abs() > 20);
    [250, 500, 750].into_iter().find(free).expect("two targets leave one of three fractions free")
}

/// Starts node_exporter and a Prometheus that writes to the server.
fn start_peers(server: &Server, dir: &Path) -> (Vec<Peer>, SocketAddr) {
    let exporter = free_address();
    let config = format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs:\n\
         - {{job_name: node, static_configs: [{{targets: ['{exporter}']}}]}}\n\
         - {{job_name: prometheus, static_configs: [{{targets: [SELF]}}]}}\n\
         remote_write:\n\
         - url: https://{}/api/v1/write\n\
         \x20 {}\n\
         \x20 queue_config: {{batch_send_deadline: 1s, min_shards: 1, max_shards: 1}}\n",
        server.tls,
        tls_config(server),
    );
    let node = Peer::start(
        &needed("prometheus-node-exporter"),
        &[format!("--web.listen-address={exporter}")],
        &dir.join("exporter.log"),
    );
    let (prom, prometheus) = Peer::prometheus(&config, dir);
    (vec![node, prom], prometheus)
}

type Answer = BTreeMap<String, Vec<(f64, f64)>>;

/// Series by their labels, samples as numbers.
fn answer(address: SocketAddr, path: &str) -> Answer {
    let response = request(address, "GET", path, &[], b"").unwrap();
    assert_eq!(response.status, 200, "{address}{path}: {}", response.text());
    let body = response.json();
    let number = |value: &serde_json::Value| -> f64 {
        value.as_str().unwrap().replace("Inf", "inf").parse().unwrap()
    };
    let sample = |s: &serde_json::Value| (s[0].as_f64().unwrap(), number(&s[1]));
    let series = |s: &serde_json::Value| {
        let samples = match s.get("values") {
            Some(values) => values.as_array().unwrap().iter().map(sample).collect(),
            None => vec![sample(&s["value"])],
        };
        (s["metric"].to_string(), samples)
    };
    body["data"]["result"].as_array().unwrap().iter().map(series).collect()
}

fn assert_equal(query: &str, ours: &Answer, theirs: &Answer) {
    let names = |a: &Answer| a.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(ours), names(theirs), "{query}: other series");
    for (labels, expected) in theirs {
        let found = &ours[labels];
        assert_eq!(found.len(), expected.len(), "{query} {labels}: other number of points");
        for ((t, v), (expected_t, expected_v)) in found.iter().zip(expected) {
            let close = v == expected_v
                || v.is_nan() && expected_v.is_nan()
                || (v - expected_v).abs() <= 1e-9 * v.abs().max(expected_v.abs());
            assert!(t == expected_t && close, "{query} {labels} at {t}: {v} is not {expected_v}");
        }
    }
}

#[test]
fn a_real_prometheus_gets_its_own_answers_back() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let (_peers, prometheus) = start_peers(&server, dir.path());
    let begun = Instant::now();
    let arrived = |time: i64| {
        let newest = server.query("min(timestamp(up))", now());
        let newest = newest[0]["value"][1].as_str().and_then(|v| v.parse::<f64>().ok());
        newest.is_some_and(|t| t >= time as f64)
    };
    wait_until("the first samples to arrive", || arrived(0));
    // A minute of scraping is part of the proof; meanwhile, new samples must keep arriving.
    while begun.elapsed() < SCRAPING {
        let time = now();
        wait_until("new samples to arrive", || arrived(time));
    }
    let end = now();
    wait_until("everything up to the end to arrive", || arrived(end + 1));

    let mut series = 0;
    let fraction = fraction_without_samples(prometheus, end);
    for query in QUERIES {
        let query = &query.replace("OFFSET", &format!("{fraction}ms"));
        let text = encode(query);
        let instant = format!("/api/v1/query?query={text}&time={end}.{fraction}");
        let start = end - 50;
        let range = format!(
            "/api/v1/query_range?query={text}&start={start}.{fraction}&end={end}.{fraction}&step=5"
        );
        for path in [instant, range] {
            let (ours, theirs) = (answer(server.plain, &path), answer(prometheus, &path));
            assert_equal(query, &ours, &theirs);
            series += theirs.len();
        }
    }
    println!("{} queries, instant and range, {series} series: all equal", QUERIES.len());
    assert!(series > 100, "the comparison must have had something to compare: {series}");
}
