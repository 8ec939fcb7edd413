//! The shipped alerts: every expression parses, and asks for metrics that the server really has.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

mod support;
use support::{Server, request, wait_until};

fn expressions() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../nix/alerts/metricstor.yml");
    let text = std::fs::read_to_string(path).unwrap();
    let rules: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    let groups = rules["groups"].as_array().unwrap().iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().unwrap());
    rules.map(|rule| rule["expr"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_alert_parses_and_asks_for_a_metric_that_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    // What is counted by label shows once it has happened.
    let refused = request(server.plain, "POST", "/pki/v1/renew", &[], b"{}").unwrap();
    assert_eq!(refused.status, 400);
    // Plain HTTP where TLS is expected.
    let counted = "metricstor_http_connections_refused_total{reason=\"tls\"}";
    let _closed = request(server.tls, "GET", "/", &[], b"");
    wait_until("a refused connection", || server.metric(counted) > 0.0);
    let page = server.get("/metrics").text();
    let names: BTreeSet<&str> =
        page.lines().filter_map(|line| line.split(['{', ' ']).next()).collect();
    let all = expressions();
    assert!(all.len() >= 8);
    for expression in all {
        let binary = env!("CARGO_BIN_EXE_metricstor");
        let parsed = Command::new(binary).args(["check", "promql", &expression]).output().unwrap();
        assert!(parsed.status.success(), "{}", String::from_utf8_lossy(&parsed.stderr));
        let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let asked: Vec<&str> = words.filter(|word| word.starts_with("metricstor_")).collect();
        assert!(!asked.is_empty(), "{expression}");
        for metric in asked {
            assert!(names.contains(metric), "{expression}: there is no {metric}");
        }
    }
}
