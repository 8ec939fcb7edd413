//! A client for one request at a time, for the commands that ask a running server.

use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use metricstor_pki::{Credentials, Identity, KeyHash, certificates_from_pem};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::time_provider::DefaultTimeProvider;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::cli::ServerArgs;

/// Answers larger than this are not for a terminal.
const ANSWER_MAX: u64 = 1 << 30;
const TIMEOUT: Duration = Duration::from_secs(150);

/// A server, and who we are to it.
pub struct Client {
    place: Place,
    tls: Option<Arc<ClientConfig>>,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Web { is_tls: bool, host: String, port: u16, prefix: String },
    Unix(PathBuf),
}

pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    /// What the newest root that the server showed is known by.
    pub root: Option<KeyHash>,
}

/// The files that prove who we are.
struct CredentialFiles {
    ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl CredentialFiles {
    /// Those of the administrator of a data directory, unless others are named.
    fn of(args: &ServerArgs) -> Self {
        let pki = args.data_dir.join("pki");
        let or = |given: &Option<PathBuf>, name| given.clone().unwrap_or_else(|| pki.join(name));
        Self {
            ca: or(&args.ca, "ca.crt"),
            certificate: or(&args.cert, "admin.crt"),
            key: or(&args.key, "admin.key"),
        }
    }

    /// The server is known by its identity, whatever address it is called by.
    fn load(&self) -> anyhow::Result<ClientConfig> {
        let read = |path: &Path| {
            fs::read(path).with_context(|| {
                format!(
                    "{}: cannot be read; name the data directory with --data-dir, or the files \
                     with --ca, --cert and --key",
                    path.display()
                )
            })
        };
        let unusable = |path: &Path, fault: String| anyhow!("{}: {fault}", path.display());
        let bundle = certificates_from_pem(&read(&self.ca)?).map_err(|e| unusable(&self.ca, e))?;
        let credentials = Credentials::from_pem(&read(&self.certificate)?, &read(&self.key)?)
            .map_err(|e| unusable(&self.certificate, e))?;
        client_config(&credentials, &bundle)
    }
}

/// What shows these credentials and believes these roots.
pub fn client_config(
    credentials: &Credentials,
    bundle: &[CertificateDer<'static>],
) -> anyhow::Result<ClientConfig> {
    let leaf = credentials.chain().first().context("the certificate chain is empty")?;
    let domain = Identity::from_certificate(leaf)?.trust_domain;
    let time = Arc::new(DefaultTimeProvider);
    Ok(metricstor_pki::client(credentials, bundle, &domain, time)?)
}

impl Client {
    /// The client that the arguments describe.
    pub fn of(args: &ServerArgs) -> anyhow::Result<Self> {
        let tls = match Place::parse(&args.server)? {
            Place::Web { is_tls: true, .. } => Some(CredentialFiles::of(args).load()?),
            _ => None,
        };
        Self::new(&args.server, tls)
    }

    /// `url` is `https://` or `http://`, a host, and maybe a port and a path prefix; or `unix:` and
    /// a path.
    pub fn new(url: &str, tls: Option<ClientConfig>) -> anyhow::Result<Self> {
        let tls = tls.map(|mut config| {
            // An enrolment door keeps its protocol's name; what is spoken is HTTP/1 either way.
            if config.alpn_protocols.iter().any(|name| name == b"h2") {
                config.alpn_protocols = vec![b"http/1.1".to_vec()];
            }
            Arc::new(config)
        });
        Ok(Self { place: Place::parse(url)?, tls })
    }

    pub fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.request("GET", path, "text/plain", "")
    }

    pub fn post_json(&self, path: &str, body: &str) -> anyhow::Result<Answer> {
        self.request("POST", path, "application/json", body)
    }

    /// POSTs a form.
    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> anyhow::Result<Answer> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.request("POST", path, "application/x-www-form-urlencoded", &form)
    }

    pub fn request(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &str,
    ) -> anyhow::Result<Answer> {
        let (prefix, host) = match &self.place {
            Place::Web { prefix, host, .. } => (prefix.as_str(), host.as_str()),
            Place::Unix(_) => ("", "localhost"),
        };
        // HTTP/1.0: the answer comes in one piece and ends with the connection.
        let request = format!(
            "{method} {prefix}{path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {}\r\n\
             Content-Type: {content_type}\r\n\r\n{body}",
            body.len()
        );
        let unreachable =
            || format!("cannot reach {}; is the server running? name it with its URL", self.place);
        let failed = || format!("talking to {} failed", self.place);
        let mut root = None;
        let received = match &self.place {
            Place::Unix(path) => {
                exchange(&mut UnixStream::connect(path).with_context(unreachable)?, &request)
            }
            Place::Web { host, port, .. } => {
                let mut stream = connect(host, *port).with_context(unreachable)?;
                match &self.tls {
                    None => exchange(&mut stream, &request),
                    Some(config) => {
                        let name = ServerName::try_from(host.clone())?;
                        let session = ClientConnection::new(Arc::clone(config), name)?;
                        let mut stream = StreamOwned::new(session, stream);
                        let received = exchange(&mut stream, &request);
                        root = stream.conn.peer_certificates().and_then(metricstor_pki::shown_root);
                        received
                    }
                }
            }
        };
        parse(received.with_context(failed)?, root)
    }
}

impl Answer {
    /// The body, if the server did what it was asked; else what it said.
    pub fn success(self) -> anyhow::Result<Vec<u8>> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        let text = String::from_utf8_lossy(&self.body);
        bail!("the server refused ({}): {}", self.status, text.trim())
    }
}

impl Place {
    fn parse(text: &str) -> anyhow::Result<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Unix(path.into()));
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
        let is_tls = match scheme {
            "https" => true,
            "http" => false,
            _ => bail!("{text:?}: the URL must begin with https://, http:// or unix:"),
        };
        let (place, prefix) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                (host, port.parse().with_context(|| format!("{port:?} is not a port"))?)
            }
            _ => (place, if is_tls { 443 } else { 80 }),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            bail!("{text:?}: the URL names no host");
        }
        Ok(Self::Web { is_tls, host, port, prefix: prefix.trim_end_matches('/').to_owned() })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Web { host, port, .. } => write!(f, "{host}:{port}"),
        }
    }
}

fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::ErrorKind::NotFound.into();
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, Duration::from_secs(5)) {
            Ok(stream) => {
                stream.set_read_timeout(Some(TIMEOUT))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn exchange(stream: &mut (impl Read + Write), request: &str) -> io::Result<Vec<u8>> {
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let mut received = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut received).map_err(|error| match error.kind() {
        // The library's own text is an address of its documentation.
        io::ErrorKind::UnexpectedEof => io::Error::other("it ended before the answer did"),
        _ => error,
    })?;
    Ok(received)
}

fn parse(received: Vec<u8>, root: Option<KeyHash>) -> anyhow::Result<Answer> {
    let no_http = "the answer is not HTTP; is it a TLS address, and the URL says http?";
    let end = received.windows(4).position(|w| w == b"\r\n\r\n").context(no_http)?;
    let head = String::from_utf8_lossy(&received[..end]);
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).context(no_http)?;
    Ok(Answer { status, body: received[end + 4..].to_vec(), root })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_defaults() {
        for (text, expected) in [
            ("https://a.example", (true, "a.example", 443, "")),
            ("http://127.0.0.1:9103/", (false, "127.0.0.1", 9103, "")),
            ("https://[::1]:9101/prefix/", (true, "::1", 9101, "/prefix")),
            ("https://[::1]", (true, "::1", 443, "")),
            ("host:9101", (true, "host", 9101, "")),
        ] {
            let (is_tls, host, port, prefix) = expected;
            let (host, prefix) = (host.to_owned(), prefix.to_owned());
            let expected = Place::Web { is_tls, host, port, prefix };
            assert_eq!(Place::parse(text).unwrap(), expected);
        }
        assert_eq!(Place::parse("unix:/run/x").unwrap(), Place::Unix("/run/x".into()));
        assert!(Place::parse("ftp://x").is_err());
        assert!(Place::parse("http://x:port").is_err());
        assert!(Place::parse("https://").is_err());
    }
}
