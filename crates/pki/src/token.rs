//! Enrolment tokens: `ms1.<id>.<secret>.<SHA-256 of the root's public key>`, all hexadecimal.
//!
//! A token tells its holder which authority to trust, and lets it prove to that authority, by an
//! HMAC over its signing request, that it was invited. Invariant: the secret never travels and is
//! never stored; the authority keeps a key derived from it by SHA-256, good for nothing else.

use std::fmt;

use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::certificate::random;
use crate::error::PkiError;
use crate::hash::{Hex, KeyHash, NotHex, sha256};

pub type TokenId = Hex<8>;
/// What the authority keeps of a secret. Who reads it can redeem that token: it stays in 0600 files.
pub type ProofKey = Hex<32>;
/// HMAC-SHA-256 over an enrolment request.
pub type Proof = Hex<32>;

const VERSION: &str = "ms1";

/// A token as its holder has it. Not printable by accident.
pub struct EnrolmentToken {
    pub id: TokenId,
    secret: Hex<32>,
    /// SHA-256 of the public key of the root that the server's chain must lead to.
    pub root_pin: KeyHash,
}

/// The text is not an enrolment token. Says nothing about the text, which may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an enrolment token: expected ms1.<id>.<secret>.<root>, copied whole")]
pub struct TokenError;

impl From<NotHex> for TokenError {
    fn from(_: NotHex) -> Self {
        Self
    }
}

impl EnrolmentToken {
    pub fn generate(root_pin: KeyHash) -> Result<Self, PkiError> {
        Ok(Self { id: Hex(random()?), secret: Hex(random()?), root_pin })
    }

    /// Reads the line that `reveal` wrote; surrounding blanks do not matter.
    pub fn parse(line: &str) -> Result<Self, TokenError> {
        let mut parts = line.trim_ascii().split('.');
        let mut next = || parts.next().ok_or(TokenError);
        if next()? != VERSION {
            return Err(TokenError);
        }
        let (id, secret, root_pin) = (next()?.parse()?, next()?.parse()?, next()?.parse()?);
        if parts.next().is_some() {
            return Err(TokenError);
        }
        Ok(Self { id, secret, root_pin })
    }

    /// Is this a token, or a part of one? Then it is no host to look up: names are not secret.
    pub fn is_meant(text: &str) -> bool {
        text.trim_ascii().split('.').next() == Some(VERSION)
    }

    /// The line to hand over, secret included.
    pub fn reveal(&self) -> String {
        format!("{VERSION}.{}.{}.{}", self.id, self.secret, self.root_pin)
    }

    pub fn proof_key(&self) -> ProofKey {
        sha256(&[b"metricstor enrolment secret\0", &self.secret.0[..]].concat())
    }

    /// Proves possession of the secret for one name and one signing request.
    pub fn prove(&self, name: &str, csr_der: &[u8]) -> Proof {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.proof_key().0);
        let tag = hmac::sign(&key, &message(self.id, name, csr_der));
        let mut proof = [0; 32];
        proof.copy_from_slice(tag.as_ref());
        Hex(proof)
    }
}

/// Checks a proof in constant time.
pub(crate) fn is_proven(
    key: &ProofKey,
    id: TokenId,
    name: &str,
    csr_der: &[u8],
    proof: &Proof,
) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key.0);
    hmac::verify(&key, &message(id, name, csr_der), &proof.0).is_ok()
}

fn message(id: TokenId, name: &str, csr_der: &[u8]) -> Vec<u8> {
    let name_length = (name.len() as u64).to_be_bytes();
    [b"metricstor enrolment\0", &id.0[..], &name_length, name.as_bytes(), csr_der].concat()
}

impl fmt::Debug for EnrolmentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrolmentToken").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Drop for EnrolmentToken {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.secret.0);
    }
}

/// The kept half of a token, as the register stores it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoredSecret(pub ProofKey);

impl fmt::Debug for StoredSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests;
