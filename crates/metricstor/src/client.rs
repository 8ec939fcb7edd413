//! A client for one request at a time, for the commands that ask a running server.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Answers larger than this are not for a terminal.
const ANSWER_MAX: u64 = 1 << 30;
const TIMEOUT: Duration = Duration::from_secs(150);

/// A server, and who we are to it.
pub struct Client {
    url: Url,
    tls: Option<Arc<ClientConfig>>,
}

struct Url {
    is_tls: bool,
    host: String,
    port: u16,
    prefix: String,
}

pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// The files that prove who we are.
pub struct CredentialFiles {
    pub ca: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl CredentialFiles {
    /// Those of the administrator of a data directory.
    pub fn admin(data_dir: &Path) -> Self {
        let pki = data_dir.join("pki");
        Self {
            ca: pki.join("ca.crt"),
            certificate: pki.join("admin.crt"),
            key: pki.join("admin.key"),
        }
    }

    fn load(&self) -> anyhow::Result<ClientConfig> {
        let unusable = |path: &Path| {
            format!(
                "{}: cannot be used; name the files with --ca, --cert and --key",
                path.display()
            )
        };
        let certificates = |path: &Path| -> anyhow::Result<Vec<CertificateDer<'static>>> {
            let bytes = fs::read(path).with_context(|| unusable(path))?;
            let all = CertificateDer::pem_slice_iter(&bytes).collect::<Result<_, _>>();
            all.with_context(|| unusable(path))
        };
        let mut roots = RootCertStore::empty();
        for root in certificates(&self.ca)? {
            roots.add(root).with_context(|| unusable(&self.ca))?;
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).with_context(|| unusable(&self.key))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Ok(ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_client_auth_cert(certificates(&self.certificate)?, key)?)
    }
}

impl Client {
    /// `url` is `http://` or `https://`, a host, and maybe a port and a path prefix.
    pub fn new(url: &str, credentials: &CredentialFiles) -> anyhow::Result<Self> {
        let url = Url::parse(url)?;
        let tls = if url.is_tls { Some(Arc::new(credentials.load()?)) } else { None };
        Ok(Self { url, tls })
    }

    /// POSTs a form.
    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> anyhow::Result<Answer> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let Url { host, port, prefix, .. } = &self.url;
        let place = format!("{host}:{port}");
        // HTTP/1.0: the answer comes in one piece and ends with the connection.
        let request = format!(
            "POST {prefix}{path} HTTP/1.0\r\nHost: {place}\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}",
            form.len()
        );
        let stream = connect(host, *port).with_context(|| {
            format!("cannot reach {place}; is the server running? name it with --server URL")
        })?;
        let received = match &self.tls {
            None => exchange(stream, &request),
            Some(config) => {
                let name = ServerName::try_from(host.clone())?;
                let session = ClientConnection::new(Arc::clone(config), name)?;
                exchange(StreamOwned::new(session, stream), &request)
            }
        };
        parse(received.with_context(|| format!("talking to {place} failed"))?)
    }
}

impl Url {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
        let is_tls = match scheme {
            "https" => true,
            "http" => false,
            _ => bail!("{text:?}: the URL must begin with http:// or https://"),
        };
        let (place, prefix) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                (host, port.parse().with_context(|| format!("{port:?} is not a port"))?)
            }
            _ => (place, if is_tls { 443 } else { 80 }),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { is_tls, host, port, prefix: prefix.trim_end_matches('/').to_owned() })
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

fn exchange(mut stream: impl Read + Write, request: &str) -> io::Result<Vec<u8>> {
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let mut received = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut received)?;
    Ok(received)
}

fn parse(received: Vec<u8>) -> anyhow::Result<Answer> {
    let no_http = "the answer is not HTTP; is it a TLS address, and the URL says http?";
    let end = received.windows(4).position(|w| w == b"\r\n\r\n").context(no_http)?;
    let head = String::from_utf8_lossy(&received[..end]);
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).context(no_http)?;
    Ok(Answer { status, body: received[end + 4..].to_vec() })
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
            let url = Url::parse(text).unwrap();
            assert_eq!((url.is_tls, url.host.as_str(), url.port, url.prefix.as_str()), expected);
        }
        assert!(Url::parse("ftp://x").is_err());
        assert!(Url::parse("http://x:port").is_err());
    }
}
