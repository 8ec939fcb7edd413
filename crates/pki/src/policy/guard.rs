//! Decides on one request: certificate still valid, identity not revoked, policy willing.
//!
//! Consulted on every request of a living connection, so that a revocation or a changed policy
//! takes effect at once. Lock-free; revocations and policy are swapped in by their owners.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::UnixTime;

use super::{Denial, Grant, Policy, Verb};
use crate::identity::Identity;
use crate::revocation::Revocations;

/// Policy and revocations in force.
#[derive(Debug)]
pub struct Guard {
    policy: ArcSwap<Policy>,
    revocations: Arc<Revocations>,
}

/// Why a request is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    #[error("the certificate was revoked")]
    Revoked,
    #[error("the certificate has expired; connect again with its successor")]
    Expired,
    #[error(transparent)]
    Denied(#[from] Denial),
}

impl NotAdmitted {
    /// Is the whole connection worthless, not only this request?
    pub fn ends_connection(self) -> bool {
        !matches!(self, Self::Denied(_))
    }
}

impl Guard {
    pub fn new(policy: Policy, revocations: Arc<Revocations>) -> Self {
        Self { policy: ArcSwap::from_pointee(policy), revocations }
    }

    /// Puts another policy in force. One that cannot be built cannot get here: the old one stays.
    pub fn replace_policy(&self, policy: Policy) {
        self.policy.store(policy.into());
    }

    pub fn policy(&self) -> Arc<Policy> {
        self.policy.load_full()
    }

    /// Is the certificate or token that this identity was read from void?
    pub fn is_revoked(&self, caller: &Identity) -> bool {
        self.revocations.is_revoked(caller)
    }

    /// May this caller do this now?
    pub fn admit(
        &self,
        caller: &Identity,
        verb: Verb,
        now: UnixTime,
    ) -> Result<Arc<Grant>, NotAdmitted> {
        if self.revocations.is_revoked(caller) {
            return Err(NotAdmitted::Revoked);
        }
        if now >= caller.not_after {
            return Err(NotAdmitted::Expired);
        }
        Ok(self.policy.load().decide(&caller.subject, verb)?.clone())
    }
}
