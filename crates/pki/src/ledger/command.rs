//! What may happen to the register, and what comes of it.
//!
//! A command carries everything its effect depends on, the time included, so that every replica
//! that applies it comes to the same state.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::state::{State, Token};
use crate::bearer::Bearer;
use crate::hash::KeyHash;
use crate::identity::Subject;
use crate::token::TokenId;

/// Seconds since the Unix epoch.
pub type Seconds = u64;

/// A change to the register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Command {
    CreateToken {
        id: TokenId,
        token: Token,
        at: Seconds,
    },
    WithdrawToken {
        id: TokenId,
        at: Seconds,
    },
    CreateBearer {
        id: TokenId,
        bearer: Bearer,
        at: Seconds,
    },
    WithdrawBearer {
        id: TokenId,
        at: Seconds,
    },
    /// The holder of `key` has proven the token's secret.
    Redeem {
        token: TokenId,
        name: String,
        key: KeyHash,
        at: Seconds,
    },
    /// The holder of `key` asks to be let in without a token, or asks again.
    AskApproval {
        subject: Subject,
        key: KeyHash,
        facts: BTreeMap<String, String>,
        at: Seconds,
    },
    Approve {
        key: KeyHash,
        by: String,
        at: Seconds,
    },
    Deny {
        key: KeyHash,
        by: String,
        at: Seconds,
    },
    /// The holder of a certificate for `old`, issued at `issued_at`, wants one for `new`.
    Renew {
        subject: Subject,
        issued_at: Seconds,
        old: KeyHash,
        new: KeyHash,
        at: Seconds,
    },
    /// Certificates of the subject issued up to `at` are void.
    Revoke {
        subject: Subject,
        reason: String,
        by: String,
        at: Seconds,
    },
    /// A certificate was signed.
    Record {
        serial: String,
        subject: Subject,
        issuer: KeyHash,
        until: Seconds,
        at: Seconds,
    },
    /// A backup takes the place of the state; what was revoked since stays revoked.
    Restore {
        backup: Box<State>,
        at: Seconds,
    },
}

impl Command {
    pub fn at(&self) -> Seconds {
        match self {
            Self::CreateToken { at, .. }
            | Self::WithdrawToken { at, .. }
            | Self::CreateBearer { at, .. }
            | Self::WithdrawBearer { at, .. }
            | Self::Redeem { at, .. }
            | Self::AskApproval { at, .. }
            | Self::Approve { at, .. }
            | Self::Deny { at, .. }
            | Self::Renew { at, .. }
            | Self::Revoke { at, .. }
            | Self::Record { at, .. }
            | Self::Restore { at, .. } => *at,
        }
    }
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// The key may have a certificate for this subject.
    Granted {
        subject: Subject,
        how: Granted,
    },
    /// An administrator has to approve or deny first.
    Pending,
    /// Nothing changed.
    Refused(Refusal),
}

/// How a grant came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granted {
    /// For the first time.
    New,
    /// The same key asked again, perhaps because the answer was lost.
    Again,
    /// Another key held the name; its certificates are void now.
    Replaced,
    /// Renewed by a key that is not the identity's latest: somebody has a copy, or a renewal was
    /// given up half-way. Worth an alarm.
    Forked,
}

/// Why a command changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("no such token, or the proof does not fit")]
    UnknownToken,
    #[error("the token has expired")]
    TokenExpired,
    #[error("the token has been used")]
    TokenUsed,
    #[error("a token with this id exists")]
    TokenExists,
    #[error("the token is not for this name")]
    NameNotAllowed,
    #[error("the name belongs to another key; to replace it, make a token for exactly this name")]
    NameTaken,
    #[error("the identity was revoked")]
    Revoked,
    #[error(
        "certificates of this name are void up to a time that is still to come, because the clock of \
         the authority was set back since; take another name"
    )]
    ClockSetBack,
    #[error("the identity is not enrolled")]
    NotEnrolled,
    #[error("nobody with this fingerprint waits for approval")]
    NobodyWaits,
    #[error("an administrator denied the request")]
    Denied,
    #[error("too many entries of this sort; let some expire")]
    Full,
    #[error("a text is too long")]
    TooLong,
}

impl Refusal {
    /// Does it hint at an attack, rather than at a mistake or a delay?
    pub fn is_alarming(self) -> bool {
        matches!(self, Self::TokenUsed | Self::NameTaken | Self::Revoked | Self::UnknownToken)
    }
}
