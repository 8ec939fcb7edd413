//! Programs of others beside the server: found on PATH or in METRICSTOR_PEERS, stopped when dropped.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use super::{Server, request, wait_until};

pub struct Peer {
    child: Child,
}

impl Peer {
    pub fn start(program: &Path, arguments: &[String], log: &Path) -> Self {
        let out = std::fs::File::create(log).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        Self { child }
    }

    /// A Prometheus with this configuration, once it is ready.
    pub fn prometheus(config: &str, dir: &Path) -> (Self, SocketAddr) {
        Self::prometheus_with("metadata-wal-records,exemplar-storage", config, dir)
    }

    /// The same with these features.
    pub fn prometheus_with(features: &str, config: &str, dir: &Path) -> (Self, SocketAddr) {
        let address = super::free_address();
        let file = dir.join("prometheus.yml");
        std::fs::write(&file, config.replace("SELF", &address.to_string())).unwrap();
        let arguments = [
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", dir.join("prometheus").display()),
            format!("--web.listen-address={address}"),
            "--web.enable-remote-write-receiver".to_owned(),
            format!("--enable-feature={features}"),
        ];
        let peer = Self::start(&needed("prometheus"), &arguments, &dir.join("prometheus.log"));
        let ready = || request(address, "GET", "/-/ready", &[], b"").is_ok_and(|r| r.status == 200);
        wait_until("Prometheus to be ready", ready);
        (peer, address)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Already ended is as good as ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `tls_config` of the administrator, as Prometheus' tools read it.
pub fn tls_config(server: &Server) -> String {
    let pki = server.dir.join("data/pki");
    let pki = pki.display();
    format!(
        "tls_config: {{ca_file: {pki}/ca.crt, cert_file: {pki}/admin.crt, key_file: {pki}/admin.key}}"
    )
}

pub fn find(program: &str) -> Option<PathBuf> {
    let own = std::env::var_os("METRICSTOR_PEERS").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = own.into_iter().chain(std::env::split_paths(&path));
    folders.find_map(|dir| Some(dir.join(program)).filter(|file| file.is_file()))
}

/// A program that every machine with these tests has.
pub fn needed(program: &str) -> PathBuf {
    find(program).unwrap_or_else(|| {
        panic!("{program} is missing: apt-get install prometheus prometheus-node-exporter")
    })
}

/// A program that not every distribution has: without it the test says so and proves nothing.
pub fn optional(program: &str) -> Option<PathBuf> {
    let found = find(program);
    if found.is_none() {
        eprintln!("SKIPPED: {program} is not on this machine (PATH or METRICSTOR_PEERS)");
    }
    found
}

pub fn succeeded(what: &str, output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    let (out, err) = (String::from_utf8_lossy(out), String::from_utf8_lossy(err));
    assert!(output.status.success(), "{what}: {out}{err}");
    out.into_owned()
}
