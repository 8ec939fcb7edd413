//! Bearer tokens, `msb1.<id>.<secret>`: an identity for clients that cannot renew certificates.
//!
//! They are good over TLS only, end by themselves, and fall with their identity when that is revoked.
//! Invariant: the register keeps a hash of the secret, good for nothing but recognising it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use arc_swap::ArcSwap;
use rustls::pki_types::UnixTime;
use serde::{Deserialize, Serialize};

use crate::certificate::{random, seconds_after_epoch};
use crate::error::PkiError;
use crate::hash::{Hex, sha256};
use crate::identity::{BACKDATE, Identity, Subject, TrustDomain};
use crate::ledger::Seconds;
use crate::token::{StoredSecret, TokenError, TokenId};

const VERSION: &str = "msb1";

/// A bearer token as its holder has it. Not printable by accident.
pub struct BearerToken {
    pub id: TokenId,
    secret: Hex<32>,
}

/// What the register keeps of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bearer {
    pub secret: StoredSecret,
    pub subject: Subject,
    pub created_at: Seconds,
    pub expires_at: Seconds,
}

impl BearerToken {
    pub(crate) fn generate() -> Result<Self, PkiError> {
        Ok(Self { id: Hex(random()?), secret: Hex(random()?) })
    }

    fn parse(text: &str) -> Result<Self, TokenError> {
        let mut parts = text.trim_ascii().split('.');
        let mut next = || parts.next().ok_or(TokenError);
        if next()? != VERSION {
            return Err(TokenError);
        }
        let token = Self { id: next()?.parse()?, secret: next()?.parse()? };
        if parts.next().is_none() { Ok(token) } else { Err(TokenError) }
    }

    /// The text to hand over, secret included.
    pub fn reveal(&self) -> String {
        format!("{VERSION}.{}.{}", self.id, self.secret)
    }

    /// The secret is 256 random bits: a plain hash of it cannot be searched.
    pub(crate) fn hash(&self) -> Hex<32> {
        sha256(&[b"metricstor bearer secret\0", &self.secret.0[..]].concat())
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerToken").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Drop for BearerToken {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.secret.0);
    }
}

/// The published set. Written by its one owner, asked at every request that brings a token.
#[derive(Debug)]
pub struct Bearers {
    trust_domain: TrustDomain,
    known: ArcSwap<HashMap<TokenId, Bearer>>,
}

impl Bearers {
    pub(crate) fn new(trust_domain: TrustDomain) -> Self {
        Self { trust_domain, known: ArcSwap::default() }
    }

    pub(crate) fn publish(&self, all: &BTreeMap<TokenId, Bearer>) {
        let all = all.iter().map(|(id, bearer)| (*id, bearer.clone()));
        self.known.store(all.collect::<HashMap<_, _>>().into());
    }

    /// Whom the token stands for, in the shape of a certificate's identity, so that expiry and
    /// revocation are judged alike. `None` for a token that is unknown, withdrawn or garbage.
    pub fn identify(&self, text: &str) -> Option<Identity> {
        let token = BearerToken::parse(text).ok()?;
        let known = self.known.load();
        let bearer = known.get(&token.id)?;
        let hash = token.hash();
        // Hashes may be compared in any time: their beginnings tell nothing about the secret's.
        if hash != bearer.secret.0 {
            return None;
        }
        let not_before = bearer.created_at.saturating_sub(BACKDATE.as_secs());
        Some(Identity {
            subject: bearer.subject.clone(),
            trust_domain: self.trust_domain.clone(),
            not_before: seconds_after_epoch(not_before),
            not_after: seconds_after_epoch(bearer.expires_at),
            serial: token.id.0.to_vec(),
            key: hash,
        })
    }

    /// Is `now` within the life of any token? Until then nobody needs to be asked for one.
    pub fn is_empty(&self, now: UnixTime) -> bool {
        !self.known.load().values().any(|bearer| now.as_secs() < bearer.expires_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_recognised_by_its_secret_and_nothing_else() {
        let token = BearerToken::generate().unwrap();
        let bearer = Bearer {
            secret: StoredSecret(token.hash()),
            subject: "service/grafana".parse().unwrap(),
            created_at: 1_000,
            expires_at: 2_000,
        };
        let bearers = Bearers::new("d.example".parse().unwrap());
        assert!(bearers.identify(&token.reveal()).is_none(), "not yet published");
        bearers.publish(&[(token.id, bearer)].into());
        let identity = bearers.identify(&token.reveal()).unwrap();
        assert_eq!(identity.subject.to_string(), "service/grafana");
        assert_eq!(identity.issued_at().as_secs(), 1_000);
        assert_eq!(identity.not_after.as_secs(), 2_000);
        let text = token.reveal();
        for (position, _) in text.char_indices() {
            let mut wrong = text.clone().into_bytes();
            wrong[position] = if wrong[position] == b'0' { b'1' } else { b'0' };
            assert!(bearers.identify(std::str::from_utf8(&wrong).unwrap()).is_none());
        }
        for text in ["", "msb1", "msb1..", &text[..text.len() - 1], &format!("{text}.x")] {
            assert!(bearers.identify(text).is_none(), "{text}");
        }
        assert!(!format!("{token:?}").contains(&text[22..]), "secrets do not print");
    }
}
