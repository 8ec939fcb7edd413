//! Senders that are not Prometheus push with the files that `metricstor enrol` keeps: vmagent, and the
//! OpenTelemetry exporter for Python.
//!
//! METRICSTOR_OTEL_PYTHON names a Python that has `opentelemetry-exporter-prometheus-remote-write`.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

mod support;
use support::peer::{Peer, optional, succeeded};
use support::{Server, free_address, now, wait_until};

/// A server, and in `client/current` the files of an identity that may write.
fn enrolled(dir: &Path) -> (Server, PathBuf) {
    let server = Server::start(dir);
    let url = format!("https://{}", server.tls);
    let mut command = metricstor(&["ca", "token", "create", "--name", "sender", "--server", &url]);
    let made = command.arg("--data-dir").arg(dir.join("data")).output().unwrap();
    let token = String::from_utf8(made.stdout).unwrap();
    let mut command = metricstor(&["enrol", token.trim(), &url, "--name", "sender", "--once"]);
    let status = command.arg("--output").arg(dir.join("client")).status().unwrap();
    assert!(status.success());
    (server, dir.join("client/current"))
}

fn metricstor(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_metricstor"));
    command.args(arguments).stdin(Stdio::null());
    command
}

#[test]
fn vmagent_pushes_and_goes_on_when_the_pair_is_replaced() {
    let Some(vmagent) = optional("vmagent") else { return };
    let dir = tempfile::tempdir().unwrap();
    let (server, files) = enrolled(dir.path());
    let address = free_address();
    let scrape = dir.path().join("scrape.yml");
    let targets = format!(
        "scrape_configs:\n- job_name: self\n  scrape_interval: 1s\n  \
         static_configs:\n  - targets: ['{address}']\n"
    );
    std::fs::write(&scrape, targets).unwrap();
    let flag = |name: &str, value: String| format!("-{name}={value}");
    let file = |name: &str| files.join(name).display().to_string();
    let arguments = [
        flag("httpListenAddr", address.to_string()),
        flag("promscrape.config", scrape.display().to_string()),
        flag("remoteWrite.tmpDataPath", dir.path().join("queue").display().to_string()),
        flag("remoteWrite.url", format!("https://{}/api/v1/write", server.tls)),
        flag("remoteWrite.forcePromProto", "true".to_owned()),
        flag("remoteWrite.tlsCAFile", file("ca.crt")),
        flag("remoteWrite.tlsCertFile", file("client.crt")),
        flag("remoteWrite.tlsKeyFile", file("client.key")),
    ];
    let _vmagent = Peer::start(&vmagent, &arguments, &dir.path().join("vmagent.log"));
    let count = |server: &Server| {
        let found = server.query("sum(count_over_time(up{job='self'}[1h]))", now());
        found[0]["value"][1].as_str().and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0)
    };
    wait_until("vmagent's samples", || count(&server) > 0.0);
    // A new root makes the pair due at once; the old root goes only after that.
    let url = format!("https://{}", server.tls);
    let rotate = |what: &str| {
        let mut command = metricstor(&["ca", "rotate", what, "--server", &url]);
        assert!(command.arg("--data-dir").arg(dir.path().join("data")).status().unwrap().success());
    };
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    rotate("root");
    let mut renew = metricstor(&["enrol", &url, "--once", "--output"]);
    assert!(renew.arg(dir.path().join("client")).status().unwrap().success());
    let had = count(&server);
    wait_until("samples after the exchange", || count(&server) > had + 2.0);
}

const EXPORTER: &str = r#"
import sys
from opentelemetry.exporter.prometheus_remote_write import PrometheusRemoteWriteMetricsExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
url, files = sys.argv[1:]
exporter = PrometheusRemoteWriteMetricsExporter(endpoint=url, tls_config={
    "ca_file": files + "/ca.crt", "cert_file": files + "/client.crt", "key_file": files + "/client.key"})
provider = MeterProvider(metric_readers=[PeriodicExportingMetricReader(exporter)])
provider.get_meter("test").create_counter("pushed").add(42, {"from": "python"})
assert provider.force_flush()
provider.shutdown()
"#;

#[test]
fn the_opentelemetry_exporter_for_python_pushes() {
    let Some(python) = std::env::var_os("METRICSTOR_OTEL_PYTHON") else {
        eprintln!("SKIPPED: METRICSTOR_OTEL_PYTHON names no Python with the exporter");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (server, files) = enrolled(dir.path());
    // Python wants the address in the certificate, as every client that goes by names does.
    let url = format!("https://localhost:{}/api/v1/write", server.tls.port());
    let output = Command::new(python).args(["-c", EXPORTER, &url]).arg(&files).output().unwrap();
    let said = succeeded("the exporter", &output);
    eprintln!("{said}");
    let found = || server.query("{__name__=~'pushed.*'}", now());
    // A sample of this second is found by a query of the next one.
    wait_until("the counter", || found()[0]["value"][1] == "42");
    assert_eq!(found()[0]["metric"]["from"], "python");
}
