//! A test authority at a fixed time, clients of every sort, and TLS handshakes in memory.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metricstor_pki::{
    Authority, ClientAuth, Credentials, LeafRequest, Revocations, ServerTls, Subject, TlsSettings,
    TrustDomain, UnixTime, certificates_from_pem,
};
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::time_provider::TimeProvider;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion,
};

pub static ONLY_TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
pub static ONLY_TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];

pub const DAY: u64 = 86_400;
pub const START: u64 = 1_800_000_000;

pub fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

pub fn day(n: u64) -> UnixTime {
    at(START + n * DAY)
}

pub fn subject(text: &str) -> Subject {
    text.parse().unwrap()
}

pub fn domain() -> TrustDomain {
    "test.example".parse().unwrap()
}

/// A clock that stands still until it is set.
#[derive(Debug)]
pub struct Clock(AtomicU64);

impl Clock {
    pub fn at(now: UnixTime) -> Self {
        Self(AtomicU64::new(now.as_secs()))
    }

    pub fn set(&self, now: UnixTime) {
        self.0.store(now.as_secs(), Ordering::SeqCst);
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(at(self.0.load(Ordering::SeqCst)))
    }
}

/// An authority in a temporary directory and a server that uses it.
pub struct Site {
    pub dir: tempfile::TempDir,
    pub authority: Authority,
    pub revocations: Arc<Revocations>,
    pub clock: Arc<Clock>,
    pub tls: ServerTls,
}

impl Site {
    pub fn new() -> Self {
        Self::with_tls12(false)
    }

    pub fn with_tls12(allow_tls12: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::open_or_create(dir.path(), &domain(), day(0)).unwrap();
        let revocations = Arc::new(Revocations::default());
        let clock = Arc::new(Clock::at(day(0)));
        let settings = TlsSettings {
            trust_domain: domain(),
            allow_tls12,
            revocations: revocations.clone(),
            time: clock.clone(),
        };
        let server = authority.server("one", &["metrics.example"], day(0)).unwrap();
        let tls = ServerTls::new(settings, &server, authority.trust_bundle()).unwrap();
        Self { dir, authority, revocations, clock, tls }
    }

    pub fn issue(&self, name: &str, now: UnixTime) -> Credentials {
        self.authority.issue_with_new_key(&LeafRequest::new(subject(name)), now).unwrap()
    }

    /// Signs arbitrary parameters with the real issuing key, as a careless authority would.
    pub fn sign_anything(&self, params: CertificateParams) -> Client {
        let (issuer_key, issuer) = issuing(self.dir.path());
        let issuer = Issuer::from_ca_cert_der(&issuer, issuer_key).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &issuer).unwrap().der().clone();
        let chain = [&[leaf], self.authority.issuing_chain()].concat();
        Client { identity: Some((chain, key.serialize_der())), ..self.client(None) }
    }

    pub fn client(&self, credentials: Option<&Credentials>) -> Client {
        Client {
            roots: self.authority.trust_bundle().to_vec(),
            identity: credentials.map(|c| (c.chain().to_vec(), c.key_der().secret_der().to_vec())),
            versions: ONLY_TLS13,
            clock: self.clock.clone(),
            alpn: vec![b"http/1.1".to_vec()],
        }
    }

    pub fn connect(&self, client: &Client, client_auth: ClientAuth) -> Result<Established, String> {
        handshake(client.config(), self.tls.config(client_auth))
    }

    /// The error of a client that must show a certificate, as the client sees it.
    pub fn refusal(&self, client: &Client) -> String {
        match self.connect(client, ClientAuth::Required) {
            Ok(_) => panic!("the client was let in"),
            Err(alert) => alert,
        }
    }
}

fn issuing(dir: &Path) -> (KeyPair, CertificateDer<'static>) {
    let pem = std::fs::read_to_string(dir.join("issuing-1.pem")).unwrap();
    let certificates = pem.find("-----BEGIN CERTIFICATE").unwrap();
    let key = KeyPair::from_pem(&pem[..certificates]).unwrap();
    (key, certificates_from_pem(&pem.as_bytes()[certificates..]).unwrap().remove(0))
}

/// What a client trusts, shows and speaks.
#[derive(Clone)]
pub struct Client {
    pub roots: Vec<CertificateDer<'static>>,
    pub identity: Option<(Vec<CertificateDer<'static>>, Vec<u8>)>,
    pub versions: &'static [&'static SupportedProtocolVersion],
    pub clock: Arc<Clock>,
    pub alpn: Vec<Vec<u8>>,
}

impl Client {
    pub fn config(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        for root in &self.roots {
            roots.add(root.clone()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_details(provider, self.clock.clone())
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            Some((chain, key)) => {
                let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.clone()));
                builder.with_client_auth_cert(chain.clone(), key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = self.alpn.clone();
        config.into()
    }
}

/// Both ends of a connection over which one byte went each way.
pub struct Established {
    pub client: ClientConnection,
    pub server: ServerConnection,
}

impl Established {
    pub fn peer_name(&self) -> Option<String> {
        let leaf = self.server.peer_certificates()?.first()?;
        Some(metricstor_pki::Identity::from_certificate(leaf).unwrap().to_string())
    }
}

/// A complete handshake and one byte each way; an error is what the client was told.
pub fn handshake(
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
) -> Result<Established, String> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(client, name).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    use std::io::{Read, Write};
    client.writer().write_all(b"?").unwrap();
    let mut buffer = Vec::new();
    for _ in 0..10 {
        buffer.clear();
        while client.wants_write() {
            client.write_tls(&mut buffer).unwrap();
        }
        feed(&mut buffer.as_slice(), |b| server.read_tls(b));
        let refused = server.process_new_packets().err();
        let mut byte = [0];
        if server.reader().read(&mut byte).is_ok_and(|n| n == 1) {
            server.writer().write_all(b"!").unwrap();
        }
        buffer.clear();
        while server.wants_write() {
            server.write_tls(&mut buffer).unwrap();
        }
        feed(&mut buffer.as_slice(), |b| client.read_tls(b));
        client.process_new_packets().map_err(|e| e.to_string())?;
        assert!(refused.is_none(), "the server failed without telling the client: {refused:?}");
        if client.reader().read(&mut byte).is_ok_and(|n| n == 1) {
            return Ok(Established { client, server });
        }
    }
    Err("no progress".into())
}

fn feed(bytes: &mut &[u8], mut read: impl FnMut(&mut dyn std::io::Read) -> std::io::Result<usize>) {
    while !bytes.is_empty() {
        read(bytes).unwrap();
    }
}
