//! What applicants ask for: a certificate by token, by approval, or by the one they have.

use rustls::pki_types::UnixTime;

use super::{EnrolError, RENEWAL_GRACE, Registrar};
use crate::certificate::{seconds_after_epoch, validity};
use crate::client_tls::verify_chain;
use crate::credentials::certificates_from_pem;
use crate::csr::Applicant;
use crate::enrolment::{
    ApprovalAnswer, ApprovalRequest, EnrolAnswer, EnrolRequest, ExpiredCredentials, RenewRequest,
    approval_code, is_renewal_signed,
};
use crate::hash::Hex;
use crate::identity::{Identity, Subject};
use crate::ledger::{Command, Outcome, Refusal};
use crate::token::{StoredSecret, is_proven};

impl Registrar {
    /// Answers an applicant that has a token.
    pub fn enrol(
        &mut self,
        request: &EnrolRequest,
        now: UnixTime,
    ) -> Result<EnrolAnswer, EnrolError> {
        let applicant = Applicant::from_pem(&request.csr)?;
        applicant.check_name(&request.name)?;
        if !self.is_invited(request, &applicant) {
            return Err(self.refuse(Refusal::UnknownToken, &request.name));
        }
        let id = request.token;
        let (name, key) = (request.name.clone(), applicant.key_hash());
        let command = Command::Redeem { token: id, name, key, at: now.as_secs() };
        self.grant(command, &applicant, &request.name, now)
    }

    /// Does the request prove a token that exists? An unknown token costs the same time as a wrong
    /// proof, so that the time tells nobody which tokens there are.
    pub(super) fn is_invited(&self, request: &EnrolRequest, applicant: &Applicant) -> bool {
        let id = request.token;
        let nobody = StoredSecret(Hex([0; 32]));
        let token = self.state().tokens.get(&id);
        let secret = token.map_or(&nobody, |token| &token.secret);
        let proven = is_proven(&secret.0, id, &request.name, applicant.der(), &request.proof);
        token.is_some() && proven
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
            _ => Ok(ApprovalAnswer::Pending {
                fingerprint: approval_code(&key, &self.authority.root_pin()?),
            }),
        }
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
}
