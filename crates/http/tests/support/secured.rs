//! A server behind TLS with its authority, and clients of every sort for it.

#![allow(dead_code, clippy::unwrap_used)] // each test file uses its part; a panic is the report

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use metricstor_http::{Config, Security};
use metricstor_pki::{
    ClientAuth, Credentials, LeafRequest, Policy, Rule, Subject, UnixTime, client, expired_client,
};
use rustls::pki_types::ServerName;
use rustls::time_provider::DefaultTimeProvider;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::{NOW, Push, Reply, Server};

pub type Stream = StreamOwned<ClientConnection, TcpStream>;

pub const HEALTH: &str = "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n";
pub const READ: &str = "GET /api/v1/query?query=up HTTP/1.1\r\nHost: x\r\n\r\n";

pub struct Secured {
    pub server: Server,
}

impl Secured {
    pub fn start() -> Self {
        Self::with(Config::default(), Policy::default())
    }

    pub fn with(config: Config, policy: Policy) -> Self {
        Self::with_door(config, policy, ClientAuth::Optional)
    }

    pub fn with_door(config: Config, policy: Policy, client_auth: ClientAuth) -> Self {
        Self { server: Server::secured(config, Security::Tls, client_auth, policy) }
    }

    pub fn issue(&self, subject: &str) -> Credentials {
        self.issue_for(subject, None)
    }

    pub fn issue_for(&self, subject: &str, lifetime: Option<std::time::Duration>) -> Credentials {
        let subject: Subject = subject.parse().unwrap();
        let mut request = LeafRequest::new(subject);
        request.lifetime = lifetime.unwrap_or(request.lifetime);
        let registrar = self.server.pki.registrar();
        registrar.authority().issue_with_new_key(&request, UnixTime::now()).unwrap()
    }

    pub fn client(&self, credentials: &Credentials) -> Arc<ClientConfig> {
        let registrar = self.server.pki.registrar();
        let authority = registrar.authority();
        let (bundle, domain) = (authority.trust_bundle(), authority.trust_domain());
        let mut config =
            client(credentials, bundle, domain, Arc::new(DefaultTimeProvider)).unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }

    /// A client without a certificate that offers this protocol.
    pub fn anonymous(&self, alpn: &[u8]) -> Arc<ClientConfig> {
        let registrar = self.server.pki.registrar();
        let authority = registrar.authority();
        let (bundle, domain) = (authority.trust_bundle(), authority.trust_domain());
        let mut config = expired_client(bundle, domain, Arc::new(DefaultTimeProvider)).unwrap();
        config.alpn_protocols = vec![alpn.to_vec()];
        Arc::new(config)
    }

    pub fn connect(&self, config: Arc<ClientConfig>) -> Stream {
        let name = ServerName::try_from("localhost").unwrap();
        StreamOwned::new(ClientConnection::new(config, name).unwrap(), self.server.connect())
    }

    /// One request on a connection of its own.
    pub fn ask(&self, credentials: &Credentials, request: impl AsRef<[u8]>) -> Reply {
        exchange(&mut self.connect(self.client(credentials)), request)
    }

    pub fn ask_anonymously(&self, request: impl AsRef<[u8]>) -> Reply {
        exchange(&mut self.connect(self.anonymous(b"http/1.1")), request)
    }
}

pub fn exchange(stream: &mut Stream, request: impl AsRef<[u8]>) -> Reply {
    stream.write_all(request.as_ref()).unwrap();
    Reply::read(stream)
}

pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

pub fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// A write of one sample of one series.
pub fn write(labels: &[(&str, &str)]) -> Vec<u8> {
    write_with("", &Push::default().series(labels, &[(NOW, 1.0)]))
}

pub fn write_with(headers: &str, push: &Push) -> Vec<u8> {
    let body = push.body();
    let length = body.len();
    let head = format!(
        "POST /api/v1/write HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), &body].concat()
}

pub fn policy(json: &str) -> Policy {
    let rules: Vec<Rule> = serde_json::from_str(json).unwrap();
    Policy::new(&rules).unwrap()
}

/// TLS 1.3 tells a client only after its own part of the handshake that it was refused.
pub fn is_refused(mut stream: Stream) -> bool {
    stream.write_all(HEALTH.as_bytes()).is_err() || stream.read_exact(&mut [0]).is_err()
}
