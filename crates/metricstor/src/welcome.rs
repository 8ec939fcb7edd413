//! What a person sees when the server is ready: how to query and how to push, to be pasted.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub struct Welcome {
    /// The address with mutual TLS.
    pub tls: SocketAddr,
    /// The plain loopback address.
    pub plain: Option<SocketAddr>,
    /// The absolute data directory.
    pub dir: PathBuf,
}

impl fmt::Display for Welcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url();
        let file = |name: &str| self.dir.join("pki").join(name);
        let (ca, cert, key) = (file("ca.crt"), file("admin.crt"), file("admin.key"));
        let version = env!("CARGO_PKG_VERSION");
        writeln!(f, "metricstor {version} is ready at {url}, data in {}", self.dir.display())?;
        if let Some(plain) = self.plain {
            writeln!(f, "Without TLS, for this machine only: http://{plain}")?;
        }
        writeln!(f, "\nQuery:\n")?;
        let (ca_arg, cert_arg, key_arg) = (shell(&ca), shell(&cert), shell(&key));
        writeln!(
            f,
            "  curl --cacert {ca_arg} --cert {cert_arg} --key {key_arg} '{url}/api/v1/query?query=up'"
        )?;
        writeln!(f, "\nPush, in prometheus.yml:\n")?;
        writeln!(f, "remote_write:\n  - url: {url}/api/v1/write\n    tls_config:")?;
        for (name, path) in [("ca_file", &ca), ("cert_file", &cert), ("key_file", &key)] {
            writeln!(f, "      {name}: {}", yaml(path))?;
        }
        Ok(())
    }
}

impl Welcome {
    /// An address that everything binds is reached by the name every certificate has.
    fn url(&self) -> String {
        if self.tls.ip().is_unspecified() {
            format!("https://localhost:{}", self.tls.port())
        } else {
            format!("https://{}", self.tls)
        }
    }
}

/// A path as one word of a shell.
fn shell(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:,@".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// A path as a YAML scalar; JSON's strings are YAML's.
pub fn yaml(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(plain) { text } else { serde_json::Value::String(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_spaces_and_quotes_can_be_pasted() {
        let path = Path::new("/srv/it's here/ca.crt");
        assert_eq!(shell(path), r"'/srv/it'\''s here/ca.crt'");
        assert_eq!(yaml(path), r#""/srv/it's here/ca.crt""#);
        assert_eq!(shell(Path::new("/a/b-c.crt")), "/a/b-c.crt");
    }

    #[test]
    fn a_server_on_all_addresses_is_reached_by_its_local_name() {
        let welcome =
            Welcome { tls: "[::]:9101".parse().unwrap(), plain: None, dir: "/data".into() };
        assert!(welcome.to_string().contains("https://localhost:9101/api/v1/write"));
    }
}
