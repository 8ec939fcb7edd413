//! What a supervisor sees: READY when requests are answered, a fed watchdog, STOPPING, an exit in order.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::os::unix::net::UnixDatagram;

mod support;
use support::{PATIENCE, Server};

/// Receives until `wanted` comes; what came before is returned.
fn receive_until(socket: &UnixDatagram, wanted: &str) -> Vec<String> {
    let mut before = Vec::new();
    loop {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        let message = String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned();
        if message == wanted {
            return before;
        }
        before.push(message);
    }
}

#[test]
fn systemd_hears_of_ready_alive_and_stopping() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "20000")];
    let server = Server::start_with(dir.path(), &environment);
    assert!(receive_until(&socket, "READY=1").is_empty());
    receive_until(&socket, "WATCHDOG=1");
    assert!(server.terminate(), "SIGTERM ends the process in order");
    receive_until(&socket, "STOPPING=1");
}

#[test]
fn sigterm_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let time = support::now() - 60;
    let message = support::remote_write::Message::new()
        .series(&[("__name__", "kept")], &[(time * 1000, 42.0)]);
    let server = Server::start(dir.path());
    assert_eq!(server.push(&message.bytes).status, 204);
    assert!(server.terminate());
    let server = Server::start(dir.path());
    assert_eq!(server.query("kept", time)[0]["value"][1], "42");
}
