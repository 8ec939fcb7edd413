//! The README's three commands, typed on two hosts (network namespaces): from nothing to a Prometheus
//! that pushes from the other host with mutual TLS, and goes on when its certificate is replaced.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

mod support;
use support::wait_until;

const SERVER: &str = "192.0.2.1";
const SENDER: &str = "192.0.2.2";

/// Two network namespaces with a cable between them.
struct Hosts {
    server: String,
    sender: String,
}

impl Hosts {
    /// `None` on a machine that does not let us have namespaces.
    fn new() -> Option<Self> {
        let id = std::process::id();
        let hosts = Self { server: format!("mst{id}a"), sender: format!("mst{id}b") };
        let ends = [format!("mt{id}a"), format!("mt{id}b")];
        let names = [&hosts.server, &hosts.sender];
        ip(&["netns", "add", names[0]]).then_some(())?;
        assert!(ip(&["netns", "add", names[1]]));
        assert!(ip(&["link", "add", &ends[0], "type", "veth", "peer", "name", &ends[1]]));
        for ((name, end), address) in names.iter().zip(&ends).zip([SERVER, SENDER]) {
            assert!(ip(&["link", "set", end, "netns", name]));
            let address = format!("{address}/24");
            assert!(ip(&["-n", name, "addr", "add", &address, "dev", end]));
            assert!(ip(&["-n", name, "link", "set", end, "up"]));
            assert!(ip(&["-n", name, "link", "set", "lo", "up"]));
        }
        Some(hosts)
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for name in [&self.server, &self.sender] {
            ip(&["netns", "del", name]);
        }
    }
}

fn ip(arguments: &[&str]) -> bool {
    let status = Command::new("ip").args(arguments).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// A shell line on a host, in a folder of its own, with our binary found by its name.
fn line(host: &str, dir: &Path, text: &str) -> Command {
    std::fs::create_dir_all(dir).unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_metricstor")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("ip");
    command.args(["netns", "exec", host, "sh", "-c", &format!("exec {text}")]);
    command.current_dir(dir).env("PATH", path).stdin(Stdio::null());
    command
}

fn spawn(mut command: Command, log: &Path) -> Running {
    let log = std::fs::File::create(log).unwrap();
    Running(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap())
}

fn out(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the README types, with the host it is typed on.
fn readme() -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = std::fs::read_to_string(path).unwrap();
    let typed = text.lines().filter_map(|line| line.split_once("$ metricstor "));
    typed.map(|(host, rest)| (host.to_owned(), format!("metricstor {rest}"))).collect()
}

fn prometheus(host: &str, dir: &Path, enrolled: &str) -> Running {
    let block = enrolled.lines().skip_while(|line| !line.starts_with("remote_write:"));
    let block = block.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    let config = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n  - job_name: self\n    \
         static_configs: [{{targets: ['127.0.0.1:9090']}}]\n{block}\n"
    );
    std::fs::write(dir.join("prometheus.yml"), config).unwrap();
    let text = "prometheus --config.file=prometheus.yml --storage.tsdb.path=prom \
                --web.listen-address=127.0.0.1:9090";
    spawn(line(host, dir, text), &dir.join("prometheus.log"))
}

#[test]
fn three_commands_lead_to_a_prometheus_that_pushes_from_another_host() {
    let Some(hosts) = Hosts::new() else {
        eprintln!("SKIPPED: this machine does not allow network namespaces");
        return;
    };
    let typed = readme();
    let [(on_server, serve), (also, token), (on_sender, enrol)] = &typed[..] else {
        panic!("the README types {typed:?}")
    };
    assert_eq!((on_server, also, &**on_sender), (on_server, on_server, "sender"));
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { dir.path().join(name) };
    let (a, b) = (at("a"), at("b"));

    let server = line(&hosts.server, &a, serve);
    let _server = spawn(server, &at("server.log"));
    let log = || std::fs::read_to_string(at("server.log")).unwrap();
    wait_until("the server to be ready", || log().contains("is ready"));
    let token = out(line(&hosts.server, &a, token).output().unwrap());
    let client = b.join("client");
    let enrol = enrol
        .replace("TOKEN", token.trim())
        .replace("SERVER", SERVER)
        .replace("/etc/metricstor-client", &client.display().to_string())
        + " --name web-1";
    let enrolled_log = at("enrol.log");
    let _enrol = spawn(line(&hosts.sender, &b, &enrol), &enrolled_log);
    let enrolled = || std::fs::read_to_string(&enrolled_log).unwrap();
    wait_until("the certificate", || enrolled().contains("server_name:"));

    let _prometheus = prometheus(&hosts.sender, &b, &enrolled());
    let query = |text: &str| {
        let query = format!("metricstor query '{text}'");
        String::from_utf8(line(&hosts.server, &a, &query).output().unwrap().stdout).unwrap()
    };
    wait_until("samples from the other host", || query("up").contains("127.0.0.1:9090"));

    // Its certificate replaced under it, Prometheus reads the files again and goes on.
    let rotate = "metricstor ca rotate issuing";
    out(line(&hosts.server, &a, rotate).output().unwrap());
    let before = std::fs::read_link(client.join("current")).unwrap();
    let force = format!("metricstor enrol {SERVER}:9101 --output {} --once", client.display());
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    out(line(&hosts.server, &a, "metricstor ca rotate root").output().unwrap());
    out(line(&hosts.sender, &b, &force).output().unwrap());
    assert_ne!(std::fs::read_link(client.join("current")).unwrap(), before);
    let count = || {
        let shown = query("sum(count_over_time(up[1h]))");
        shown.split_whitespace().filter_map(|word| word.parse::<f64>().ok()).fold(0.0, f64::max)
    };
    let had = count();
    wait_until("more samples after the exchange", || count() > had + 2.0);
}
