//! What outsiders' tools say of the listener: testssl.sh finds nothing above LOW, and whoever checks
//! revocations finds the list that the server's certificate names and can go on.
//!
//! testssl.sh 3.0 is Debian's package of that name; without it the test says so and proves nothing.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

mod support;
use support::peer::{find, succeeded};
use support::{Server, curl};

fn pki(server: &Server, name: &str) -> PathBuf {
    server.dir.join("data/pki").join(name)
}

fn run(program: &str, dir: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(program);
    let output = command.args(arguments).current_dir(dir).stdin(Stdio::null()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// Everything that testssl.sh says, as (what, how bad, what it saw).
fn testssl(program: &Path, server: &Server) -> Vec<(String, String, String)> {
    let report = server.dir.join("testssl.json");
    let output = Command::new(program)
        .args(["--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--add-ca"])
        .arg(pki(server, "ca.crt"))
        .arg("--jsonfile")
        .arg(&report)
        .arg(format!("localhost:{}", server.tls.port()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = fs::read_to_string(&report).unwrap_or_default();
    let findings: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stdout))
    });
    let text = |finding: &serde_json::Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let findings = findings.as_array().unwrap().iter();
    findings.map(|f| (text(f, "id"), text(f, "severity"), text(f, "finding"))).collect()
}

#[test]
fn testssl_finds_nothing_above_low() {
    let Some(program) = find("testssl").or_else(|| find("testssl.sh")) else {
        eprintln!("SKIPPED: testssl.sh is not on this machine (apt-get install testssl.sh)");
        return;
    };
    for setting in ["false", "true"] {
        let dir = tempfile::tempdir().unwrap();
        let required = [("METRICSTOR_TLS__REQUIRE_CERTIFICATE", setting)];
        let server = Server::start_with(dir.path(), &required);
        let found = testssl(&program, &server);
        eprintln!("tls.require_certificate: {setting}");
        for (id, severity, finding) in &found {
            if !matches!(&**severity, "OK" | "INFO") {
                eprintln!("  {severity:8} {id}: {finding}");
            }
        }
        // It saw the certificate and got to the end.
        let has = |name: &str| found.iter().any(|(id, ..)| id.starts_with(name));
        assert!(has("cert_notAfter") && has("scanTime"), "{found:?}");
        assert!(has("TLS1_3") && has("cert_crlDistributionPoints"), "{found:?}");
        let bad = |severity: &str| matches!(severity, "MEDIUM" | "HIGH" | "CRITICAL" | "FATAL");
        let bad: Vec<_> = found.iter().filter(|(_, severity, _)| bad(severity)).collect();
        assert!(bad.is_empty(), "tls.require_certificate: {setting}: {bad:#?}");
        assert_eq!(server.metric("metricstor_http_panics_total"), 0.0);
    }
}

#[test]
fn who_checks_revocations_finds_the_list_that_the_certificate_names() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let shown = run(
        "openssl",
        dir.path(),
        &[
            "x509",
            "-noout",
            "-ext",
            "crlDistributionPoints",
            "-in",
            pki(&server, "server.crt").to_str().unwrap(),
        ],
    );
    let url = shown.1.lines().find_map(|line| line.trim().strip_prefix("URI:")).expect(&shown.1);
    assert!(url.starts_with(&format!("https://{}/pki/v1/crl/", server.tls)), "{url}");
    // Fetched without a certificate, as one that is checking another's has to.
    let ca = pki(&server, "ca.crt");
    let fetch = |url: &str, name: &str| {
        let mut command = Command::new("curl");
        command.args(["-sSf", "--cacert"]).arg(&ca).arg("-o").arg(dir.path().join(name)).arg(url);
        succeeded(url, &command.output().unwrap());
    };
    fetch(url, "issuing.crl");
    fetch(&format!("https://{}/pki/v1/crl", server.tls), "all.pem");
    let (ok, text) = run(
        "openssl",
        dir.path(),
        &["crl", "-inform", "DER", "-in", "issuing.crl", "-noout", "-issuer"],
    );
    assert!(ok && text.contains("metricstor issuing CA"), "{text}");

    // OpenSSL, told to look at lists and to have one for every issuer.
    let ca = ca.to_str().unwrap();
    let leaf = pki(&server, "server.crt");
    let leaf = leaf.to_str().unwrap();
    let verify = ["verify", "-x509_strict", "-crl_check_all", "-CRLfile", "all.pem", "-CAfile", ca];
    let (ok, text) =
        run("openssl", dir.path(), &[&verify[..], &["-untrusted", leaf, leaf]].concat());
    assert!(ok, "{text}");
    // A connection of curl's that does the same, while the server is asked by an administrator.
    let output =
        curl(&server, &["--crlfile", dir.path().join("all.pem").to_str().unwrap()], "/-/ready");
    succeeded("curl with the lists", &output);
    let python = "import ssl,socket,sys\n\
        host,port,ca,lists=sys.argv[1:]\n\
        c=ssl.create_default_context(cafile=ca)\n\
        c.load_verify_locations(lists)\n\
        c.verify_flags|=ssl.VERIFY_CRL_CHECK_CHAIN\n\
        with socket.create_connection((host,int(port))) as s, c.wrap_socket(s,server_hostname=host) as t: print(t.version())";
    let (host, port) = (server.tls.ip().to_string(), server.tls.port().to_string());
    let (ok, text) = run("python3", dir.path(), &["-c", python, &host, &port, ca, "all.pem"]);
    assert!(ok && text.contains("TLSv1.3"), "{text}");
}

#[test]
fn the_address_of_the_lists_is_a_setting() {
    let dir = tempfile::tempdir().unwrap();
    let text = |setting: &str| {
        let server = Server::start_with(dir.path(), &[("METRICSTOR_TLS__CRL_URL", setting)]);
        let leaf = pki(&server, "server.crt");
        run("openssl", dir.path(), &["x509", "-noout", "-text", "-in", leaf.to_str().unwrap()]).1
    };
    assert!(text("http://crl.example/metrics/").contains("URI:http://crl.example/metrics/"));
    assert!(!text("''").contains("CRL Distribution Points"), "empty: none");
}
