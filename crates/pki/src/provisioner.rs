//! What a running server owns: the registrar, the guard, and the TLS that is kept renewed from them.
//!
//! Everything that changes goes through here, so that what was decided is in force for the next
//! connection and the next request. Invariant: a failed renewal or reload keeps what serves now.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ClientHello;
use rustls::time_provider::TimeProvider;

use crate::authority::Crl;
use crate::bearer::Bearers;
use crate::certificate::{LeafRequest, issued_at};
use crate::error::PkiError;
use crate::hash::KeyHash;
use crate::identity::{Identity, Subject, TrustDomain};
use crate::policy::{Guard, Policy};
use crate::registrar::Registrar;
use crate::server_tls::{ClientAuth, ServerTls, TlsSettings};

/// What stays the same as long as the server runs.
#[derive(Debug, Clone)]
pub struct ProvisionerSettings {
    /// Keys, certificates and register; usually `data/pki`.
    pub dir: PathBuf,
    /// A second copy of the revocations, outside of `dir`; usually `data/revoked.json`.
    pub revoked_copy: PathBuf,
    pub trust_domain: TrustDomain,
    /// The server is `node/<name>`.
    pub name: String,
    /// DNS names and addresses by which clients reach it, besides localhost.
    pub host_names: Vec<String>,
    /// How long the server's own certificates live.
    pub certificate_life: Duration,
    /// Where outsiders fetch revocation lists, as server certificates say; the last segment, the
    /// issuing key's hash, is added.
    pub crl_url: Option<String>,
    pub allow_tls12: bool,
    /// May a client that is not about to enrol come without a certificate?
    pub client_auth: ClientAuth,
    pub time: Arc<dyn TimeProvider>,
}

impl ProvisionerSettings {
    /// What the server's own certificate says.
    fn own_leaf(&self) -> Result<LeafRequest, PkiError> {
        let names: Vec<&str> = self.host_names.iter().map(String::as_str).collect();
        let leaf = LeafRequest::server(&self.name, &names)?;
        Ok(LeafRequest { lifetime: self.certificate_life, crl_url: self.crl_url.clone(), ..leaf })
    }
}

/// Shared by all connections and the server's own chores.
pub struct Provisioner {
    settings: ProvisionerSettings,
    registrar: Mutex<Registrar>,
    guard: Guard,
    bearers: Arc<Bearers>,
    tls: ServerTls,
    failures: AtomicU64,
    crls: Mutex<Option<Arc<Crls>>>,
}

/// The revocation lists as they were signed once for all who ask.
struct Crls {
    lists: Vec<Crl>,
    made_at: u64,
    /// The register's state that they show.
    index: u64,
}

/// Lists are valid for a day and signed anew every hour, or when the register has changed.
const CRL_AGE_MAX: u64 = 3_600;

/// Why roots stay.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    #[error(
        "{} identities, {} among them, have not fetched the new root yet: wait for their renewal, \
         or force it and lock them out", .0.len(), .0[0]
    )]
    Lagging(Vec<Subject>),
    #[error(transparent)]
    Pki(#[from] PkiError),
}

impl Provisioner {
    /// Opens the directory, making whatever is missing.
    pub fn open(settings: ProvisionerSettings, policy: Policy) -> Result<Self, PkiError> {
        let now = settings.time.current_time().ok_or(PkiError::Clock)?;
        let mut registrar = Registrar::open(&settings.dir, &settings.trust_domain, now)?;
        registrar.keep_revoked_copy(settings.revoked_copy.clone())?;
        registrar.renew_own(now)?;
        let tls = TlsSettings {
            trust_domain: settings.trust_domain.clone(),
            allow_tls12: settings.allow_tls12,
            revocations: registrar.revocations(),
            time: settings.time.clone(),
        };
        let authority = registrar.authority();
        let credentials = authority.server_as(&settings.own_leaf()?, now)?;
        let tls = ServerTls::new(tls, &credentials, authority.trust_bundle())?;
        Ok(Self {
            guard: Guard::new(policy, registrar.revocations()),
            bearers: registrar.bearers(),
            registrar: registrar.into(),
            failures: AtomicU64::new(0),
            crls: Mutex::default(),
            settings,
            tls,
        })
    }

    /// The time by the provisioner's clock; without a usable clock everything has expired.
    pub fn now(&self) -> UnixTime {
        let never = UnixTime::since_unix_epoch(Duration::MAX);
        self.settings.time.current_time().unwrap_or(never)
    }

    /// The one that decides on certificates. Writes to disk: not for asynchronous tasks.
    pub fn registrar(&self) -> MutexGuard<'_, Registrar> {
        // After a write that failed half-way the ledger starts from what is on disk.
        self.registrar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    pub fn bearers(&self) -> &Bearers {
        &self.bearers
    }

    pub fn tls(&self) -> &ServerTls {
        &self.tls
    }

    pub fn trust_domain(&self) -> &TrustDomain {
        &self.settings.trust_domain
    }

    /// By which of the TLS configurations this client is served.
    pub fn door(&self, hello: &ClientHello<'_>) -> ClientAuth {
        match ServerTls::door(hello) {
            ClientAuth::Optional => ClientAuth::Optional,
            ClientAuth::Required => self.settings.client_auth,
        }
    }

    /// Is this the server's own identity, which it cannot revoke?
    pub fn is_own(&self, subject: &Subject) -> bool {
        subject.kind() == crate::identity::Kind::Node && subject.name() == self.settings.name
    }

    /// Renewals and reloads that failed since the start.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Renews what is due and takes it into use.
    pub fn renew(&self) -> Result<(), PkiError> {
        self.change(|registrar, now| registrar.renew_own(now).map(drop))
    }

    /// Replaces the issuing key ahead of time; leaves of the old one stay valid.
    pub fn rotate_issuing(&self, by: &str) -> Result<(), PkiError> {
        self.change(|registrar, now| registrar.authority_mut().add_issuing(now))?;
        tracing::warn!(target: "audit", by, "issuing key replaced");
        Ok(())
    }

    /// Adds a root beside the others: the first half of an exchange.
    pub fn add_root(&self, by: &str) -> Result<(), PkiError> {
        let registrar = self.registrar();
        let now = registrar.after_all_issued(self.now());
        self.change_at(registrar, now, |registrar, now| registrar.authority_mut().add_root(now))?;
        tracing::warn!(target: "audit", by, "root added");
        Ok(())
    }

    /// Ends the trust in all roots but the newest: the second half. Refused while identities with
    /// valid certificates do not know the newest root, unless forced.
    pub fn drop_old_roots(&self, by: &str, force: bool) -> Result<(), RotateError> {
        let lagging = self.lagging()?;
        if !force && !lagging.is_empty() {
            return Err(RotateError::Lagging(lagging));
        }
        self.change(|registrar, _| registrar.authority_mut().drop_old_roots())?;
        tracing::warn!(target: "audit", by, locked_out = lagging.len(), "old roots dropped");
        Ok(())
    }

    /// Identities whose newest certificate is older than the newest root.
    fn lagging(&self) -> Result<Vec<Subject>, PkiError> {
        let registrar = self.registrar();
        let bundle = registrar.authority().trust_bundle();
        let (Some(newest), true) = (bundle.last(), bundle.len() > 1) else { return Ok(vec![]) };
        let made = issued_at(newest)?.as_secs();
        let now = self.now().as_secs();
        let mut latest = std::collections::BTreeMap::new();
        let state = registrar.state();
        for issued in state.issued.values().filter(|issued| now < issued.until) {
            if !state.is_revoked(&issued.subject, issued.at) {
                let at = latest.entry(&issued.subject).or_insert(issued.at);
                *at = issued.at.max(*at);
            }
        }
        Ok(latest.into_iter().filter(|(_, at)| *at < made).map(|(s, _)| s.clone()).collect())
    }

    fn change(
        &self,
        change: impl FnOnce(&mut Registrar, UnixTime) -> Result<(), PkiError>,
    ) -> Result<(), PkiError> {
        self.change_at(self.registrar(), self.now(), change)
    }

    fn change_at(
        &self,
        mut registrar: MutexGuard<'_, Registrar>,
        now: UnixTime,
        change: impl FnOnce(&mut Registrar, UnixTime) -> Result<(), PkiError>,
    ) -> Result<(), PkiError> {
        let done = change(&mut registrar, now).and_then(|()| self.reload(&mut registrar, now));
        if done.is_err() {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        done
    }

    fn reload(&self, registrar: &mut Registrar, now: UnixTime) -> Result<(), PkiError> {
        // The administrator's certificate follows the chain too.
        registrar.renew_own(now)?;
        let authority = registrar.authority();
        let credentials = authority.server_as(&self.settings.own_leaf()?, now)?;
        self.tls.reload(&credentials, authority.trust_bundle())
    }

    /// The revocation lists in PEM, one from every key of the authority.
    pub fn crl(&self) -> Result<String, PkiError> {
        let pem = |crl: &Crl| pem::encode(&pem::Pem::new("X509 CRL", crl.der.as_ref()));
        Ok(self.crls()?.lists.iter().map(pem).collect())
    }

    /// The revocation list of one key in DER; `None` if the key is not the authority's.
    pub fn crl_of(&self, issuer: &KeyHash) -> Result<Option<Vec<u8>>, PkiError> {
        let crls = self.crls()?;
        let found = crls.lists.iter().find(|crl| crl.issuer == *issuer);
        Ok(found.map(|crl| crl.der.as_ref().to_vec()))
    }

    fn crls(&self) -> Result<Arc<Crls>, PkiError> {
        let registrar = self.registrar();
        let (now, index) = (self.now(), registrar.state().index);
        let mut crls = self.crls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = &*crls
            && made.index == index
            && (made.made_at..made.made_at + CRL_AGE_MAX).contains(&now.as_secs())
        {
            return Ok(Arc::clone(made));
        }
        let made = Crls { lists: registrar.crls(now)?, made_at: now.as_secs(), index };
        Ok(Arc::clone(crls.insert(made.into())))
    }

    /// Seconds since the lists were signed; 0 if nobody has asked yet.
    pub fn crl_age(&self, now: u64) -> u64 {
        let crls = self.crls.lock().unwrap_or_else(PoisonError::into_inner);
        crls.as_ref().map_or(0, |crls| now.saturating_sub(crls.made_at))
    }

    /// When the certificates of the authority, of this server and of the identities end: a kind, a
    /// name and the time. Of an identity the newest that is not revoked.
    pub fn expiries(&self) -> Result<Vec<(String, String, UnixTime)>, PkiError> {
        let registrar = self.registrar();
        let mut all = Vec::new();
        let authority = registrar.authority();
        for (role, end) in authority.expiries()? {
            all.push(("authority".to_owned(), role.to_owned(), end));
        }
        let own = self.tls.chain();
        let own: Option<&CertificateDer<'static>> = own.first();
        if let Some(identity) = own.and_then(|leaf| Identity::from_certificate(leaf).ok()) {
            let subject = identity.subject;
            all.push((subject.kind().to_string(), subject.name().to_owned(), identity.not_after));
        }
        let state = registrar.state();
        let mut ends = std::collections::BTreeMap::new();
        for issued in state.issued.values() {
            if !state.is_revoked(&issued.subject, issued.at) {
                let end = ends.entry(&issued.subject).or_insert(issued.until);
                *end = issued.until.max(*end);
            }
        }
        all.extend(ends.into_iter().map(|(subject, end)| {
            let end = crate::certificate::seconds_after_epoch(end);
            (subject.kind().to_string(), subject.name().to_owned(), end)
        }));
        Ok(all)
    }
}
