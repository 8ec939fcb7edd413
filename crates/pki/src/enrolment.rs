//! What an applicant and the authority say to each other, and the applicant's side of it.
//!
//! Messages are plain data (JSON on the wire, PEM inside); sending them is the caller's business.
//! Invariant: a private key is made here, stays here, and an answer is believed only if its leaf is
//! for that key, names the wanted identity, and leads to the pinned root.

use std::collections::BTreeMap;

use rcgen::{KeyPair, PublicKeyData, SigningKey};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, UnparsedPublicKey, VerificationAlgorithm,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use serde::{Deserialize, Serialize};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::client_tls::verify_chain;
use crate::credentials::{
    Credentials, certificates_from_pem, certificates_to_pem, generate_key, has_public_key,
};
use crate::csr;
use crate::error::PkiError;
use crate::hash::KeyHash;
use crate::identity::{Identity, Kind, Subject};
use crate::token::{EnrolmentToken, Proof, TokenId};

/// "I was invited": asks for a certificate by token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolRequest {
    pub token: TokenId,
    /// The wanted name; the token fixes the kind.
    pub name: String,
    /// PKCS#10 in PEM.
    pub csr: String,
    pub proof: Proof,
}

/// "Let me in": asks for a certificate that an administrator approves. Asked again with the same
/// key to learn of the verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalRequest {
    pub kind: Kind,
    pub name: String,
    /// PKCS#10 in PEM.
    pub csr: String,
    /// What helps the administrator to recognise the machine, such as addresses or serial numbers.
    #[serde(default)]
    pub facts: BTreeMap<String, String>,
}

/// "Another one please": asks for the successor of the certificate the connection shows, or of an
/// expired one that comes along.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewRequest {
    /// PKCS#10 in PEM, usually for a new key.
    pub csr: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired: Option<ExpiredCredentials>,
}

/// Proves possession of an expired certificate's key, which no handshake accepts any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpiredCredentials {
    /// PEM, leaf first.
    pub chain: String,
    /// ECDSA signature of the signing request, DER bytes.
    pub signature: Vec<u8>,
}

/// A certificate, and whom to trust from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolAnswer {
    /// PEM, leaf first.
    pub chain: String,
    /// All trusted roots in PEM.
    pub trust_bundle: String,
}

/// The state of an approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum ApprovalAnswer {
    /// An administrator compares this fingerprint with the one on the applicant's screen.
    Pending {
        fingerprint: String,
    },
    Approved(EnrolAnswer),
}

/// A key that is still to get its certificate.
///
/// Keep it until the answer is there: asking again with the same key is always safe.
pub struct ApplicantKey {
    key: KeyPair,
    csr: String,
    csr_der: Vec<u8>,
}

impl ApplicantKey {
    pub fn generate() -> Result<Self, PkiError> {
        Self::from_key(generate_key()?)
    }

    /// Takes up a key that was stored in PEM; the error says what is wrong with the text.
    pub fn from_pem(pem: &str) -> Result<Self, String> {
        let key = crate::credentials::key_from_pem(pem.as_bytes())?;
        Self::from_key(key).map_err(|e| e.to_string())
    }

    /// The private key in PEM, to be stored.
    pub fn to_pem(&self) -> String {
        crate::credentials::key_to_pem(&self.key)
    }

    fn from_key(key: KeyPair) -> Result<Self, PkiError> {
        let csr = csr::request(&key)?;
        let csr_der = pem::parse(&csr).map(pem::Pem::into_contents).unwrap_or_default();
        Ok(Self { key, csr, csr_der })
    }

    /// For an administrator to compare, given the root that the applicant was shown.
    pub fn approval_code(&self, root: &KeyHash) -> String {
        approval_code(&crate::hash::sha256(&self.key.subject_public_key_info()), root)
    }

    pub fn enrol(&self, token: &EnrolmentToken, name: &str) -> EnrolRequest {
        EnrolRequest {
            token: token.id,
            name: name.to_owned(),
            csr: self.csr.clone(),
            proof: token.prove(name, &self.csr_der),
        }
    }

    pub fn ask_approval(
        &self,
        subject: &Subject,
        facts: BTreeMap<String, String>,
    ) -> ApprovalRequest {
        let name = subject.name().to_owned();
        ApprovalRequest { kind: subject.kind(), name, csr: self.csr.clone(), facts }
    }

    /// Asks over a connection that shows the current certificate.
    pub fn renew(&self) -> RenewRequest {
        RenewRequest { csr: self.csr.clone(), expired: None }
    }

    /// Asks with a certificate that has expired.
    pub fn renew_expired(&self, expired: &Credentials) -> Result<RenewRequest, PkiError> {
        let signature = expired.key.sign(&renewal_message(&self.csr_der))?;
        let chain = certificates_to_pem(&expired.chain);
        let expired = Some(ExpiredCredentials { chain, signature });
        Ok(RenewRequest { csr: self.csr.clone(), expired })
    }

    /// Checks an answer: the leaf is for this key, and under the new bundle its chain is good. With
    /// a token, one root of the bundle has to be the pinned one.
    pub fn accept(
        self,
        answer: &EnrolAnswer,
        pin: Option<&KeyHash>,
        now: UnixTime,
    ) -> Result<Enrolled, AnswerError> {
        let chain = certificates_from_pem(answer.chain.as_bytes()).map_err(AnswerError::Pem)?;
        let trust_bundle =
            certificates_from_pem(answer.trust_bundle.as_bytes()).map_err(AnswerError::Pem)?;
        let leaf = chain.first().ok_or(AnswerError::OtherKey)?;
        if !has_public_key(leaf, &self.key) {
            return Err(AnswerError::OtherKey);
        }
        let identity = Identity::from_certificate(leaf).map_err(PkiError::from)?;
        if let Some(pin) = pin {
            let hashes = trust_bundle.iter().map(crate::certificate::public_key_hash);
            if !hashes.flatten().any(|hash| hash == *pin) {
                return Err(AnswerError::OtherRoot);
            }
        }
        verify_chain(&chain, &trust_bundle, now)?;
        Ok(Enrolled { identity, credentials: Credentials { chain, key: self.key }, trust_bundle })
    }
}

/// What an applicant has in the end.
#[derive(Debug)]
pub struct Enrolled {
    pub identity: Identity,
    pub credentials: Credentials,
    pub trust_bundle: Vec<CertificateDer<'static>>,
}

/// Why an answer is not believed.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    #[error("the answer cannot be read: {0}")]
    Pem(String),
    #[error("the certificate is for another key")]
    OtherKey,
    #[error("the trust bundle does not hold the root that the token pins")]
    OtherRoot,
    #[error("the certificate does not lead to the trust bundle: {0}")]
    Chain(#[from] rustls::Error),
    #[error(transparent)]
    Pki(#[from] PkiError),
}

/// Eighty bits of a key's hash in groups, to be compared by eye.
pub fn fingerprint(key: &KeyHash) -> String {
    let text = key.to_string();
    let groups: Vec<&str> = (0..5).map(|i| &text[4 * i..4 * i + 4]).collect();
    groups.join("-")
}

/// The fingerprint of an applicant's key and of the root it was shown: when both sides show the same
/// one, nobody stands between them.
pub fn approval_code(key: &KeyHash, root: &KeyHash) -> String {
    let both = [b"metricstor approval\0", &key.0[..], &root.0].concat();
    fingerprint(&crate::hash::sha256(&both))
}

/// Did the holder of the leaf's key sign this renewal?
pub(crate) fn is_renewal_signed(
    leaf: &CertificateDer<'_>,
    csr_der: &[u8],
    signature: &[u8],
) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(leaf) else { return false };
    let point = &*parsed.public_key().subject_public_key.data;
    // The length of an uncompressed point tells the curve.
    let algorithm: &dyn VerificationAlgorithm = match point.len() {
        65 => &ECDSA_P256_SHA256_ASN1,
        97 => &ECDSA_P384_SHA384_ASN1,
        _ => return false,
    };
    let key = UnparsedPublicKey::new(algorithm, point);
    key.verify(&renewal_message(csr_der), signature).is_ok()
}

fn renewal_message(csr_der: &[u8]) -> Vec<u8> {
    [b"metricstor renewal\0", csr_der].concat()
}
