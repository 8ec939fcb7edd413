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
/// How often certificates are looked at; the shortest lives for days.
const RENEWAL_PERIOD: Duration = Duration::from_secs(3600);

/// Opens `dir/pki`, making whatever is missing.
pub fn open(dir: &Path, settings: &Settings, policy: Policy) -> Result<Arc<Provisioner>, PkiError> {
    let client_auth =
        if settings.require_certificate { ClientAuth::Required } else { ClientAuth::Optional };
    let provisioner = ProvisionerSettings {
        dir: dir.join("pki"),
        trust_domain: settings.trust_domain.clone(),
        name: SERVER_NAME.to_owned(),
        host_names: host_names(settings),
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
