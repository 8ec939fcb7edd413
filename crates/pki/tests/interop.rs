//! Other people's implementations accept our certificates and our handshakes, and report our alerts.
//!
//! Skipped, loudly, where `openssl` or `curl` is not installed.

#![allow(clippy::unwrap_used, reason = "a panic is the failure report, in helpers too")]

mod support;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use metricstor_pki::{
    ApprovalAnswer, ApprovalRequest, Authority, ClientAuth, Kind, LeafRequest, Registrar,
    Revocations, ServerTls, TlsSettings, UnixTime, certificates_to_pem,
};
use rustls::time_provider::DefaultTimeProvider;
use support::{domain, subject};

/// The tools look at the real clock, so these tests must as well.
fn now() -> UnixTime {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    UnixTime::since_unix_epoch(Duration::from_secs(since_epoch.as_secs()))
}

fn is_installed(tool: &str) -> bool {
    let found =
        Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_err() {
        eprintln!("SKIPPED: {tool} is not installed, its interoperability is not tested");
    }
    found.is_ok()
}

fn run(dir: &Path, tool: &str, args: &[&str]) -> (bool, String) {
    let Output { status, stdout, stderr } =
        Command::new(tool).args(args).current_dir(dir).stdin(Stdio::null()).output().unwrap();
    let text = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (status.success(), text)
}

fn authority(dir: &Path) -> Authority {
    let authority = Authority::open_or_create(dir, &domain(), now()).unwrap();
    authority.administrator(now()).unwrap();
    authority.server("one", &["metrics.example"], now()).unwrap();
    authority
}

/// Answers `connections` HTTP/1.1 requests with the caller's identity.
fn serve(authority: &Authority, allow_tls12: bool, connections: usize) -> SocketAddr {
    let settings = TlsSettings {
        trust_domain: domain(),
        allow_tls12,
        revocations: Arc::new(Revocations::default()),
        time: Arc::new(DefaultTimeProvider),
    };
    let server = authority.server("one", &["metrics.example"], now()).unwrap();
    let tls = ServerTls::new(settings, &server, authority.trust_bundle()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for _ in 0..connections {
            let (tcp, _) = listener.accept().unwrap();
            let mut config = tls.config(ClientAuth::Required).as_ref().clone();
            // This little server speaks no HTTP/2.
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            let connection = rustls::ServerConnection::new(config.into()).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, tcp);
            // A refused client is an error here; what it saw is checked at its side.
            let _ = answer(&mut stream);
        }
    });
    address
}

fn answer(
    stream: &mut rustls::StreamOwned<rustls::ServerConnection, std::net::TcpStream>,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut chunk = [0; 1024];
    while !request.windows(4).any(|w| w == b"\r\n\r\n") {
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        request.extend_from_slice(&chunk[..count]);
    }
    let leaf = stream.conn.peer_certificates().and_then(|c| c.first()).expect("required");
    let body = metricstor_pki::Identity::from_certificate(leaf).unwrap().to_string();
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all((head + &body).as_bytes())?;
    stream.conn.send_close_notify();
    stream.flush()
}

#[test]
fn openssl_verifies_every_chain_strictly() {
    if !is_installed("openssl") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    authority(dir.path());
    for (leaf, purpose) in
        [("server.crt", "sslserver"), ("server.crt", "sslclient"), ("admin.crt", "sslclient")]
    {
        let args = [
            "verify",
            "-x509_strict",
            "-purpose",
            purpose,
            "-CAfile",
            "ca.crt",
            "-untrusted",
            leaf,
            leaf,
        ];
        let (ok, text) = run(dir.path(), "openssl", &args);
        assert!(ok && text.contains("OK"), "{leaf} as {purpose}: {text}");
    }
    let args = [
        "verify",
        "-purpose",
        "sslserver",
        "-CAfile",
        "ca.crt",
        "-untrusted",
        "admin.crt",
        "admin.crt",
    ];
    assert!(!run(dir.path(), "openssl", &args).0, "a user's certificate must not serve");
    for (host, valid) in [("localhost", true), ("metrics.example", true), ("other.example", false)]
    {
        let args = [
            "verify",
            "-verify_hostname",
            host,
            "-CAfile",
            "ca.crt",
            "-untrusted",
            "server.crt",
            "server.crt",
        ];
        assert_eq!(run(dir.path(), "openssl", &args).0, valid, "{host}");
    }
}

#[test]
fn openssl_reads_what_we_meant_to_write() {
    if !is_installed("openssl") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    authority(dir.path());
    let text = |file: &str| run(dir.path(), "openssl", &["x509", "-noout", "-text", "-in", file]).1;
    let server = text("server.crt");
    for expected in [
        "URI:spiffe://test.example/node/one, DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, DNS:metrics.example",
        "CA:FALSE",
        "TLS Web Client Authentication, TLS Web Server Authentication",
        "Authority Key Identifier",
        "Subject Key Identifier",
        "prime256v1",
    ] {
        assert!(server.contains(expected), "{expected} is not in {server}");
    }
    let root = text("ca.crt");
    assert!(root.contains("CA:TRUE, pathlen:1") && root.contains("Certificate Sign, CRL Sign"));
    let admin = text("admin.crt");
    assert!(admin.contains("URI:spiffe://test.example/user/admin"));
    assert!(!admin.contains("Server Authentication") && !admin.contains("DNS:"));
}

/// During a root exchange openssl must find a way from each side's trust, old, new or both.
#[test]
fn openssl_follows_a_root_exchange() {
    if !is_installed("openssl") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut authority = authority(dir.path());
    let file = |name: &str, pem: String| std::fs::write(dir.path().join(name), pem).unwrap();
    file("old.pem", certificates_to_pem(authority.trust_bundle()));
    let issue = |authority: &Authority, name: &str| {
        let request = LeafRequest::new(subject("agent/a"));
        let leaf = authority.issue_with_new_key(&request, now()).unwrap();
        file(name, certificates_to_pem(leaf.chain()));
    };
    issue(&authority, "before.crt");
    authority.add_root(now()).unwrap();
    issue(&authority, "during.crt");
    file("both.pem", certificates_to_pem(authority.trust_bundle()));
    authority.drop_old_roots().unwrap();
    issue(&authority, "after.crt");
    file("new.pem", certificates_to_pem(authority.trust_bundle()));
    for (leaf, trust, valid) in [
        ("before.crt", "old.pem", true),
        ("before.crt", "both.pem", true),
        ("before.crt", "new.pem", false),
        ("during.crt", "old.pem", true),
        ("during.crt", "both.pem", true),
        ("after.crt", "both.pem", true),
        ("after.crt", "new.pem", true),
    ] {
        let args = ["verify", "-x509_strict", "-CAfile", trust, "-untrusted", leaf, leaf];
        let (ok, text) = run(dir.path(), "openssl", &args);
        assert_eq!(ok, valid, "{leaf} under {trust}: {text}");
    }
}

#[test]
fn openssl_makes_requests_that_are_granted_and_honours_our_revocation_lists() {
    if !is_installed("openssl") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut registrar = Registrar::open(dir.path(), &domain(), now()).unwrap();
    let args = "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout a.key -subj /CN=web-1 -out a.csr";
    let (ok, text) = run(dir.path(), "openssl", &args.split(' ').collect::<Vec<_>>());
    assert!(ok, "{text}");
    let request = ApprovalRequest {
        kind: Kind::Agent,
        name: "web-1".into(),
        csr: std::fs::read_to_string(dir.path().join("a.csr")).unwrap(),
        facts: BTreeMap::new(),
    };
    let pending = registrar.ask_approval(&request, now()).unwrap();
    let ApprovalAnswer::Pending { fingerprint } = pending else { panic!("approved by nobody") };
    registrar.approve(&fingerprint, "user/admin", now()).unwrap();
    let ApprovalAnswer::Approved(answer) = registrar.ask_approval(&request, now()).unwrap() else {
        panic!("approved but pending");
    };
    std::fs::write(dir.path().join("a.crt"), answer.chain).unwrap();
    let verify = |registrar: &Registrar| {
        let lists = registrar.crls(now()).unwrap();
        let names = ["issuing.crl", "root.crl"];
        for (name, list) in names.iter().zip(&lists) {
            std::fs::write(dir.path().join(name), &list.der).unwrap();
        }
        let args = "verify -crl_check_all -CRLfile issuing.crl -CRLfile root.crl -CAfile ca.crt -untrusted a.crt a.crt";
        run(dir.path(), "openssl", &args.split(' ').collect::<Vec<_>>())
    };
    let (ok, text) = verify(&registrar);
    assert!(ok, "{text}");
    registrar.revoke(&subject("agent/web-1"), "stolen", "user/admin", now()).unwrap();
    let (ok, text) = verify(&registrar);
    assert!(!ok && text.contains("certificate revoked"), "{text}");
}

#[test]
fn s_client_connects_and_reports_the_alerts() {
    if !is_installed("openssl") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let address = serve(&authority(dir.path()), false, 3).to_string();
    let connect = |extra: &[&str]| {
        let common = [
            "s_client",
            "-connect",
            &address,
            "-CAfile",
            "ca.crt",
            "-verify_return_error",
            "-ign_eof",
        ];
        let mut child = Command::new("openssl")
            .args(common)
            .args(extra)
            .current_dir(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may have been refused already.
        let _ = child.stdin.take().unwrap().write_all(b"GET / HTTP/1.1\r\n\r\n");
        let Output { stdout, stderr, .. } = child.wait_with_output().unwrap();
        [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat()
    };
    let admin = ["-cert", "admin.crt", "-cert_chain", "admin.crt", "-key", "admin.key"];
    let text = connect(&admin);
    assert!(text.contains("spiffe://test.example/user/admin"), "{text}");
    assert!(text.contains("TLSv1.3") && text.contains("Verify return code: 0"), "{text}");
    assert!(!text.contains("New Session Ticket"), "{text}");
    assert!(connect(&[]).contains("alert certificate required"));
    assert!(connect(&[&admin[..], &["-tls1_2"]].concat()).contains("alert protocol version"));
}

#[test]
fn curl_pushes_with_the_three_files_of_the_first_start() {
    if !is_installed("curl") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let port = serve(&authority(dir.path()), false, 3).port();
    let curl = |host: &str, extra: &[&str]| {
        let url = format!("https://{host}:{port}/");
        run(dir.path(), "curl", &[&["-sS", "--cacert", "ca.crt", &url], extra].concat())
    };
    let admin = ["--cert", "admin.crt", "--key", "admin.key"];
    for host in ["localhost", "127.0.0.1"] {
        let (ok, text) = curl(host, &admin);
        assert!(ok && text == "spiffe://test.example/user/admin", "{text}");
    }
    let (ok, text) = curl("localhost", &[]);
    assert!(!ok && text.contains("certificate required"), "{text}");
}
