//! Commands end quietly when nobody reads on (`metricstor … | head`), and with an error when what they
//! say cannot be kept (`> file` on a full disk).

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};

mod support;
use support::{free_address, request, wait_until};

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

fn full_disk() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

#[test]
fn a_full_disk_behind_the_output_is_an_error_and_no_panic() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_metricstor"));
    let output = command.args(["check", "promql", "up"]).stdout(full_disk()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.starts_with("metricstor: No space left on device"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn a_server_that_cannot_greet_serves() {
    let dir = tempfile::tempdir().unwrap();
    let (tls, plain) = (free_address().to_string(), free_address());
    let mut server = Command::new(env!("CARGO_BIN_EXE_metricstor"))
        .args(["serve", "--listen", &tls, "--loopback-http", &plain.to_string(), "--data-dir"])
        .arg(dir.path().join("data"))
        .stdout(full_disk())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut ended = None;
    wait_until("the server to be ready", || {
        ended = server.try_wait().unwrap();
        ended.is_some() || request(plain, "GET", "/-/ready", &[], b"").is_ok()
    });
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(ended, None);
}

#[test]
fn an_answer_that_is_cut_off_is_not_passed_on_as_json() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _request = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n{\"status\":\"succ").unwrap();
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_metricstor"));
    let output = command.args(["query", "up", "-o", "json", "--server", &url]).output().unwrap();
    server.join().unwrap();
    assert_eq!((output.status.code(), output.stdout), (Some(1), Vec::new()));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cut off"));
}
