//! What an administrator does: tokens, approvals, revocations, a backup's return.

use std::time::Duration;

use rustls::pki_types::UnixTime;

use super::{EnrolError, Registrar};
use crate::bearer::{Bearer, BearerToken};
use crate::enrolment::approval_code;
use crate::hash::KeyHash;
use crate::identity::{Kind, Subject};
use crate::ledger::{Command, Outcome, Refusal, State, Token};
use crate::pattern::NamePattern;
use crate::token::{EnrolmentToken, StoredSecret, TokenId};

const USES_MAX: u32 = 10_000;
const TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(30 * 86_400);
const BEARER_LIFETIME_MAX: Duration = Duration::from_secs(400 * 86_400);

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

/// Whom a new bearer token stands for.
#[derive(Debug, Clone)]
pub struct BearerSpec {
    pub subject: Subject,
    /// At most 400 days.
    pub lifetime: Duration,
}

impl Registrar {
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

    /// Makes a bearer token. Its text is shown to the caller once and cannot be had again.
    pub fn create_bearer(
        &mut self,
        spec: &BearerSpec,
        by: &str,
        now: UnixTime,
    ) -> Result<BearerToken, EnrolError> {
        let BearerSpec { subject, lifetime } = spec;
        let valid = subject.kind() != Kind::Node
            && (Duration::from_secs(1)..=BEARER_LIFETIME_MAX).contains(lifetime);
        if !valid {
            return Err(EnrolError::BearerSpec);
        }
        let token = BearerToken::generate()?;
        let at = now.as_secs();
        let bearer = Bearer {
            secret: StoredSecret(token.hash()),
            subject: subject.clone(),
            created_at: at,
            expires_at: at.saturating_add(lifetime.as_secs()),
        };
        self.submit(Command::CreateBearer { id: token.id, bearer, at })?;
        self.publish();
        tracing::info!(target: "audit", token = %token.id, %subject, by, "bearer token created");
        Ok(token)
    }

    /// Withdraws an enrolment token or a bearer token.
    pub fn withdraw(&mut self, id: TokenId, by: &str, now: UnixTime) -> Result<(), EnrolError> {
        if self.state().tokens.contains_key(&id) {
            return self.withdraw_token(id, by, now);
        }
        self.submit(Command::WithdrawBearer { id, at: now.as_secs() })?;
        self.publish();
        tracing::info!(target: "audit", token = %id, by, "bearer token withdrawn");
        Ok(())
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
                self.publish();
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
        self.publish();
        Ok(())
    }

    /// Takes a backup's register; what was revoked since stays revoked.
    pub fn restore(&mut self, backup: State, by: &str, now: UnixTime) -> Result<(), EnrolError> {
        self.submit(Command::Restore { backup: Box::new(backup), at: now.as_secs() })?;
        tracing::warn!(target: "audit", by, "register restored from a backup");
        self.publish();
        Ok(())
    }

    fn find_pending(&self, text: &str) -> Result<KeyHash, EnrolError> {
        let root = self.authority.root_pin().map_err(EnrolError::from)?;
        let waits = self.state().pending.keys().find(|key| approval_code(key, &root) == text);
        Ok(waits.copied().ok_or(Refusal::NobodyWaits)?)
    }
}
