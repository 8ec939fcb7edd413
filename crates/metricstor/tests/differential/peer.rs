//! The Prometheus to compare with: its own process, an empty store, remote write on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::{free_address, request, wait_until};

/// Everything experimental that some version understands; others are told so in its log.
const FEATURES: &str = "promql-experimental-functions,promql-duration-expr,native-histograms";

pub struct Prometheus {
    child: Child,
    pub address: SocketAddr,
}

impl Prometheus {
    /// `None` if there is none of version 3.
    pub fn start(dir: &Path) -> Option<Self> {
        let program = find()?;
        let address = free_address();
        let config = dir.join("prometheus.yml");
        std::fs::write(&config, "global: {scrape_interval: 15s}\n").unwrap();
        let log = std::fs::File::create(dir.join("prometheus.log")).unwrap();
        let child = Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("prometheus").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg(format!("--enable-feature={FEATURES}"))
            .arg("--web.enable-remote-write-receiver")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let ready =
            || request(address, "GET", "/-/ready", &[], b"").is_ok_and(|reply| reply.status == 200);
        let peer = Self { child, address };
        wait_until("Prometheus to be ready", ready);
        Some(peer)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Already ended is as good as ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn find() -> Option<PathBuf> {
    let own = std::env::var_os("METRICSTOR_PEERS").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = own.into_iter().chain(std::env::split_paths(&path));
    folders.map(|dir| dir.join("prometheus")).find(|program| is_version_3(program))
}

fn is_version_3(program: &Path) -> bool {
    let version = Command::new(program).arg("--version").output();
    version.is_ok_and(|out| {
        let text = [out.stdout, out.stderr].concat();
        String::from_utf8_lossy(&text).contains("version 3.")
    })
}
