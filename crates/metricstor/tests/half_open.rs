//! Clients that begin a handshake and never end it, that end it too slowly, or that mean no handshake
//! at all: each is closed in time and counted, memory stays bounded, and the others are served.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpSocket;

mod support;
use support::{PATIENCE, Server, curl, wait_until};

/// The beginning of a record with a ClientHello.
const BEGUN: [u8; 3] = [22, 3, 1];
const ATTEMPTS: usize = 10_000;

fn refused(server: &Server, reason: &str) -> f64 {
    let name = "metricstor_http_connections_refused_total";
    server.metric(&format!("{name}{{reason=\"{reason}\"}}"))
}

/// Bytes of memory that the process holds now.
fn memory(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// As many handshakes begun, and left there, from addresses of this machine's loopback network.
fn begin(server: &Server, sources: usize) -> Vec<TcpStream> {
    let limit = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: limit, maximum: limit }).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut begun = Vec::with_capacity(ATTEMPTS);
        for attempt in 0..ATTEMPTS {
            let last = u8::try_from(1 + attempt % sources).unwrap();
            let source = IpAddr::from(Ipv4Addr::new(127, 1, 0, last));
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::new(source, 0)).unwrap();
            let stream = socket.connect(server.tls).await.unwrap().into_std().unwrap();
            stream.set_nonblocking(false).unwrap();
            // The server may have closed it already.
            let _ = (&stream).write_all(&BEGUN);
            begun.push(stream);
        }
        begun
    })
}

/// Says so when dropped, also by a failed assertion.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn ten_thousand_half_open_handshakes_leave_room_for_others() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    assert!(curl(&server, &[], "/-/ready").status.success());
    let before = memory(&server);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let honest = scope.spawn(|| {
            let mut served = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let output = curl(&server, &[], "/-/ready");
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                served.push(begun.elapsed());
            }
            served
        });
        let _at_the_end = Done(&done);
        let from_one = begin(&server, 1);
        assert!(refused(&server, "address_limit") > 1_000.0, "one address has its own limit");
        // A process may have so many open.
        drop(from_one);
        let from_many = begin(&server, 40);
        let held = server.metric("metricstor_http_connections");
        assert!(held < 1_000.0 + 50.0, "{held} connections are held at once");
        assert!(refused(&server, "strangers_limit") > 1_000.0);
        let grown = memory(&server).saturating_sub(before) >> 20;
        assert!(grown < 64, "{grown} MiB more");
        // They are still open at their end, and closed at ours.
        wait_until("all handshakes to be given up", || {
            server.metric("metricstor_http_connections") < 5.0
        });
        done.store(true, Ordering::Relaxed);
        let mut served = honest.join().unwrap();
        served.sort();
        let (number, slowest) = (served.len(), *served.last().unwrap());
        eprintln!(
            "{number} requests, median {:?}, slowest {slowest:?}; {grown} MiB more",
            served[number / 2]
        );
        assert!(number > 10 && slowest < Duration::from_secs(5), "{number}, slowest {slowest:?}");
        drop(from_many);
    });
}

/// Reads until the server closes, whichever way.
fn is_closed(mut stream: TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
    }
    answer
}

#[test]
fn a_handshake_of_a_byte_now_and_then_is_cut_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let limit = [("METRICSTOR_CONNECTIONS__HANDSHAKE_TIMEOUT", "1s")];
    let server = Server::start_with(dir.path(), &limit);
    let stream = TcpStream::connect(server.tls).unwrap();
    let mut drip = stream.try_clone().unwrap();
    let begun = Instant::now();
    let dripping = std::thread::spawn(move || {
        let hello = [&BEGUN[..], &[2, 0], &[1; 512]].concat();
        for byte in hello {
            if drip.write_all(&[byte]).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100)); // the attack's pace
        }
    });
    is_closed(stream);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    wait_until("it to be counted", || refused(&server, "timeout") == 1.0);
    dripping.join().unwrap();
}

#[test]
fn what_is_no_handshake_is_closed_counted_and_harms_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let noise: Vec<u8> =
        (0..4_096_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let attacks: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        &[0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10, 7, 0, 0xc0], // a hello of SSL 2
        &[22, 3, 1, 0xff, 0xff, 1, 0xff, 0xff, 0xff],               // longer than records may be
        &[22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff],                     // a hello of 16 MiB
        &[22, 3, 1, 0, 0],                                          // an empty record
        &noise,
    ];
    for attack in attacks {
        let mut stream = TcpStream::connect(server.tls).unwrap();
        stream.write_all(attack).unwrap();
        // The hello that is only begun would else be waited for.
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let answer = is_closed(stream);
        assert!(answer.len() < 16, "no more than an alert: {answer:?}");
    }
    let all = attacks.len() as f64;
    wait_until("all to be counted", || refused(&server, "tls") == all);
    assert_eq!(server.metric("metricstor_http_panics_total"), 0.0);
    assert!(curl(&server, &[], "/-/ready").status.success());
}
