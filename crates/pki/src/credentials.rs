//! A certificate chain with its private key, in memory and as PEM.
//!
//! Invariant: the key never appears in `Debug` output or in an error.

use std::fmt;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::certificate::{seconds_after_epoch, validity};
use crate::error::PkiError;
use crate::identity::{Identity, IdentityError};

const CERTIFICATE: &str = "CERTIFICATE";
const PRIVATE_KEY: &str = "PRIVATE KEY";
const LF: pem::EncodeConfig = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);

/// What a party shows and what it proves it with: leaf first, then the issuing certificates.
pub struct Credentials {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: KeyPair,
}

impl Credentials {
    /// Reads a certificate chain and its private key from PEM; the error says what is wrong.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, String> {
        let (chain, key) = (certificates_from_pem(chain)?, key_from_pem(key)?);
        match chain.first() {
            Some(leaf) if has_public_key(leaf, &key) => Ok(Self { chain, key }),
            _ => Err("the certificate is for another key".into()),
        }
    }

    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// When to renew: at its kind's share of the time from the leaf's start to the first end in its
    /// chain, two thirds for most, give or take a tenth. `jitter` from -1 to 1 spreads a fleet that was enrolled at once.
    pub fn renewal_time(&self, jitter: f64) -> Result<UnixTime, PkiError> {
        let mut ends = Vec::with_capacity(self.chain.len());
        for certificate in &self.chain {
            ends.push(validity(certificate)?.1.as_secs());
        }
        let leaf = self.chain.first().ok_or(IdentityError::Certificate)?;
        let start = validity(leaf)?.0.as_secs();
        let end = ends.into_iter().min().unwrap_or(start);
        let (numerator, denominator) = Identity::from_certificate(leaf)?.kind().renewal_share();
        let share = numerator as f64 / denominator as f64 * (1.0 + 0.1 * jitter.clamp(-1.0, 1.0));
        let after = end.saturating_sub(start) as f64 * share;
        Ok(seconds_after_epoch(start.saturating_add(after as u64)))
    }

    /// The private key in PKCS#8.
    pub fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("certificates", &self.chain.len())
            .finish_non_exhaustive()
    }
}

/// A fresh P-256 key.
pub(crate) fn generate_key() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
}

/// Encodes certificates as PEM, in order.
pub fn certificates_to_pem(certificates: &[CertificateDer<'_>]) -> String {
    certificates.iter().map(|der| encode(CERTIFICATE, der)).collect()
}

pub(crate) fn key_to_pem(key: &KeyPair) -> String {
    encode(PRIVATE_KEY, key.serialized_der())
}

/// Reads a PEM file of certificates and nothing else; fails in words fit for [`Damaged`].
///
/// [`Damaged`]: crate::PkiError::Damaged
pub fn certificates_from_pem(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let blocks = pem::parse_many(bytes).map_err(|e| e.to_string())?;
    if blocks.is_empty() {
        return Err("no PEM block in it".into());
    }
    blocks.into_iter().map(certificate).collect()
}

/// Reads a PEM file that holds one private key and nothing else.
pub(crate) fn key_from_pem(bytes: &[u8]) -> Result<KeyPair, String> {
    match <[pem::Pem; 1]>::try_from(pem::parse_many(bytes).map_err(|e| e.to_string())?) {
        Ok([block]) => key(block),
        Err(blocks) => Err(format!("{} PEM blocks in it, expected one private key", blocks.len())),
    }
}

/// Reads a PEM file of one private key followed by its certificates.
pub(crate) fn key_and_certificates_from_pem(
    bytes: &[u8],
) -> Result<(KeyPair, Vec<CertificateDer<'static>>), String> {
    let mut blocks = pem::parse_many(bytes).map_err(|e| e.to_string())?.into_iter();
    let key = key(blocks.next().ok_or("no PEM block in it")?)?;
    let certificates = blocks.map(certificate).collect::<Result<Vec<_>, _>>()?;
    match certificates.first() {
        Some(first) if has_public_key(first, &key) => Ok((key, certificates)),
        Some(_) => Err("the certificate is for another key".into()),
        None => Err("no certificate in it".into()),
    }
}

/// Is the certificate for this key?
pub(crate) fn has_public_key(certificate: &CertificateDer<'_>, key: &KeyPair) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, parsed)| {
        *parsed.public_key().subject_public_key.data == *key.public_key_raw()
    })
}

fn encode(tag: &str, der: &[u8]) -> String {
    pem::encode_config(&pem::Pem::new(tag, der), LF)
}

fn certificate(block: pem::Pem) -> Result<CertificateDer<'static>, String> {
    if block.tag() != CERTIFICATE {
        return Err(format!("a {:?} where a certificate is expected", block.tag()));
    }
    let der = block.into_contents();
    match X509Certificate::from_der(&der) {
        Ok(([], _)) => Ok(CertificateDer::from(der)),
        _ => Err("a certificate in it cannot be parsed".into()),
    }
}

fn key(block: pem::Pem) -> Result<KeyPair, String> {
    if block.tag() != PRIVATE_KEY {
        return Err(format!("a {:?} where a PKCS#8 private key is expected", block.tag()));
    }
    let der = PrivatePkcs8KeyDer::from(block.into_contents());
    KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256)
        .map_err(|_| "the private key in it is not a valid P-256 key".into())
}
