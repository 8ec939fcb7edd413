//! The shipped alerts: every expression parses, and asks for metrics that the server really has.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

mod support;
use support::Server;

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
    let page = server.get("/metrics").text();
    // What is counted by label has no samples until it happens.
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names: BTreeSet<&str> = types.filter_map(|line| line.split(' ').next()).collect();
    let all = expressions();
    assert!(all.len() >= 18);
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
