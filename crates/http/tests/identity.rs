//! Who may do what, over real mutual TLS.

#![allow(clippy::unwrap_used)] // a panic is the failure report

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use metricstor_http::{Config, Security};
use metricstor_pki::{
    Authority, Credentials, Kind, LeafRequest, Revocations, ServerTls, Subject, TlsSettings,
    TrustDomain, UnixTime, client,
};
use rustls::pki_types::ServerName;
use rustls::time_provider::DefaultTimeProvider;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use support::{NOW, Push, Reply, Server};

/// A server with its authority, to make clients for it.
struct Secured {
    server: Server,
    authority: Authority,
    revocations: Arc<Revocations>,
}

fn secured(config: Config) -> Secured {
    let mut parts = None;
    let server = Server::secured(config, |dir| {
        let (authority, tls, revocations) = authority(dir);
        let security = Security::Tls { tls: Arc::new(tls), revocations: Arc::clone(&revocations) };
        parts = Some((authority, revocations));
        security
    });
    let (authority, revocations) = parts.unwrap();
    Secured { server, authority, revocations }
}

fn authority(dir: &Path) -> (Authority, ServerTls, Arc<Revocations>) {
    let trust_domain: TrustDomain = "test".parse().unwrap();
    let now = UnixTime::now();
    let authority = Authority::open_or_create(&dir.join("pki"), &trust_domain, now).unwrap();
    let credentials = authority.server("server", &[], now).unwrap();
    let revocations = Arc::new(Revocations::default());
    let settings = TlsSettings {
        trust_domain,
        allow_tls12: false,
        revocations: Arc::clone(&revocations),
        time: Arc::new(DefaultTimeProvider),
    };
    let tls = ServerTls::new(settings, &credentials, authority.trust_bundle()).unwrap();
    (authority, tls, revocations)
}

impl Secured {
    fn issue(&self, kind: Kind, name: &str) -> Credentials {
        let request = LeafRequest::new(Subject::new(kind, name).unwrap());
        self.authority.issue_with_new_key(&request, UnixTime::now()).unwrap()
    }

    fn client(&self, credentials: &Credentials) -> Arc<ClientConfig> {
        let (bundle, domain) = (self.authority.trust_bundle(), self.authority.trust_domain());
        let mut config =
            client(credentials, bundle, domain, Arc::new(DefaultTimeProvider)).unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }

    fn connect(&self, config: Arc<ClientConfig>) -> StreamOwned<ClientConnection, TcpStream> {
        let name = ServerName::try_from("localhost").unwrap();
        StreamOwned::new(ClientConnection::new(config, name).unwrap(), self.server.connect())
    }

    fn send(&self, credentials: &Credentials, request: &[u8]) -> u16 {
        let mut stream = self.connect(self.client(credentials));
        stream.write_all(request).unwrap();
        Reply::read(&mut stream).status
    }
}

fn write_request() -> Vec<u8> {
    let body = Push::default().series(&[("__name__", "up")], &[(NOW, 1.0)]).body();
    let head =
        format!("POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), &body].concat()
}

const READ: &[u8] = b"GET /api/v1/query?query=up HTTP/1.1\r\nHost: x\r\n\r\n";
const HEALTH: &[u8] = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n";
const ADMINISTER: &[u8] =
    b"POST /api/v1/admin/storage/compact HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";

#[test]
fn a_kind_of_identity_may_do_what_it_is_for() {
    let secured = secured(Config::default());
    for (kind, health, write, read, administer) in [
        (Kind::User, 200, 204, 200, 204),
        (Kind::Service, 200, 204, 200, 403),
        (Kind::Agent, 200, 204, 403, 403),
        (Kind::Node, 200, 403, 403, 403),
    ] {
        let credentials = secured.issue(kind, "somebody");
        for (what, request, expected) in [
            ("health", HEALTH, health),
            ("write", &write_request(), write),
            ("read", READ, read),
            ("administer", ADMINISTER, administer),
        ] {
            assert_eq!(secured.send(&credentials, request), expected, "{kind}: {what}");
        }
    }
}

#[test]
fn a_revoked_identity_is_refused_on_its_living_connection_and_at_the_door() {
    let secured = secured(Config::default());
    let credentials = secured.issue(Kind::User, "leaver");
    let config = secured.client(&credentials);
    let mut stream = secured.connect(Arc::clone(&config));
    stream.write_all(READ).unwrap();
    assert_eq!(Reply::read(&mut stream).status, 200);

    let subject = Subject::new(Kind::User, "leaver").unwrap();
    secured.revocations.publish([(subject, UnixTime::now())].into());
    stream.write_all(READ).unwrap();
    assert_eq!(Reply::read(&mut stream).status, 403);
    assert!(is_refused(secured.connect(config)));
}

#[test]
fn strangers_and_plain_http_are_turned_away() {
    let secured = secured(Config::default());
    let other = tempfile::tempdir().unwrap();
    let (foreign, ..) = authority(other.path());
    let request = LeafRequest::new(Subject::new(Kind::User, "admin").unwrap());
    let credentials = foreign.issue_with_new_key(&request, UnixTime::now()).unwrap();
    assert!(is_refused(secured.connect(secured.client(&credentials))), "another authority");

    let mut plain = secured.server.connect();
    plain.write_all(HEALTH).unwrap();
    let mut answer = Vec::new();
    // The alert may be followed by a reset.
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "plain HTTP on the TLS port");

    let admin = secured.issue(Kind::User, "admin");
    assert_eq!(secured.send(&admin, HEALTH), 200, "the server goes on");
}

#[test]
fn a_handshake_that_does_not_end_is_cut() {
    let mut config = Config::default();
    config.connections.handshake_timeout = Duration::from_millis(50);
    let secured = secured(config);
    let mut silent = secured.server.connect();
    let mut nothing = Vec::new();
    let _ = silent.read_to_end(&mut nothing);
    assert!(nothing.is_empty());
}

/// TLS 1.3 tells a client only after its own part of the handshake that it was refused.
fn is_refused(mut stream: StreamOwned<ClientConnection, TcpStream>) -> bool {
    stream.write_all(HEALTH).is_err() || stream.read_exact(&mut [0]).is_err()
}
