//! Certificate signing requests (PKCS#10): the applicant's public key, proven to be its own.
//!
//! Invariant: nothing but the key is taken from a request. One that asks for extensions, such as
//! names or the right to sign, is refused rather than trimmed: its author expects what it won't get.

use rcgen::{
    CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    PublicKeyData, SubjectPublicKeyInfo,
};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::oid_registry::{OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384};
use x509_parser::prelude::FromDer;

use crate::error::PkiError;
use crate::hash::{KeyHash, sha256};

const TAGS: [&str; 2] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];
/// PEM bytes; a P-384 request with a long subject is under 1 KiB.
const LENGTH_MAX: usize = 8 << 10;

/// Why a signing request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    #[error("the signing request is not one PEM block of PKCS#10 of at most 8 KiB")]
    Form,
    #[error("the key is not on the curve P-256 or P-384")]
    Key,
    #[error("the signature of the signing request is not ECDSA with SHA-256 or SHA-384")]
    SignatureAlgorithm,
    #[error("the signing request is not signed by the key in it")]
    Signature,
    #[error("the signing request asks for extensions; ask for none, the authority sets them")]
    Extensions,
    #[error("the signing request names {found:?}, but the identity is {wanted:?}")]
    OtherName { found: String, wanted: String },
}

/// A public key whose holder signed the request.
#[derive(Debug, Clone)]
pub struct Applicant {
    der: Vec<u8>,
    key: SubjectPublicKeyInfo,
    common_name: Option<String>,
}

impl Applicant {
    pub fn from_pem(pem: &str) -> Result<Self, CsrError> {
        if pem.len() > LENGTH_MAX {
            return Err(CsrError::Form);
        }
        let blocks = pem::parse_many(pem).map_err(|_| CsrError::Form)?;
        match <[pem::Pem; 1]>::try_from(blocks) {
            Ok([block]) if TAGS.contains(&block.tag()) => Self::from_der(block.into_contents()),
            _ => Err(CsrError::Form),
        }
    }

    pub fn from_der(der: Vec<u8>) -> Result<Self, CsrError> {
        if der.len() > LENGTH_MAX {
            return Err(CsrError::Form);
        }
        let Ok(([], csr)) = X509CertificationRequest::from_der(&der) else {
            return Err(CsrError::Form);
        };
        let info = &csr.certification_request_info;
        let key =
            SubjectPublicKeyInfo::from_der(info.subject_pki.raw).map_err(|_| CsrError::Key)?;
        if ![&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384].contains(&key.algorithm()) {
            return Err(CsrError::Key);
        }
        let algorithm = &csr.signature_algorithm.algorithm;
        if ![OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384].contains(algorithm) {
            return Err(CsrError::SignatureAlgorithm);
        }
        csr.verify_signature().map_err(|_| CsrError::Signature)?;
        // An unparsable attribute may be a request for extensions too.
        let asks = |attribute: &ParsedCriAttribute<'_>| {
            !matches!(attribute, ParsedCriAttribute::ChallengePassword(_))
        };
        if info.attributes().iter().any(|attribute| asks(attribute.parsed_attribute())) {
            return Err(CsrError::Extensions);
        }
        let common_name = match info.subject.iter_common_name().next() {
            None => None,
            Some(name) => Some(name.as_str().map_err(|_| CsrError::Form)?.to_owned()),
        };
        Ok(Self { key, common_name, der })
    }

    pub fn public_key(&self) -> &SubjectPublicKeyInfo {
        &self.key
    }

    pub fn key_hash(&self) -> KeyHash {
        sha256(&self.key.subject_public_key_info())
    }

    /// The request as it was signed.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Refuses a request whose subject names somebody else.
    pub fn check_name(&self, wanted: &str) -> Result<(), CsrError> {
        match &self.common_name {
            Some(found) if found != wanted => Err(CsrError::OtherName {
                found: found.chars().take(64).collect(),
                wanted: wanted.to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

/// A signing request for a key: PEM, empty subject, no extensions.
pub(crate) fn request(key: &KeyPair) -> Result<String, PkiError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    Ok(params.serialize_request(key)?.pem()?)
}

#[cfg(test)]
mod tests;
