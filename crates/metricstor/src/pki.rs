//! The authority in the data directory, and the TLS that is kept renewed from it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use metricstor_http::Security;
use metricstor_pki::{Authority, PkiError, Revocations, ServerTls, TlsSettings, UnixTime};
use rustix::system::uname;
use rustls::pki_types::ServerName;
use rustls::time_provider::DefaultTimeProvider;

use crate::config::Settings;

/// The server's own name: `node/server`.
const SERVER_NAME: &str = "server";
/// How often certificates are looked at; the shortest lives for days.
const RENEWAL_PERIOD: Duration = Duration::from_secs(3600);

pub struct Pki {
    authority: Authority,
    tls: Arc<ServerTls>,
    revocations: Arc<Revocations>,
    host_names: Vec<String>,
}

impl Pki {
    /// Opens `dir/pki`, making whatever is missing.
    pub fn open(dir: &Path, settings: &Settings) -> Result<Self, PkiError> {
        let now = UnixTime::now();
        let authority = Authority::open_or_create(&dir.join("pki"), &settings.trust_domain, now)?;
        let host_names = host_names(settings);
        let names: Vec<&str> = host_names.iter().map(String::as_str).collect();
        let credentials = authority.server(SERVER_NAME, &names, now)?;
        let revocations = Arc::new(Revocations::default());
        let tls = TlsSettings {
            trust_domain: settings.trust_domain.clone(),
            allow_tls12: settings.allow_tls12,
            revocations: Arc::clone(&revocations),
            time: Arc::new(DefaultTimeProvider),
        };
        let tls = Arc::new(ServerTls::new(tls, &credentials, authority.trust_bundle())?);
        Ok(Self { authority, tls, revocations, host_names })
    }

    pub fn security(&self) -> Security {
        Security::Tls { tls: Arc::clone(&self.tls), revocations: Arc::clone(&self.revocations) }
    }

    /// Renews what is due, for ever; a failure keeps what serves now and is tried again.
    pub async fn keep_renewed(mut self) {
        loop {
            tokio::time::sleep(RENEWAL_PERIOD).await;
            if let Err(error) = self.renew(UnixTime::now()) {
                tracing::error!(%error, "cannot renew certificates; the old ones stay in use");
            }
        }
    }

    fn renew(&mut self, now: UnixTime) -> Result<(), PkiError> {
        self.authority.renew(now)?;
        let names: Vec<&str> = self.host_names.iter().map(String::as_str).collect();
        let credentials = self.authority.server(SERVER_NAME, &names, now)?;
        self.tls.reload(&credentials, self.authority.trust_bundle())
    }
}

/// The configured names, and those that the machine has anyway: its own, and the address it listens
/// on if that is a single one.
fn host_names(settings: &Settings) -> Vec<String> {
    let mut names = settings.host_names.clone();
    let machine = uname().nodename().to_string_lossy().into_owned();
    if ServerName::try_from(machine.as_str()).is_ok() {
        names.push(machine);
    }
    let address = settings.listen.ip();
    if !address.is_unspecified() && !address.is_loopback() {
        names.push(address.to_string());
    }
    names
}
