//! The README's commands, as pasted: the first runs the product in a clean copy of the repository,
//! the second is what CI runs.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

mod support;
use support::wait_until;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The blocks of shell in the README, in order.
fn shell_blocks() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    let blocks = text.split("```sh\n").skip(1);
    blocks.map(|b| b.split("```").next().unwrap().trim().to_owned()).collect()
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Cargo replaces itself by the program, so this ends the server.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_first_command_runs_and_the_lines_after_it_work() {
    let blocks = shell_blocks();
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("metricstor");
    let clone = Command::new("git").args(["clone", "-q"]).arg(root()).arg(&copy).status().unwrap();
    assert!(clone.success());
    // What was compiled already need not be compiled again; the sources are the clone's.
    let target = root().join("target");
    let log = std::fs::File::create(dir.path().join("log")).unwrap();
    let server = Command::new("sh")
        .args(["-c", &format!("exec {}", blocks[0])])
        .current_dir(&copy)
        .env("CARGO_TARGET_DIR", std::env::var_os("CARGO_TARGET_DIR").unwrap_or(target.into()))
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut server = Running(server);
    let log = || std::fs::read_to_string(dir.path().join("log")).unwrap();
    // Compiling takes minutes; patience is for what comes after.
    while !log().contains("Running") {
        assert!(server.0.try_wait().unwrap().is_none(), "{}", log());
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    let run = |command: &str| {
        let output = Command::new("sh").args(["-c", command]).current_dir(&copy).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    wait_until("the README's curl line to be answered", || {
        run(&blocks[1]).contains(r#""status":"success""#)
    });
    let printed = log();
    let pasted = printed.lines().find(|l| l.trim_start().starts_with("curl")).unwrap();
    assert!(run(pasted).contains(r#""status":"success""#), "{printed}");
    assert!(printed.contains("remote_write:"), "{printed}");
}

#[test]
fn ci_runs_the_second_command() {
    let blocks = shell_blocks();
    let ci = std::fs::read_to_string(root().join(".ci/run")).unwrap();
    assert!(ci.lines().any(|line| line == blocks[2]), "{ci}");
}
