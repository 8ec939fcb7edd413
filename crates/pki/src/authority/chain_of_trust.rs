//! Roots and issuing keys over time: creation, renewal, exchange.
//!
//! A root whose key was taken offline stays trusted through `ca.crt`. Nothing is ever removed except
//! by [`Authority::drop_old_roots`]: a clock that is wrong for an hour must not destroy anything.

use rustls::pki_types::{CertificateDer, UnixTime};

use super::Authority;
use super::ca_file::{CaFile, Role};
use crate::certificate;
use crate::credentials::{certificates_from_pem, certificates_to_pem, generate_key};
use crate::error::PkiError;
use crate::files::{self, Access};

const BUNDLE: &str = "ca.crt";

impl Authority {
    /// Adds a root beside the others; leaves issued from now on satisfy those who trust either.
    pub fn add_root(&mut self, now: UnixTime) -> Result<(), PkiError> {
        self.create_root(now)?;
        self.certify_issuing(now)?;
        self.store_bundle()
    }

    /// Replaces the issuing key ahead of time. Leaves of the old one stay valid.
    pub fn add_issuing(&mut self, now: UnixTime) -> Result<(), PkiError> {
        let number = next_number(&self.issuing);
        let key = generate_key()?;
        let certificates = Vec::new();
        let mut file = CaFile { role: Role::Issuing, number, key, certificates };
        if !self.certify(&mut file, now)? {
            return Err(self.root_offline("make an issuing certificate"));
        }
        file.store(&self.dir)?;
        self.issuing.push(file);
        Ok(())
    }

    /// Ends the trust in every root but the newest. Whoever has not fetched the newer bundle by
    /// now, or still shows a chain to an old root only, is locked out.
    pub fn drop_old_roots(&mut self) -> Result<(), PkiError> {
        let newest = self.newest_root().clone();
        let from_newest = |c: &CertificateDer<'_>| certificate::is_signed_by(c, &newest);
        if !self.issuing_chain().iter().any(from_newest) {
            return Err(self.root_offline("certify the issuing key before old roots are dropped"));
        }
        let current = self.issuing.last_mut().expect("checked above");
        current.certificates.retain(from_newest);
        current.store(&self.dir)?;
        for root in self.roots.extract_if(.., |root| root.certificates[0] != newest) {
            root.delete(&self.dir)?;
        }
        self.bundle = vec![newest];
        self.store_bundle()
    }

    /// Takes the trusted roots from `ca.crt` and from the root keys that are here.
    pub(super) fn load_bundle(&mut self) -> Result<(), PkiError> {
        let path = self.dir.join(BUNDLE);
        if let Some(bytes) = files::read(&path, Access::Public)? {
            let remedy = "restore it from a backup or from any client's copy";
            self.bundle = certificates_from_pem(&bytes).map_err(|fault| PkiError::Damaged {
                path: path.clone(),
                fault,
                remedy,
            })?;
        }
        self.adopt_roots()?;
        if self.bundle.is_empty() && !self.issuing.is_empty() {
            let fault = "missing, although an issuing key is here".into();
            let remedy = "restore it from a backup or from any client's copy";
            return Err(PkiError::Damaged { path, fault, remedy });
        }
        for root in &self.bundle {
            let found = certificate::stated_trust_domain(root).unwrap_or_default();
            let wanted = self.trust_domain.to_string();
            if found != wanted {
                return Err(PkiError::OtherTrustDomain { path, found, wanted });
            }
        }
        Ok(())
    }

    /// Writes `ca.crt` if its content changed. Last of all files at the first start.
    pub(super) fn store_bundle(&self) -> Result<(), PkiError> {
        let path = self.dir.join(BUNDLE);
        let pem = certificates_to_pem(&self.bundle);
        if files::read(&path, Access::Public)?.as_deref() == Some(pem.as_bytes()) {
            return Ok(());
        }
        files::write(&path, Access::Public, pem.as_bytes())
    }

    /// A first root, or a successor at two thirds of the newest one's life.
    pub(super) fn renew_roots(&mut self, now: UnixTime) -> Result<bool, PkiError> {
        let due = match self.bundle.last() {
            None => true,
            Some(newest) => is_due(newest, (2, 3), now)?,
        };
        if due && !self.bundle.is_empty() && self.roots.is_empty() {
            tracing::warn!(dir = %self.dir.display(), "a new root is due; its predecessor's key is not here");
            return Ok(false);
        }
        if due {
            self.create_root(now)?;
        }
        Ok(due)
    }

    /// A first issuing key, or a successor at half of its life, certified by every root here.
    pub(super) fn renew_issuing(&mut self, now: UnixTime) -> Result<bool, PkiError> {
        let (due, usable) = match self.issuing.last() {
            None => (true, false),
            Some(file) => {
                let certificate = file.signer().certificate;
                (is_due(certificate, (1, 2), now)?, is_valid(certificate, now))
            }
        };
        if due && usable && self.roots.is_empty() {
            tracing::warn!(dir = %self.dir.display(), "a new issuing certificate is due; the root's key is not here");
            return Ok(false);
        }
        if due {
            self.add_issuing(now)?;
        }
        Ok(self.certify_issuing(now)? || due)
    }

    fn create_root(&mut self, now: UnixTime) -> Result<(), PkiError> {
        let key = generate_key()?;
        let certificates = vec![certificate::root(&self.trust_domain, &key, now)?];
        // Roots kept elsewhere have numbers too, and may come back under them.
        let number = next_number(&self.roots).max(self.bundle.len() as u32 + 1);
        let file = CaFile { role: Role::Root, number, key, certificates };
        file.store(&self.dir)?;
        self.roots.push(file);
        self.adopt_roots()
    }

    /// Brings the bundle into order: roots whose keys are elsewhere, then those here by number.
    fn adopt_roots(&mut self) -> Result<(), PkiError> {
        let mut dated = Vec::with_capacity(self.bundle.len() + self.roots.len());
        for root in self.bundle.drain(..) {
            if !self.roots.iter().any(|file| file.certificates[0] == root) {
                dated.push((certificate::validity(&root)?.0.as_secs(), root));
            }
        }
        dated.sort_by_key(|(start, _)| *start);
        let elsewhere = dated.into_iter().map(|(_, root)| root);
        let here = self.roots.iter().map(|file| file.certificates[0].clone());
        self.bundle = elsewhere.chain(here).collect();
        Ok(())
    }

    /// Adds the certificates that the current issuing key lacks.
    fn certify_issuing(&mut self, now: UnixTime) -> Result<bool, PkiError> {
        let Some(mut file) = self.issuing.pop() else { return Ok(false) };
        let certified = self.certify(&mut file, now);
        let stored = certified.and_then(|changed| {
            if changed {
                file.store(&self.dir)?;
            }
            Ok(changed)
        });
        self.issuing.push(file);
        stored
    }

    /// One certificate from each root here. The oldest root's comes first: some verifiers try only
    /// the first issuer they find, and until the old roots are dropped everybody trusts them.
    fn certify(&self, file: &mut CaFile, now: UnixTime) -> Result<bool, PkiError> {
        let mut changed = false;
        for root in &self.roots {
            let certificate = &root.certificates[0];
            let signed = |c: &CertificateDer<'_>| certificate::is_signed_by(c, certificate);
            if !is_valid(certificate, now) || file.certificates.iter().any(signed) {
                continue;
            }
            let issued = certificate::issuing(&self.trust_domain, &file.key, root.signer(), now)?;
            file.certificates.push(issued);
            changed = true;
        }
        Ok(changed)
    }
}

fn next_number(files: &[CaFile]) -> u32 {
    files.last().map_or(0, |file| file.number).saturating_add(1)
}

/// Has this share of the certificate's life passed, or was it made under a clock that was ahead?
fn is_due(
    certificate: &CertificateDer<'_>,
    (numerator, denominator): (u64, u64),
    now: UnixTime,
) -> Result<bool, PkiError> {
    let life = certificate::validity(certificate)?;
    Ok(now < life.0 || certificate::point_of_life(life, numerator, denominator) <= now)
}

fn is_valid(certificate: &CertificateDer<'_>, now: UnixTime) -> bool {
    certificate::validity(certificate).is_ok_and(|(start, end)| start <= now && now < end)
}
