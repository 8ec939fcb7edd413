//! A real server on a loopback socket over a store in a temporary folder, and a client that shows
//! every byte.

#![allow(dead_code, clippy::unwrap_used)] // each test file uses its part; a panic is the report

pub mod secured;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use metricstor_http::{
    About, App, Config, Listener, Parts, Registry, Security, ServingFiles, runtime, serve,
};
use metricstor_pki::{ClientAuth, Kind, Policy, Provisioner, ProvisionerSettings};
use metricstor_promql::{Engine, EngineOptions};
use metricstor_storage::files::Disk;
use metricstor_storage::{Store, StoreConfig};
use rustls::time_provider::DefaultTimeProvider;
use tokio::sync::oneshot;

/// The server's clock stands still: 2025-01-01T01:00:00Z.
pub const NOW: i64 = 1_735_693_200_000;

pub struct Server {
    pub address: SocketAddr,
    pub pki: Arc<Provisioner>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _dir: tempfile::TempDir,
}

impl Server {
    pub fn start() -> Self {
        Self::with(Config::default())
    }

    /// With a plain loopback listener.
    pub fn with(config: Config) -> Self {
        Self::secured(config, Security::Loopback, ClientAuth::Optional, Policy::default())
    }

    pub fn secured(
        config: Config,
        security: Security,
        client_auth: ClientAuth,
        policy: Policy,
    ) -> Self {
        let engine = Engine::new(EngineOptions::default()).unwrap();
        Self::built(config, security, client_auth, policy, engine)
    }

    /// With a plain loopback listener and an engine of its own.
    pub fn evaluating(options: EngineOptions) -> Self {
        let (security, auth) = (Security::Loopback, ClientAuth::Optional);
        let engine = Engine::new(options).unwrap();
        Self::built(Config::default(), security, auth, Policy::default(), engine)
    }

    fn built(
        config: Config,
        security: Security,
        client_auth: ClientAuth,
        policy: Policy,
        engine: Engine,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = ProvisionerSettings {
            dir: dir.path().join("pki"),
            revoked_copy: dir.path().join("revoked.json"),
            trust_domain: "test".parse().unwrap(),
            name: "server".to_owned(),
            host_names: Vec::new(),
            certificate_life: Kind::Node.lifetime(),
            crl_url: Some("https://crl.example/lists".into()),
            allow_tls12: false,
            client_auth,
            time: Arc::new(DefaultTimeProvider),
        };
        let pki = Arc::new(Provisioner::open(settings, policy).unwrap());
        let clock: metricstor_storage::Clock = Arc::new(|| NOW);
        let store = StoreConfig::new(dir.path().join("data"));
        let (store, _) =
            Store::open(store, Arc::new(ServingFiles(Disk)), Arc::clone(&clock)).unwrap();
        let store = Arc::new(store);
        let about = About { version: "1.2.3", ..About::default() };
        let app = App::new(Parts {
            store: Arc::clone(&store),
            pki: Arc::clone(&pki),
            engine,
            registry: Arc::new(Registry::default()),
            clock,
            about,
            config,
        });
        let runtime = runtime().unwrap();
        let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let listener = runtime.block_on(Listener::bind(address, security)).unwrap();
        let address = listener.address().unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime.block_on(serve(app, vec![listener], async { stopped.await.unwrap_or(()) }));
            store.close();
        });
        Self { address, pki, stop: Some(stop), thread: Some(thread), _dir: dir }
    }

    pub fn get(&self, path: &str) -> Reply {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"), b"")
    }

    /// A form, as Grafana sends queries.
    pub fn post(&self, path: &str, form: &str) -> Reply {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n",
            form.len()
        );
        self.send(&head, form.as_bytes())
    }

    /// A write request as Prometheus sends it.
    pub fn push(&self, body: &[u8]) -> Reply {
        let headers = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n";
        self.push_with(headers, body)
    }

    pub fn push_with(&self, headers: &str, body: &[u8]) -> Reply {
        let length = body.len();
        let head = format!(
            "POST /api/v1/write HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\n\r\n"
        );
        self.send(&head, body)
    }

    /// One request on a connection of its own.
    pub fn send(&self, head: &str, body: &[u8]) -> Reply {
        let mut stream = self.connect();
        stream.write_all(head.as_bytes()).unwrap();
        // A server that refuses a body may close before it has read it.
        let _ = stream.write_all(body);
        Reply::read(&mut stream)
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }

    /// Asks the server to stop; [`Server::wait`] tells when it has.
    pub fn begin_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    pub fn wait(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server must not panic");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.begin_stop();
        if !std::thread::panicking() {
            self.wait();
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    /// Reads one answer: by its length, in chunks, or none.
    pub fn read(stream: &mut impl Read) -> Self {
        let mut received = Vec::new();
        let mut one = [0];
        while !received.ends_with(b"\r\n\r\n") {
            match stream.read(&mut one) {
                Ok(1) => received.push(one[0]),
                _ => return Self { status: 0, head: String::new(), body: received },
            }
        }
        let head = String::from_utf8(received).unwrap();
        let status = head[9..12].parse().unwrap();
        let mut reply = Self { status, head, body: Vec::new() };
        if let Some(length) = reply.header("content-length") {
            reply.body.resize(length.parse().unwrap(), 0);
            stream.read_exact(&mut reply.body).unwrap();
        } else if reply.header("transfer-encoding") == Some("chunked") {
            reply.body = read_chunks(stream);
        }
        reply
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

fn read_chunks(stream: &mut impl Read) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let mut line = Vec::new();
        let mut one = [0];
        while !line.ends_with(b"\r\n") {
            stream.read_exact(&mut one).unwrap();
            line.push(one[0]);
        }
        let size = std::str::from_utf8(&line).unwrap().trim_end();
        let size = usize::from_str_radix(size, 16).unwrap();
        let mut chunk = vec![0; size + 2];
        stream.read_exact(&mut chunk).unwrap();
        body.extend_from_slice(&chunk[..size]);
        if size == 0 {
            return body;
        }
    }
}

/// Percent-encoding of everything that is not plainly a letter or a digit.
pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(
            |b| {
                if b.is_ascii_alphanumeric() {
                    (b as char).to_string()
                } else {
                    format!("%{b:02X}")
                }
            },
        )
        .collect()
}

/// Writes remote write 1.0 by hand, right and wrong.
#[derive(Default)]
pub struct Push {
    message: Vec<u8>,
}

impl Push {
    pub fn series(mut self, labels: &[(&str, &str)], samples: &[(i64, f64)]) -> Self {
        let mut series = Vec::new();
        for (name, value) in labels {
            let mut label = Vec::new();
            field(&mut label, 1, name.as_bytes());
            field(&mut label, 2, value.as_bytes());
            field(&mut series, 1, &label);
        }
        for (timestamp, value) in samples {
            let mut sample = vec![0x09];
            sample.extend_from_slice(&value.to_le_bytes());
            sample.push(0x10);
            varint(&mut sample, *timestamp as u64);
            field(&mut series, 2, &sample);
        }
        field(&mut self.message, 1, &series);
        self
    }

    /// A counter with help and unit.
    pub fn metadata(mut self, metric: &str, help: &str, unit: &str) -> Self {
        let mut metadata = vec![0x08, 1];
        field(&mut metadata, 2, metric.as_bytes());
        field(&mut metadata, 4, help.as_bytes());
        field(&mut metadata, 5, unit.as_bytes());
        field(&mut self.message, 3, &metadata);
        self
    }

    /// Uncompressed.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    pub fn body(&self) -> Vec<u8> {
        snappy(&self.message)
    }
}

pub fn snappy(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(message).unwrap()
}

fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}
