//! Who gets a certificate: tokens, approvals, renewals, revocations, over authority and ledger.
//!
//! Every grant is in the ledger before anything is signed, so a lost answer is answered again and a
//! crash in between forgets nothing. Everything that happens is logged under the target `audit`,
//! secrets never.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::PublicKeyData;
use rustls::pki_types::{CertificateRevocationListDer, UnixTime};

use crate::authority::{Authority, RevokedCertificate};
use crate::certificate::{LeafRequest, public_key_hash, seconds_after_epoch, validity};
use crate::client_tls::verify_chain;
use crate::credentials::{certificates_from_pem, certificates_to_pem};
use crate::csr::{Applicant, CsrError};
use crate::enrolment::{
    ApprovalAnswer, ApprovalRequest, EnrolAnswer, EnrolRequest, ExpiredCredentials, RenewRequest,
    fingerprint, is_renewal_signed,
};
use crate::error::PkiError;
use crate::hash::{Hex, KeyHash};
use crate::identity::{Identity, IdentityError, Kind, Subject, TrustDomain};
use crate::ledger::{Command, Granted, Ledger, Outcome, Refusal, State, Token};
use crate::pattern::NamePattern;
use crate::revocation::Revocations;
use crate::token::{EnrolmentToken, StoredSecret, TokenId, is_proven};

/// How long after its end a certificate can still be renewed: a rack that was off over a holiday
/// comes back alone.
pub const RENEWAL_GRACE: Duration = Duration::from_secs(30 * 86_400);
const USES_MAX: u32 = 10_000;
const TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(30 * 86_400);

/// What a new token allows.
#[derive(Debug, Clone)]
pub struct TokenSpec {
    pub kind: Kind,
    pub names: NamePattern,
    /// How many keys may redeem it; usually one.
    pub uses: u32,
    /// At most 30 days; usually an hour.
    pub lifetime: Duration,
}

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
    /// Our own fault.
    #[error(transparent)]
    Pki(#[from] PkiError),
}

/// The one that decides. Synchronous; its owner serialises calls.
pub struct Registrar {
    authority: Authority,
    ledger: Ledger,
    revocations: Arc<Revocations>,
}

impl Registrar {
    /// Opens authority and ledger in one directory.
    pub fn open(dir: &Path, trust_domain: &TrustDomain, now: UnixTime) -> Result<Self, PkiError> {
        let authority = Authority::open_or_create(dir, trust_domain, now)?;
        let ledger = Ledger::open(dir)?;
        let registrar = Self { authority, ledger, revocations: Arc::default() };
        registrar.publish_revocations();
        Ok(registrar)
    }

    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// For root exchange and renewal.
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

    /// Makes a token. Its line is shown to the caller once and cannot be had again.
    pub fn create_token(
        &mut self,
        spec: &TokenSpec,
        by: &str,
        now: UnixTime,
    ) -> Result<EnrolmentToken, EnrolError> {
        if !(1..=USES_MAX).contains(&spec.uses) || spec.lifetime > TOKEN_LIFETIME_MAX {
            return Err(EnrolError::TokenSpec);
        }
        let token = EnrolmentToken::generate(self.authority.root_pin()?)?;
        let at = now.as_secs();
        let stored = Token {
            secret: StoredSecret(token.proof_key()),
            kind: spec.kind,
            names: spec.names.clone(),
            uses_left: spec.uses,
            created_at: at,
            expires_at: at.saturating_add(spec.lifetime.as_secs()),
            redeemed: Default::default(),
        };
        self.submit(Command::CreateToken { id: token.id, token: stored, at })?;
        tracing::info!(target: "audit", token = %token.id, kind = %spec.kind, names = %spec.names, by, "token created");
        Ok(token)
    }

    pub fn withdraw_token(
        &mut self,
        id: TokenId,
        by: &str,
        now: UnixTime,
    ) -> Result<(), EnrolError> {
        self.submit(Command::WithdrawToken { id, at: now.as_secs() })?;
        tracing::info!(target: "audit", token = %id, by, "token withdrawn");
        Ok(())
    }

    /// Answers an applicant that has a token.
    pub fn enrol(
        &mut self,
        request: &EnrolRequest,
        now: UnixTime,
    ) -> Result<EnrolAnswer, EnrolError> {
        let applicant = Applicant::from_pem(&request.csr)?;
        applicant.check_name(&request.name)?;
        let id = request.token;
        // An unknown token costs the same time as a wrong proof.
        let nobody = StoredSecret(Hex([0; 32]));
        let token = self.state().tokens.get(&id);
        let secret = token.map_or(&nobody, |token| &token.secret);
        let proven = is_proven(&secret.0, id, &request.name, applicant.der(), &request.proof);
        if token.is_none() || !proven {
            return Err(self.refuse(Refusal::UnknownToken, &request.name));
        }
        let (name, key) = (request.name.clone(), applicant.key_hash());
        let command = Command::Redeem { token: id, name, key, at: now.as_secs() };
        self.grant(command, &applicant, &request.name, now)
    }

    /// Puts an applicant without a token on the list, or answers one that was approved.
    pub fn ask_approval(
        &mut self,
        request: &ApprovalRequest,
        now: UnixTime,
    ) -> Result<ApprovalAnswer, EnrolError> {
        let applicant = Applicant::from_pem(&request.csr)?;
        applicant.check_name(&request.name)?;
        let subject = Subject::new(request.kind, &request.name)?;
        let (key, facts) = (applicant.key_hash(), request.facts.clone());
        let at = now.as_secs();
        match self.submit(Command::AskApproval { subject, key, facts, at })? {
            Outcome::Granted { subject, .. } => {
                Ok(ApprovalAnswer::Approved(self.issue(&subject, applicant.public_key(), now)?))
            }
            _ => Ok(ApprovalAnswer::Pending { fingerprint: fingerprint(&key) }),
        }
    }

    /// Lets in the applicant with this fingerprint; it collects its certificate when it asks again.
    pub fn approve(
        &mut self,
        fingerprint: &str,
        by: &str,
        now: UnixTime,
    ) -> Result<Subject, EnrolError> {
        let key = self.find_pending(fingerprint)?;
        let command = Command::Approve { key, by: by.to_owned(), at: now.as_secs() };
        match self.submit(command)? {
            Outcome::Granted { subject, how } => {
                tracing::info!(target: "audit", %subject, fingerprint, by, ?how, "approved");
                self.publish_revocations();
                Ok(subject)
            }
            _ => Err(Refusal::NobodyWaits.into()),
        }
    }

    pub fn deny(&mut self, fingerprint: &str, by: &str, now: UnixTime) -> Result<(), EnrolError> {
        let key = self.find_pending(fingerprint)?;
        self.submit(Command::Deny { key, by: by.to_owned(), at: now.as_secs() })?;
        tracing::info!(target: "audit", fingerprint, by, "denied");
        Ok(())
    }

    /// Answers a renewal. `shown` is the identity of the connection, if it has one; without, the
    /// request has to bring an expired certificate.
    pub fn renew(
        &mut self,
        shown: Option<&Identity>,
        request: &RenewRequest,
        now: UnixTime,
    ) -> Result<EnrolAnswer, EnrolError> {
        let applicant = Applicant::from_pem(&request.csr)?;
        let expired;
        let old = match (shown, &request.expired) {
            (Some(shown), _) => shown,
            (None, Some(credentials)) => {
                expired = self.check_expired(credentials, &applicant, now)?;
                &expired
            }
            (None, None) => return Err(EnrolError::Expired("no certificate to renew was shown")),
        };
        applicant.check_name(old.name())?;
        let command = Command::Renew {
            subject: old.subject.clone(),
            issued_at: old.issued_at().as_secs(),
            old: old.key,
            new: applicant.key_hash(),
            at: now.as_secs(),
        };
        let name = old.subject.to_string();
        self.grant(command, &applicant, &name, now)
    }

    /// Voids all certificates of a subject issued up to now, at every server within moments.
    pub fn revoke(
        &mut self,
        subject: &Subject,
        reason: &str,
        by: &str,
        now: UnixTime,
    ) -> Result<(), EnrolError> {
        let (reason, by) = (reason.to_owned(), by.to_owned());
        tracing::info!(target: "audit", %subject, reason, by, "revoked");
        let subject = subject.clone();
        self.submit(Command::Revoke { subject, reason, by, at: now.as_secs() })?;
        self.publish_revocations();
        Ok(())
    }

    /// Takes a backup's register; what was revoked since stays revoked.
    pub fn restore(&mut self, backup: State, by: &str, now: UnixTime) -> Result<(), EnrolError> {
        self.submit(Command::Restore { backup: Box::new(backup), at: now.as_secs() })?;
        tracing::warn!(target: "audit", by, "register restored from a backup");
        self.publish_revocations();
        Ok(())
    }

    /// Revocation lists for outsiders, one of each of our keys.
    pub fn crls(
        &self,
        now: UnixTime,
    ) -> Result<Vec<CertificateRevocationListDer<'static>>, PkiError> {
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
            self.publish_revocations();
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
        let chain = self.authority.issue(&request, public_key, now)?;
        let leaf = Identity::from_certificate(&chain[0])?;
        self.submit(Command::Record {
            serial: leaf.serial.iter().map(|byte| format!("{byte:02x}")).collect(),
            subject: subject.clone(),
            issuer: public_key_hash(&chain[1])?,
            until: leaf.not_after.as_secs(),
            at: now.as_secs(),
        })?;
        let trust_bundle = certificates_to_pem(self.authority.trust_bundle());
        Ok(EnrolAnswer { chain: certificates_to_pem(&chain), trust_bundle })
    }

    /// The identity of an expired certificate, if it entitles to a new one.
    fn check_expired(
        &self,
        expired: &ExpiredCredentials,
        applicant: &Applicant,
        now: UnixTime,
    ) -> Result<Identity, EnrolError> {
        let unusable = EnrolError::Expired;
        let chain = certificates_from_pem(expired.chain.as_bytes())
            .map_err(|_| unusable("the expired chain cannot be read"))?;
        let leaf = chain.first().ok_or(unusable("the expired chain is empty"))?;
        let (_, end) = validity(leaf)?;
        if now.as_secs() >= end.as_secs().saturating_add(RENEWAL_GRACE.as_secs()) {
            return Err(unusable("the certificate expired too long ago; enrol with a new token"));
        }
        // Judged as of its last second: everything but its age must be in order.
        let last = seconds_after_epoch(end.as_secs().saturating_sub(1)).min(now);
        verify_chain(&chain, self.authority.trust_bundle(), last)
            .map_err(|_| unusable("the expired chain does not lead to a trusted root"))?;
        if !is_renewal_signed(leaf, applicant.der(), &expired.signature) {
            return Err(unusable("the request is not signed by the expired certificate's key"));
        }
        let identity = Identity::from_certificate(leaf)?;
        if identity.trust_domain != *self.authority.trust_domain() {
            return Err(unusable("the expired certificate is of another trust domain"));
        }
        Ok(identity)
    }

    fn find_pending(&self, text: &str) -> Result<KeyHash, Refusal> {
        let waits = self.state().pending.keys().find(|key| fingerprint(key) == text);
        waits.copied().ok_or(Refusal::NobodyWaits)
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

    fn publish_revocations(&self) {
        let entries = self.state().revoked.iter();
        let set: HashMap<_, _> = entries
            .map(|(subject, r)| (subject.clone(), seconds_after_epoch(r.issued_until)))
            .collect();
        self.revocations.publish(set);
    }
}
