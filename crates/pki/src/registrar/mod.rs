//! Who gets a certificate: tokens, approvals, renewals, revocations, over authority and ledger.
//!
//! Every grant is in the ledger before anything is signed, so a lost answer is answered again and a
//! crash in between forgets nothing. Everything that happens is logged under the target `audit`,
//! secrets never.

mod administration;
mod applicants;
mod own;
mod revoked_copy;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::PublicKeyData;
use rustls::pki_types::{CertificateDer, UnixTime};

pub use self::administration::{BearerSpec, TokenSpec};
use self::revoked_copy::RevokedCopy;
use crate::authority::{Authority, Crl, RevokedCertificate};
use crate::bearer::Bearers;
use crate::certificate::{LeafRequest, issued_at, public_key_hash, seconds_after_epoch};
use crate::credentials::certificates_to_pem;
use crate::csr::{Applicant, CsrError};
use crate::enrolment::{EnrolAnswer, fingerprint};
use crate::error::PkiError;
use crate::hash::Hex;
use crate::identity::{Identity, IdentityError, Kind, Subject, TrustDomain};
use crate::ledger::{AHEAD_MAX, Command, Granted, Ledger, Outcome, Refusal, State};
use crate::revocation::Revocations;

/// How long after its end a certificate can still be renewed: a rack that was off over a holiday
/// comes back alone.
pub const RENEWAL_GRACE: Duration = Duration::from_secs(30 * 86_400);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The request is understood and not granted.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The signing request is unusable.
    #[error("{0}")]
    Csr(#[from] CsrError),
    #[error("{0}")]
    Identity(#[from] IdentityError),
    /// The expired certificate does not entitle to a new one.
    #[error("{0}")]
    Expired(&'static str),
    #[error("a token needs 1 to 10000 uses and a lifetime of at most 30 days")]
    TokenSpec,
    #[error("a bearer token is for an agent, a user or a service, and lives at most 400 days")]
    BearerSpec,
    /// Our own fault.
    #[error(transparent)]
    Pki(#[from] PkiError),
}

/// The one that decides. Synchronous; its owner serialises calls.
pub struct Registrar {
    authority: Authority,
    ledger: Ledger,
    revocations: Arc<Revocations>,
    bearers: Arc<Bearers>,
    revoked_copy: Option<RevokedCopy>,
}

/// The later of both, unless that is far ahead: then it comes from a clock that was set back since.
fn no_earlier(now: UnixTime, than: UnixTime) -> UnixTime {
    if than.as_secs().saturating_sub(now.as_secs()) > AHEAD_MAX { now } else { now.max(than) }
}

impl Registrar {
    /// Opens authority and ledger in one directory.
    pub fn open(dir: &Path, trust_domain: &TrustDomain, now: UnixTime) -> Result<Self, PkiError> {
        let authority = Authority::open_or_create(dir, trust_domain, now)?;
        let ledger = Ledger::open(dir)?;
        let bearers = Arc::new(Bearers::new(trust_domain.clone()));
        let revocations = Arc::default();
        let registrar = Self { authority, ledger, revocations, bearers, revoked_copy: None };
        registrar.publish();
        Ok(registrar)
    }

    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// For root exchange.
    pub fn authority_mut(&mut self) -> &mut Authority {
        &mut self.authority
    }

    pub fn state(&self) -> &State {
        self.ledger.state()
    }

    /// The set that handshakes and requests consult; kept up to date.
    pub fn revocations(&self) -> Arc<Revocations> {
        self.revocations.clone()
    }

    /// The bearer tokens that requests are recognised by; kept up to date.
    pub fn bearers(&self) -> Arc<Bearers> {
        self.bearers.clone()
    }

    /// Revocation lists for outsiders, one of each of our keys.
    pub fn crls(&self, now: UnixTime) -> Result<Vec<Crl>, PkiError> {
        let state = self.state();
        let mut revoked = Vec::new();
        for (serial, issued) in &state.issued {
            if !state.is_revoked(&issued.subject, issued.at) {
                continue;
            }
            let until = state.revoked.get(&issued.subject).map_or(0, |r| r.issued_until);
            let Ok(Hex(serial)) = serial.parse::<Hex<16>>() else { continue };
            revoked.push(RevokedCertificate {
                issuer: issued.issuer,
                serial: serial.to_vec(),
                revoked_at: seconds_after_epoch(until),
            });
        }
        self.authority.crls(&revoked, now)
    }

    fn grant(
        &mut self,
        command: Command,
        applicant: &Applicant,
        name: &str,
        now: UnixTime,
    ) -> Result<EnrolAnswer, EnrolError> {
        let outcome = match self.ledger.submit(command)? {
            Outcome::Refused(refusal) => return Err(self.refuse(refusal, name)),
            outcome => outcome,
        };
        let Outcome::Granted { subject, how } = outcome else {
            return Err(Refusal::NotEnrolled.into());
        };
        let key = fingerprint(&applicant.key_hash());
        if how == Granted::Forked {
            tracing::warn!(target: "audit", %subject, key, "renewed by a key that is not the latest");
        } else {
            tracing::info!(target: "audit", %subject, key, ?how, "enrolled or renewed");
        }
        if how == Granted::Replaced {
            self.publish();
        }
        self.issue(&subject, applicant.public_key(), now)
    }

    fn issue(
        &mut self,
        subject: &Subject,
        public_key: &impl PublicKeyData,
        now: UnixTime,
    ) -> Result<EnrolAnswer, EnrolError> {
        let mut request = LeafRequest::new(subject.clone());
        if subject.kind() == Kind::Node {
            let host = format!("{}.{}", subject.name(), self.authority.trust_domain());
            request = request.with_host_names(&[&host])?;
        }
        let now = self.issuing_time(subject, now)?;
        let chain = self.authority.issue(&request, public_key, now)?;
        self.record(&chain)?;
        let trust_bundle = certificates_to_pem(self.authority.trust_bundle());
        Ok(EnrolAnswer { chain: certificates_to_pem(&chain), trust_bundle })
    }

    /// A time later than that of every certificate so far, for a new root: so times, which are whole
    /// seconds, tell who got a certificate since, and the root with it.
    pub fn after_all_issued(&self, now: UnixTime) -> UnixTime {
        let last = self.state().issued.values().map(|issued| issued.at).max().unwrap_or(0);
        no_earlier(now, seconds_after_epoch(last.saturating_add(1)))
    }

    /// Now, or the seconds later that tell a certificate from those before the newest root, and from
    /// those that were revoked.
    fn issuing_time(&self, subject: &Subject, now: UnixTime) -> Result<UnixTime, PkiError> {
        let root = self.authority.trust_bundle().last();
        let now =
            root.map_or(Ok(now), |root| Ok::<_, PkiError>(no_earlier(now, issued_at(root)?)))?;
        let revoked = self.state().revoked.get(subject);
        Ok(revoked.map_or(now, |revoked| {
            no_earlier(now, seconds_after_epoch(revoked.issued_until.saturating_add(1)))
        }))
    }

    /// Remembers an issued certificate, for the lists of revoked ones.
    fn record(&mut self, chain: &[CertificateDer<'static>]) -> Result<(), PkiError> {
        let [leaf, issuing, ..] = chain else { return Err(IdentityError::Certificate.into()) };
        let identity = Identity::from_certificate(leaf)?;
        let serial: String = identity.serial.iter().map(|byte| format!("{byte:02x}")).collect();
        if self.state().issued.contains_key(&serial) {
            return Ok(());
        }
        let (issuer, until) = (public_key_hash(issuing)?, identity.not_after.as_secs());
        let at = identity.issued_at().as_secs();
        self.ledger.submit(Command::Record {
            serial,
            subject: identity.subject,
            issuer,
            until,
            at,
        })?;
        Ok(())
    }

    fn submit(&mut self, command: Command) -> Result<Outcome, EnrolError> {
        match self.ledger.submit(command)? {
            Outcome::Refused(refusal) => Err(refusal.into()),
            outcome => Ok(outcome),
        }
    }

    fn refuse(&self, refusal: Refusal, name: &str) -> EnrolError {
        let name: String = name.chars().take(128).collect();
        if refusal.is_alarming() {
            tracing::warn!(target: "audit", ?name, reason = %refusal, "refused");
        } else {
            tracing::info!(target: "audit", ?name, reason = %refusal, "refused");
        }
        refusal.into()
    }

    /// Puts what the register says in force.
    fn publish(&self) {
        if let Some(copy) = &self.revoked_copy {
            copy.store(&self.state().revoked);
        }
        self.bearers.publish(&self.state().bearers);
        let entries = self.state().revoked.iter();
        let set: HashMap<_, _> = entries
            .map(|(subject, r)| (subject.clone(), seconds_after_epoch(r.issued_until)))
            .collect();
        self.revocations.publish(set);
    }
}

#[cfg(test)]
mod tests;
