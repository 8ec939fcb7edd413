//! The architecture as `crates/README.md` draws it, checked: floors, effects, sizes, the top level.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap()
}

fn floors(packages: &[Value]) -> BTreeMap<&str, i64> {
    let floor = |p: &Value| {
        let floor = p["metadata"]["metricstor"]["floor"].as_i64();
        floor.unwrap_or_else(|| panic!("{} names no floor in its Cargo.toml", name(p)))
    };
    packages.iter().map(|p| (name(p), floor(p))).collect()
}

/// (from, to) for every dependency of the product itself; tests may reach anywhere.
fn dependencies(packages: &[Value]) -> Vec<(&str, &str)> {
    let of = |p| -> Vec<(&str, &str)> {
        let all = <Value as std::ops::Index<&str>>::index(p, "dependencies").as_array().unwrap();
        let product = all.iter().filter(|d| d["kind"] != "dev");
        product.map(|d| (name(p), d["name"].as_str().unwrap())).collect()
    };
    packages.iter().flat_map(of).collect()
}

#[test]
fn no_dependency_points_upward() {
    let packages = packages();
    let floors = floors(&packages);
    for (from, to) in dependencies(&packages) {
        if let Some(floor) = floors.get(to) {
            assert!(floor <= &floors[from], "{from} (floor {}) uses {to} ({floor})", floors[from]);
        }
    }
}

/// Which outside crates bring which effect, and the lowest floor that may have it.
#[test]
fn effects_stay_on_their_floor() {
    let packages = packages();
    let floors = floors(&packages);
    let effects: [(i64, &[&str]); 3] = [
        (1, &["rusqlite", "rustix", "tempfile", "rustls", "rcgen", "tracing"]),
        (2, &["tokio", "tokio-rustls", "hyper", "hyper-util"]),
        (3, &["axum", "tower", "tower-http"]),
    ];
    for (from, to) in dependencies(&packages) {
        for (floor, crates) in effects {
            let allowed = floors[from] >= floor || !crates.contains(&to);
            assert!(allowed, "{from} is below floor {floor}, where {to} belongs");
        }
    }
}

#[test]
fn the_top_level_holds_what_it_should() {
    let allowed = [
        "Cargo.toml",
        "Cargo.lock",
        "flake.nix",
        "flake.lock",
        "crates",
        "nix",
        "netboot",
        "vm-tests",
        "README.md",
    ];
    let tracked =
        Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().unwrap();
    for path in String::from_utf8(tracked.stdout).unwrap().split_terminator('\0') {
        let top = path.split('/').next().unwrap();
        assert!(top.starts_with('.') || allowed.contains(&top), "{path} does not belong there");
    }
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_source_file_says_what_it_is_for_and_stays_one_room() {
    let mut found = Vec::new();
    for package in packages() {
        let manifest = PathBuf::from(package["manifest_path"].as_str().unwrap());
        sources(&manifest.parent().unwrap().join("src"), &mut found);
    }
    assert!(found.len() > 50);
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        let shown = path.display();
        let is_test = path.ends_with("tests.rs") || shown.to_string().contains("/tests/");
        assert!(is_test || text.starts_with("//!"), "{shown} has no module documentation");
        let lines = text.lines().count();
        assert!(is_test || lines <= 500, "{shown} has {lines} lines: split it by concept");
    }
}
