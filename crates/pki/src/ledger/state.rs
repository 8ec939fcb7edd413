//! The register: tokens, enrolled identities, pending requests, revocations, issued certificates.
//!
//! Invariants: `apply` is deterministic and reads no clock; a command that is refused or has been
//! applied before changes nothing, not even `index`; a revocation is never forgotten or moved back;
//! every collection that strangers can fill is bounded.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::command::{Command, Granted, Outcome, Refusal, Seconds};
use crate::bearer::Bearer;
use crate::hash::KeyHash;
use crate::identity::{Kind, Subject};
use crate::pattern::NamePattern;
use crate::token::{StoredSecret, TokenId};

const TOKENS_MAX: usize = 10_000;
const PENDING_MAX: usize = 1_000;
const FACTS_MAX: usize = 16;
const TEXT_LENGTH_MAX: usize = 256;
/// A request for approval waits this long; an approval can be collected this long.
const PENDING_LIFETIME: Seconds = 86_400;
/// How far ahead of the clock a certificate may be dated, so that it is later than a revocation.
pub const AHEAD_MAX: Seconds = 5;
/// Expired tokens are kept this long to tell "expired" from "unknown".
const TOKEN_AFTERLIFE: Seconds = 86_400;

/// Everything the authority knows beside its keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Number of commands that changed something.
    pub index: u64,
    pub tokens: BTreeMap<TokenId, Token>,
    pub enrolled: BTreeMap<Subject, Enrolment>,
    pub pending: BTreeMap<KeyHash, Pending>,
    pub revoked: BTreeMap<Subject, Revocation>,
    #[serde(default)]
    pub bearers: BTreeMap<TokenId, Bearer>,
    /// Certificates that have not expired, by serial number in hexadecimal.
    pub issued: BTreeMap<String, Issued>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub secret: StoredSecret,
    pub kind: Kind,
    pub names: NamePattern,
    pub uses_left: u32,
    pub created_at: Seconds,
    pub expires_at: Seconds,
    /// Keys that have redeemed it.
    pub redeemed: BTreeMap<KeyHash, Subject>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// The latest key.
    pub key: KeyHash,
    pub since: Seconds,
    pub renewed_at: Seconds,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    pub subject: Subject,
    /// What the applicant says about itself; nothing of it is verified.
    pub facts: BTreeMap<String, String>,
    pub since: Seconds,
    pub verdict: Option<Verdict>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Approved,
    Denied,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Certificates issued at or before this time are void.
    pub issued_until: Seconds,
    pub reason: String,
    pub by: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    pub subject: Subject,
    pub issuer: KeyHash,
    pub at: Seconds,
    pub until: Seconds,
}

impl Pending {
    fn is_alive(&self, at: Seconds) -> bool {
        at < self.since.saturating_add(PENDING_LIFETIME)
    }
}

/// The outcome of a command that changed nothing.
struct Unchanged(Outcome);

impl From<Refusal> for Unchanged {
    fn from(refusal: Refusal) -> Self {
        Self(Outcome::Refused(refusal))
    }
}

impl State {
    /// Applies one command; `index` tells whether it changed anything.
    pub fn apply(&mut self, command: Command) -> Outcome {
        let at = command.at();
        match self.change(command) {
            Ok(outcome) => {
                self.index = self.index.saturating_add(1);
                self.forget_expired(at);
                outcome
            }
            Err(Unchanged(outcome)) => outcome,
        }
    }

    /// Is a certificate of the subject, issued at this time, void?
    pub fn is_revoked(&self, subject: &Subject, issued_at: Seconds) -> bool {
        self.revoked.get(subject).is_some_and(|r| issued_at <= r.issued_until)
    }

    fn change(&mut self, command: Command) -> Result<Outcome, Unchanged> {
        match command {
            Command::CreateToken { id, token, .. } => self.create_token(id, token),
            Command::WithdrawToken { id, .. } => match self.tokens.remove(&id) {
                Some(_) => Ok(Outcome::Done),
                None => Err(Refusal::UnknownToken.into()),
            },
            Command::CreateBearer { id, bearer, .. } => self.create_bearer(id, bearer),
            Command::WithdrawBearer { id, .. } => match self.bearers.remove(&id) {
                Some(_) => Ok(Outcome::Done),
                None => Err(Refusal::UnknownToken.into()),
            },
            Command::Redeem { token, name, key, at } => self.redeem(token, &name, key, at),
            Command::AskApproval { subject, key, facts, at } => {
                self.ask_approval(subject, key, facts, at)
            }
            Command::Approve { key, by, at } => self.judge(key, &by, at, Verdict::Approved),
            Command::Deny { key, by, at } => self.judge(key, &by, at, Verdict::Denied),
            Command::Renew { subject, issued_at, old, new, at } => {
                if self.is_revoked(&subject, issued_at) {
                    return Err(Refusal::Revoked.into());
                }
                self.renew(subject, old, new, at)
            }
            Command::Revoke { subject, reason, by, at } => {
                check_lengths([&*reason, &*by])?;
                let issued_until = at.max(self.last_issued(&subject));
                self.revoke(subject, issued_until, reason, by);
                Ok(Outcome::Done)
            }
            Command::Record { serial, subject, issuer, until, at } => {
                check_lengths([&*serial])?;
                self.issued.insert(serial, Issued { subject, issuer, at, until });
                Ok(Outcome::Done)
            }
            Command::Restore { backup, .. } => {
                self.restore(*backup);
                Ok(Outcome::Done)
            }
        }
    }

    fn create_token(&mut self, id: TokenId, token: Token) -> Result<Outcome, Unchanged> {
        if self.tokens.len() >= TOKENS_MAX {
            return Err(Refusal::Full.into());
        }
        if self.tokens.contains_key(&id) {
            return Err(Refusal::TokenExists.into());
        }
        self.tokens.insert(id, token);
        Ok(Outcome::Done)
    }

    fn create_bearer(&mut self, id: TokenId, bearer: Bearer) -> Result<Outcome, Unchanged> {
        if self.bearers.len() >= TOKENS_MAX {
            return Err(Refusal::Full.into());
        }
        if self.bearers.contains_key(&id) || self.tokens.contains_key(&id) {
            return Err(Refusal::TokenExists.into());
        }
        self.bearers.insert(id, bearer);
        Ok(Outcome::Done)
    }

    fn redeem(
        &mut self,
        id: TokenId,
        name: &str,
        key: KeyHash,
        at: Seconds,
    ) -> Result<Outcome, Unchanged> {
        let token = self.tokens.get(&id).ok_or(Refusal::UnknownToken)?;
        if at >= token.expires_at {
            return Err(Refusal::TokenExpired.into());
        }
        let subject = Subject::new(token.kind, name).map_err(|_| Refusal::NameNotAllowed)?;
        if !token.names.matches(name) {
            return Err(Refusal::NameNotAllowed.into());
        }
        let known = token.redeemed.get(&key);
        if known.is_some_and(|known| *known != subject) {
            return Err(Refusal::NameNotAllowed.into());
        }
        let is_again = known.is_some();
        // Replacing another key revoked what was issued until then, later than this token was made.
        let is_holder = is_again && self.holds(&subject, key);
        if self.is_revoked(&subject, token.created_at) && !is_holder {
            return Err(Refusal::Revoked.into());
        }
        if is_again {
            return Err(Unchanged(Outcome::Granted { subject, how: Granted::Again }));
        }
        if token.uses_left == 0 {
            return Err(Refusal::TokenUsed.into());
        }
        let made_for_it = token.names.is_exact() && self.is_newer(&subject, token.created_at);
        let how = self.enrol(&subject, key, at, made_for_it)?;
        let token = self.tokens.get_mut(&id).expect("looked up above");
        token.uses_left -= 1;
        token.redeemed.insert(key, subject.clone());
        Ok(Outcome::Granted { subject, how })
    }

    /// Was this moment after the subject's enrolment, so that who acted then knew of it?
    fn is_newer(&self, subject: &Subject, moment: Seconds) -> bool {
        self.enrolled.get(subject).is_none_or(|enrolment| moment >= enrolment.since)
    }

    /// Is this the subject's key, enrolled since the subject's revocation, if there was one?
    fn holds(&self, subject: &Subject, key: KeyHash) -> bool {
        self.enrolled
            .get(subject)
            .is_some_and(|e| e.key == key && !self.is_revoked(subject, e.since))
    }

    /// From then on the subject's certificates are valid.
    fn valid_from(&self, subject: &Subject) -> Seconds {
        self.revoked.get(subject).map_or(0, |r| r.issued_until.saturating_add(1))
    }

    fn enrol(
        &mut self,
        subject: &Subject,
        key: KeyHash,
        at: Seconds,
        may_replace: bool,
    ) -> Result<Granted, Refusal> {
        let how = match self.enrolled.get(subject) {
            None => Granted::New,
            Some(enrolment) if enrolment.key == key => Granted::Again,
            Some(_) if may_replace => Granted::Replaced,
            Some(_) => return Err(Refusal::NameTaken),
        };
        let mut since = at.max(self.valid_from(subject));
        if how == Granted::Replaced {
            since = since.max(self.last_issued(subject).saturating_add(1));
        }
        if since.saturating_sub(at) > AHEAD_MAX {
            return Err(Refusal::ClockSetBack);
        }
        if how == Granted::Replaced {
            let reason = "replaced by another key".to_owned();
            self.revoke(subject.clone(), since.saturating_sub(1), reason, "enrolment".to_owned());
        }
        if how != Granted::Again {
            self.enrolled.insert(subject.clone(), Enrolment { key, since, renewed_at: since });
        }
        Ok(how)
    }

    fn ask_approval(
        &mut self,
        subject: Subject,
        key: KeyHash,
        facts: BTreeMap<String, String>,
        at: Seconds,
    ) -> Result<Outcome, Unchanged> {
        if let Some(pending) = self.pending.get(&key).filter(|pending| pending.is_alive(at)) {
            return Err(match pending.verdict {
                _ if pending.subject != subject => Refusal::NameNotAllowed.into(),
                None => Unchanged(Outcome::Pending),
                Some(Verdict::Denied) => Refusal::Denied.into(),
                // Revoked or replaced after the approval.
                Some(Verdict::Approved) if self.is_revoked(&subject, pending.since) => {
                    Refusal::Revoked.into()
                }
                Some(Verdict::Approved) => {
                    Unchanged(Outcome::Granted { subject, how: Granted::Again })
                }
            });
        }
        let waiting = self.pending.values().filter(|pending| pending.is_alive(at)).count();
        if waiting >= PENDING_MAX || facts.len() > FACTS_MAX {
            return Err(Refusal::Full.into());
        }
        check_lengths(facts.iter().flat_map(|(name, value)| [&**name, &**value]))?;
        self.pending.insert(key, Pending { subject, facts, since: at, verdict: None });
        Ok(Outcome::Pending)
    }

    fn judge(
        &mut self,
        key: KeyHash,
        by: &str,
        at: Seconds,
        verdict: Verdict,
    ) -> Result<Outcome, Unchanged> {
        check_lengths([by])?;
        let waits = |pending: &&Pending| pending.verdict.is_none() && pending.is_alive(at);
        let pending = self.pending.get(&key).filter(waits).ok_or(Refusal::NobodyWaits)?;
        let subject = pending.subject.clone();
        let outcome = match verdict {
            Verdict::Denied => Outcome::Done,
            Verdict::Approved => {
                let how = self.enrol(&subject, key, at, true)?;
                Outcome::Granted { subject: subject.clone(), how }
            }
        };
        let since = at.max(self.valid_from(&subject));
        let pending = self.pending.get_mut(&key).expect("looked up above");
        pending.verdict = Some(verdict);
        pending.since = since;
        Ok(outcome)
    }

    fn renew(
        &mut self,
        subject: Subject,
        old: KeyHash,
        new: KeyHash,
        at: Seconds,
    ) -> Result<Outcome, Unchanged> {
        let enrolment = self.enrolled.get_mut(&subject).ok_or(Refusal::NotEnrolled)?;
        let how = match enrolment.key {
            key if key == new => {
                return Err(Unchanged(Outcome::Granted { subject, how: Granted::Again }));
            }
            key if key == old => Granted::New,
            _ => Granted::Forked,
        };
        enrolment.key = new;
        enrolment.renewed_at = at;
        Ok(Outcome::Granted { subject, how })
    }

    /// When the subject last got anything: later than now, if the clock was set back since.
    fn last_issued(&self, subject: &Subject) -> Seconds {
        let certificates = self.issued.values().filter(|issued| issued.subject == *subject);
        let bearers = self.bearers.values().filter(|bearer| bearer.subject == *subject);
        let times = certificates.map(|issued| issued.at).chain(bearers.map(|b| b.created_at));
        times.max().unwrap_or(0)
    }

    fn revoke(&mut self, subject: Subject, issued_until: Seconds, reason: String, by: String) {
        let earlier = self.revoked.get(&subject).map_or(0, |revocation| revocation.issued_until);
        let issued_until = issued_until.max(earlier);
        self.revoked.insert(subject, Revocation { issued_until, reason, by });
    }

    /// The backup's view of everything, but no revocation and no issued certificate is unlearned.
    fn restore(&mut self, backup: State) {
        let live = std::mem::replace(self, backup);
        self.index = live.index;
        for (subject, revocation) in live.revoked {
            let Revocation { issued_until, reason, by } = revocation;
            self.revoke(subject, issued_until, reason, by);
        }
        self.issued.extend(live.issued);
        // A token that was used up since must not be usable again.
        self.tokens.retain(|id, token| live.tokens.get(id) == Some(token));
        self.bearers.retain(|id, bearer| live.bearers.get(id) == Some(bearer));
    }

    fn forget_expired(&mut self, at: Seconds) {
        self.tokens.retain(|_, token| at < token.expires_at.saturating_add(TOKEN_AFTERLIFE));
        self.bearers.retain(|_, bearer| at < bearer.expires_at);
        self.pending.retain(|_, pending| pending.is_alive(at));
        self.issued.retain(|_, issued| at < issued.until);
    }
}

fn check_lengths<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<(), Refusal> {
    let short = texts.into_iter().all(|text| text.len() <= TEXT_LENGTH_MAX);
    if short { Ok(()) } else { Err(Refusal::TooLong) }
}

#[cfg(test)]
mod tests;
