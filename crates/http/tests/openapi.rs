//! The description of the API is true: what it names is there, and what is there is named.

#![allow(clippy::unwrap_used)] // a panic is the failure report

mod support;

use std::collections::BTreeMap;

use support::Server;

const METHODS: [&str; 4] = ["get", "post", "put", "delete"];

/// Paths and methods of the description, by the two ways they are written: `/path:` with methods
/// below, or all in one line of braces.
fn described(yaml: &str) -> BTreeMap<String, Vec<String>> {
    let mut paths: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut current = String::new();
    for line in yaml.lines() {
        if let Some(path) = line.strip_prefix("  /") {
            let (path, rest) = path.split_once(':').unwrap();
            current = format!("/{path}");
            let methods = paths.entry(current.clone()).or_default();
            let inline = METHODS.into_iter().filter(|method| {
                rest.contains(&format!("{{{method}:")) || rest.contains(&format!(", {method}: "))
            });
            methods.extend(inline.map(str::to_owned));
        } else if let Some(key) = line.strip_prefix("    ").filter(|key| !key.starts_with(' ')) {
            let key = key.split(':').next().unwrap();
            if METHODS.contains(&key) {
                paths.get_mut(&current).unwrap().push(key.to_owned());
            }
        }
    }
    paths
}

#[test]
fn everything_described_is_there() {
    let server = Server::start();
    let yaml = server.get("/api/v1/openapi.yaml");
    assert_eq!(yaml.header("content-type"), Some("application/yaml; charset=utf-8"));
    let paths = described(yaml.text());
    assert!(paths.len() > 40, "{paths:?}");
    for (path, methods) in paths {
        assert!(!methods.is_empty(), "{path}");
        let real = path.replace("{name}", "job").replace("{id}", "7").replace("{fingerprint}", "f");
        let reply = server.send(&format!("PATCH {real} HTTP/1.1\r\nHost: x\r\n\r\n"), b"");
        let allowed = reply.header("allow").unwrap_or("GET,POST,PUT,DELETE").to_owned();
        for method in methods.iter().map(|method| method.to_uppercase()) {
            let allows = allowed.split(',').any(|name| name == method);
            assert!(allows, "{method} {path} is described, allowed is {allowed}");
        }
        for method in allowed.split(',').filter(|name| *name != "HEAD") {
            let is_lifecycle = path.starts_with("/-/");
            let described = methods.contains(&method.to_lowercase()) || is_lifecycle;
            assert!(described, "{method} {path} is there and not described");
        }
        assert_ne!(reply.status, 404, "{path} is described");
    }
}

#[test]
fn everything_there_is_described() {
    let yaml = include_str!("../src/status/openapi.yaml");
    let paths = described(yaml);
    let source = include_str!("../src/route.rs");
    let mut routes = 0;
    for rest in source.split(".route(\"").skip(1) {
        let route = rest.split('"').next().unwrap();
        assert!(paths.keys().any(|path| path.ends_with(route)), "{route} is not described");
        routes += 1;
    }
    assert!(routes > 40, "{routes}");
}
