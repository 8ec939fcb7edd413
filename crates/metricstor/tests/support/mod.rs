//! A real server process on a directory of its own, and a client that speaks plain HTTP to it.
#![allow(dead_code)] // each test file uses its part

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

pub mod peer;
pub mod remote_write;

/// How long anything may take on a busy machine before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running `metricstor serve`; killed when dropped.
pub struct Server {
    child: Child,
    pub dir: PathBuf,
    pub tls: SocketAddr,
    pub plain: SocketAddr,
}

impl Server {
    /// Starts on a data directory and waits until it is ready.
    pub fn start(dir: &Path) -> Self {
        Self::start_with(dir, &[])
    }

    pub fn start_with(dir: &Path, environment: &[(&str, &str)]) -> Self {
        Self::start_as(dir, environment, None)
    }

    pub fn start_configured(dir: &Path, config: &Path) -> Self {
        Self::start_as(dir, &[], Some(config))
    }

    fn start_as(dir: &Path, environment: &[(&str, &str)], config: Option<&Path>) -> Self {
        Self::start_at((free_address(), free_address()), dir, environment, config)
    }

    /// Killed as by a power cut, and started again where its clients look for it.
    pub fn restarted(self) -> Self {
        let (addresses, dir) = ((self.tls, self.plain), self.dir.clone());
        self.kill();
        Self::start_at(addresses, &dir, &[], None)
    }

    fn start_at(
        (tls, plain): (SocketAddr, SocketAddr),
        dir: &Path,
        environment: &[(&str, &str)],
        config: Option<&Path>,
    ) -> Self {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(dir.join("server.log"))
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_metricstor"))
            .args(["serve", "--data-dir"])
            .arg(dir.join("data"))
            .args(["--listen", &tls.to_string(), "--loopback-http", &plain.to_string()])
            .args(config.iter().flat_map(|path| [Path::new("--config"), path]))
            .envs(environment.iter().copied())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut server = Self { child, dir: dir.to_owned(), tls, plain };
        let ready = || {
            if let Some(status) = server.child.try_wait().unwrap() {
                panic!("the server ended with {status}:\n{}", log_of(dir));
            }
            request(plain, "GET", "/-/ready", &[], b"").is_ok_and(|r| r.status == 200)
        };
        wait_until("the server to be ready", ready);
        server
    }

    /// As a power cut of the process: no chance to say anything.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// As systemd stops it; returns whether it ended well.
    pub fn terminate(mut self) -> bool {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().success()
    }

    pub fn get(&self, path: &str) -> Response {
        request(self.plain, "GET", path, &[], b"").unwrap()
    }

    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        request(self.plain, "POST", path, headers, body).unwrap()
    }

    /// Pushes an uncompressed remote write message as real senders do.
    pub fn push(&self, message: &[u8]) -> Response {
        let body = snap::raw::Encoder::new().compress_vec(message).unwrap();
        self.post("/api/v1/write", &remote_write::HEADERS, &body)
    }

    /// The `data.result` of an instant query.
    pub fn query(&self, query: &str, time: i64) -> serde_json::Value {
        let path = format!("/api/v1/query?query={}&time={time}", encode(query));
        let response = self.get(&path);
        assert_eq!(response.status, 200, "{query}: {}", response.text());
        response.json()["data"]["result"].clone()
    }

    /// The value of the metric on the page whose name and labels these are, 0 if it is not there.
    pub fn metric(&self, name: &str) -> f64 {
        let page = self.get("/metrics").text();
        let value =
            page.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or(0.0)
    }

    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        log_of(&self.dir)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already ended is as good as ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log_of(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("server.log")).unwrap_or_default()
}

/// An address nobody listens on at this moment.
pub fn free_address() -> SocketAddr {
    // Below the ports that the kernel gives to connections, and each once in this process: nobody
    // takes it before the server does.
    const PORTS: Range<u32> = 20_000..32_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let n = std::process::id().wrapping_mul(61).wrapping_add(TAKEN.fetch_add(1, Relaxed));
        let port = PORTS.start + n % (PORTS.end - PORTS.start);
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port as u16)) {
            return listener.local_addr().unwrap();
        }
    }
}

/// Asks again and again, until the answer is yes or patience ends.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let same = |(n, _): &&(String, String)| n.eq_ignore_ascii_case(name);
        self.headers.iter().find(same).map(|(_, value)| value.as_str())
    }
}

/// One request on a connection of its own.
pub fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Response> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(head.as_bytes())?;
    stream.write_all(b"\r\n")?;
    // A server may refuse by the head alone and close: its answer counts, not the broken pipe.
    let _ = stream.write_all(body);
    read_response(BufReader::new(stream))
}

fn read_response(mut reader: impl BufRead) -> std::io::Result<Response> {
    let invalid = |what: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, what);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|s| s.parse().ok());
    let status = status.ok_or_else(|| invalid("no status line"))?;
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
            None => break,
        }
    }
    let mut body = Vec::new();
    let chunked = |(n, v): &(String, String)| {
        n.eq_ignore_ascii_case("transfer-encoding") && v.eq_ignore_ascii_case("chunked")
    };
    if headers.iter().any(chunked) {
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let size = usize::from_str_radix(line.trim(), 16).map_err(|_| invalid("chunk size"))?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk)?;
            if size == 0 {
                break;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    } else {
        reader.read_to_end(&mut body)?;
    }
    Ok(Response { status, headers, body })
}

/// Percent-encodes a query parameter.
pub fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    text.bytes()
        .map(|b| if plain(b) { (b as char).to_string() } else { format!("%{b:02X}") })
        .collect()
}

/// Seconds since the epoch, now.
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_secs() as i64
}

/// curl with the identity that the server made for its administrator.
pub fn curl(server: &Server, arguments: &[&str], path: &str) -> std::process::Output {
    let pki = server.dir.join("data/pki");
    Command::new("curl")
        .args(["-sS", "--max-time", "30", "--cacert"])
        .arg(pki.join("ca.crt"))
        .arg("--cert")
        .arg(pki.join("admin.crt"))
        .arg("--key")
        .arg(pki.join("admin.key"))
        .args(arguments)
        .arg(format!("https://{}{path}", server.tls))
        .stdin(Stdio::null())
        .output()
        .expect("curl is installed")
}
