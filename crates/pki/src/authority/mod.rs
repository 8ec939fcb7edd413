//! The certification authority of one trust domain and its files.
//!
//! Root (ten years) → issuing key (one year, replaced at half) → leaves. Trust is a set of roots:
//! every root whose key is here certifies the current issuing key, so a leaf's chain satisfies
//! whoever trusts any of them, and roots can be exchanged under load.
//! Invariant: each step of creation and renewal is one atomic file; opening the directory again
//! completes whatever a crash interrupted.

mod ca_file;
mod chain_of_trust;
mod crl;
mod leaf_files;

use std::path::{Path, PathBuf};

use rcgen::PublicKeyData;
use rustls::pki_types::{CertificateDer, UnixTime};

use self::ca_file::{CaFile, Role};
pub use self::crl::{Crl, RevokedCertificate};
use crate::certificate::{self, LeafRequest};
use crate::credentials::{Credentials, generate_key};
use crate::error::PkiError;
use crate::files;
use crate::hash::KeyHash;
use crate::identity::{Identity, Kind, Subject, TrustDomain};

/// The name of the first administrator, and of its files.
const ADMINISTRATOR: &str = "admin";

/// Whom the files of the first start make an administrator.
pub fn administrator() -> Result<Subject, PkiError> {
    Ok(Subject::new(Kind::User, ADMINISTRATOR)?)
}

/// Issues and renews certificates. One owner at a time; readers take copies of what they need.
pub struct Authority {
    dir: PathBuf,
    trust_domain: TrustDomain,
    /// Certificates of all trusted roots, oldest first; never empty once open.
    bundle: Vec<CertificateDer<'static>>,
    /// The roots whose keys are here, oldest first.
    roots: Vec<CaFile>,
    /// Issuing keys that can still have valid leaves; the last one is current.
    issuing: Vec<CaFile>,
}

impl Authority {
    /// Opens the directory, usually `data/pki`, creating whatever is missing: root, issuing key, and
    /// the trust bundle `ca.crt`.
    ///
    /// Fails, naming the file and what to do, when a key file is damaged or accessible to others.
    pub fn open_or_create(
        dir: &Path,
        trust_domain: &TrustDomain,
        now: UnixTime,
    ) -> Result<Self, PkiError> {
        files::ensure_directory(dir)?;
        let mut authority = Self {
            dir: dir.to_owned(),
            trust_domain: trust_domain.clone(),
            bundle: Vec::new(),
            roots: CaFile::load_all(dir, Role::Root)?,
            issuing: CaFile::load_all(dir, Role::Issuing)?,
        };
        authority.load_bundle()?;
        authority.renew(now)?;
        Ok(authority)
    }

    /// Renews whatever is due: roots at two thirds of their life, the issuing key at half. True if
    /// the trust bundle or the chain changed, that is, if whoever holds copies has to take new ones.
    pub fn renew(&mut self, now: UnixTime) -> Result<bool, PkiError> {
        let changed = self.renew_roots(now)? | self.renew_issuing(now)?;
        self.store_bundle()?;
        Ok(changed)
    }

    /// The first administrator's `admin.crt` and `admin.key`, made or renewed when due; `None` if the
    /// key was moved away.
    pub fn administrator(&self, now: UnixTime) -> Result<Option<Credentials>, PkiError> {
        if leaf_files::is_key_elsewhere(self, ADMINISTRATOR)? {
            return Ok(None);
        }
        let request = LeafRequest::new(administrator()?);
        leaf_files::ensure(self, ADMINISTRATOR, &request, now).map(Some)
    }

    /// Is there a key of the administrator's, and no certificate of it that `is_good`?
    pub fn administrator_lacks(
        &self,
        is_good: impl FnOnce(&Identity) -> bool,
    ) -> Result<bool, PkiError> {
        let (has_key, held) = leaf_files::held(self, ADMINISTRATOR)?;
        Ok(has_key && !held.is_some_and(|identity| is_good(&identity)))
    }

    /// The server's credentials from `server.key` and `server.crt`, made or renewed when due.
    pub fn server(
        &self,
        name: &str,
        host_names: &[&str],
        now: UnixTime,
    ) -> Result<Credentials, PkiError> {
        self.server_as(&LeafRequest::server(name, host_names)?, now)
    }

    /// The same, with everything in the certificate as `request` wants it.
    pub fn server_as(&self, request: &LeafRequest, now: UnixTime) -> Result<Credentials, PkiError> {
        leaf_files::ensure(self, "server", request, now)
    }

    /// Signs a leaf for a public key and returns its chain, leaf first. The leaf never outlives
    /// the issuing certificate.
    pub fn issue(
        &self,
        request: &LeafRequest,
        public_key: &impl PublicKeyData,
        now: UnixTime,
    ) -> Result<Vec<CertificateDer<'static>>, PkiError> {
        let signer = self.current_issuing().signer();
        if certificate::validity(signer.certificate)?.1 <= now {
            return Err(self.root_offline("renew the issuing certificate"));
        }
        let leaf = certificate::leaf(&self.trust_domain, request, public_key, signer, now)?;
        Ok([&[leaf], self.issuing_chain()].concat())
    }

    /// Makes a key and a leaf for it.
    pub fn issue_with_new_key(
        &self,
        request: &LeafRequest,
        now: UnixTime,
    ) -> Result<Credentials, PkiError> {
        let key = generate_key()?;
        Ok(Credentials { chain: self.issue(request, &key, now)?, key })
    }

    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The certificates of all trusted roots, oldest first.
    pub fn trust_bundle(&self) -> &[CertificateDer<'static>] {
        &self.bundle
    }

    /// The current issuing certificates: what follows the leaf in every chain.
    pub fn issuing_chain(&self) -> &[CertificateDer<'static>] {
        &self.current_issuing().certificates
    }

    /// When which certificate of the authority ends, for metrics and alarms.
    pub fn expiries(&self) -> Result<Vec<(&'static str, UnixTime)>, PkiError> {
        let (issuing, root) = (self.current_issuing().signer().certificate, self.newest_root());
        let end = |certificate| Ok::<_, PkiError>(certificate::validity(certificate)?.1);
        Ok(vec![("issuing", end(issuing)?), ("root", end(root)?)])
    }

    /// SHA-256 of the newest root's public key: what enrolment tokens pin.
    pub fn root_pin(&self) -> Result<KeyHash, PkiError> {
        certificate::public_key_hash(self.newest_root())
    }

    fn current_issuing(&self) -> &CaFile {
        self.issuing.last().expect("an open authority has an issuing key")
    }

    fn newest_root(&self) -> &CertificateDer<'static> {
        self.bundle.last().expect("an open authority has a root")
    }

    fn root_offline(&self, task: &'static str) -> PkiError {
        PkiError::RootOffline { dir: self.dir.clone(), task }
    }
}

#[cfg(test)]
mod tests;
