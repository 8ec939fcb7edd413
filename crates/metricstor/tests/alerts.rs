//! The shipped alerts: every expression parses, and asks for metrics that the server really has.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

mod support;
use support::Server;

fn rules() -> Vec<serde_json::Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../nix/alerts/metricstor.yml");
    let text = std::fs::read_to_string(path).unwrap();
    let rules: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    let groups = rules["groups"].as_array().unwrap().iter();
    groups.flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

#[test]
fn every_alert_says_what_is_wrong_and_what_to_do() {
    for rule in rules() {
        for annotation in ["summary", "description"] {
            let text = rule["annotations"][annotation].as_str().unwrap_or_default();
            assert!(text.len() > 20, "{} of {}", annotation, rule["alert"]);
        }
    }
}

#[test]
fn every_alert_parses_and_asks_for_a_metric_that_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let page = server.get("/metrics").text();
    // What is counted by label has no samples until it happens.
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names: BTreeSet<&str> = types.filter_map(|line| line.split(' ').next()).collect();
    let all = rules();
    assert!(all.len() >= 19);
    for rule in all {
        let expression = rule["expr"].as_str().unwrap();
        let binary = env!("CARGO_BIN_EXE_metricstor");
        let parsed = Command::new(binary).args(["check", "promql", expression]).output().unwrap();
        assert!(parsed.status.success(), "{}", String::from_utf8_lossy(&parsed.stderr));
        let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let asked: Vec<&str> = words.filter(|word| word.starts_with("metricstor_")).collect();
        assert!(!asked.is_empty(), "{expression}");
        for metric in asked {
            assert!(names.contains(metric), "{expression}: there is no {metric}");
        }
    }
}
