//! Commands end quietly when nobody reads on: `metricstor … | head`.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::process::{Command, Stdio};

#[test]
fn a_closed_pipe_is_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("metricstor.yml");
    std::fs::write(&file, "listen: 127.0.0.1:9101\n").unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_metricstor"))
        .arg("check-config")
        .arg(&file)
        .arg("--print")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
