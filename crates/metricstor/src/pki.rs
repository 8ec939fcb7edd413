//! The authority in the data directory, as the settings want it, and its chores.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use metricstor_pki::{ClientAuth, PkiError, Policy, Provisioner, ProvisionerSettings};
use rustix::system::uname;
use rustls::pki_types::ServerName;
use rustls::time_provider::DefaultTimeProvider;
use tokio::task::spawn_blocking;

use crate::config::Settings;

/// The server's own name: `node/server`.
const SERVER_NAME: &str = "server";
/// How often certificates are looked at; often, because a machine that slept does not count the time.
const RENEWAL_PERIOD: Duration = Duration::from_secs(60);

/// Opens `dir/pki`, making whatever is missing.
pub fn open(dir: &Path, settings: &Settings, policy: Policy) -> Result<Arc<Provisioner>, PkiError> {
    let client_auth =
        if settings.require_certificate { ClientAuth::Required } else { ClientAuth::Optional };
    let provisioner = ProvisionerSettings {
        dir: dir.join("pki"),
        revoked_copy: dir.join("revoked.json"),
        trust_domain: settings.trust_domain.clone(),
        name: SERVER_NAME.to_owned(),
        host_names: host_names(settings),
        certificate_life: settings.certificate_life,
        crl_url: crl_url(settings),
        allow_tls12: settings.allow_tls12,
        client_auth,
        time: Arc::new(DefaultTimeProvider),
    };
    Provisioner::open(provisioner, policy).map(Arc::new)
}

/// Renews what is due, for ever; a failure keeps what serves now and is tried again.
pub async fn keep_renewed(pki: Arc<Provisioner>) {
    loop {
        tokio::time::sleep(RENEWAL_PERIOD).await;
        let pki = Arc::clone(&pki);
        match spawn_blocking(move || pki.renew()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, "cannot renew certificates; the old ones stay in use");
            }
            Err(error) => tracing::error!(%error, "renewing certificates failed for a bug"),
        }
    }
}

/// The name that every certificate of this server has, whatever it is called by.
pub fn common_name(trust_domain: &str) -> String {
    format!("{SERVER_NAME}.{trust_domain}")
}

/// Where this server itself publishes the revocation lists, unless the settings say otherwise. A port
/// that the kernel chooses is not known in time and another at the next start.
fn crl_url(settings: &Settings) -> Option<String> {
    match &settings.crl_url {
        Some(url) if url.is_empty() => None,
        Some(url) => Some(url.clone()),
        None if settings.listen.port() == 0 => None,
        None => {
            let host = public_name(settings);
            Some(format!("https://{host}:{}/pki/v1/crl", settings.listen.port()))
        }
    }
}

/// The one name by which others reach this server most likely, as URLs have it.
fn public_name(settings: &Settings) -> String {
    let address = settings.listen.ip();
    let name = match settings.host_names.first() {
        Some(name) => name.clone(),
        None if address.is_unspecified() => {
            host_names(settings).into_iter().next().unwrap_or_else(|| "localhost".to_owned())
        }
        None => address.to_string(),
    };
    // An IPv6 address.
    if name.contains(':') { format!("[{name}]") } else { name }
}

/// The configured names, and those that the machine has anyway: its own, and the address it listens
/// on if that is a single one.
fn host_names(settings: &Settings) -> Vec<String> {
    let mut names = settings.host_names.clone();
    let machine = uname().nodename().to_string_lossy().into_owned();
    for name in [machine, common_name(settings.trust_domain.as_str())] {
        if ServerName::try_from(name.as_str()).is_ok() {
            names.push(name);
        }
    }
    let address = settings.listen.ip();
    if !address.is_unspecified() && !address.is_loopback() {
        names.push(address.to_string());
    }
    names
}
