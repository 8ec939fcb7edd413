//! Certificate revocation lists, for outsiders only: our own servers look identities up instead.
//!
//! One list from every key of ours, the roots' included: a verifier that checks the whole chain
//! treats a certificate without a list from its issuer as revoked.

use std::time::Duration;

use rcgen::{
    CertificateRevocationListParams, Issuer, KeyIdMethod, RevocationReason, RevokedCertParams,
    SerialNumber,
};
use rustls::pki_types::{CertificateRevocationListDer, UnixTime};

use super::Authority;
use crate::certificate::{date_time, later, public_key_hash};
use crate::error::PkiError;
use crate::hash::KeyHash;

/// The lists are signed anew long before they end.
const CRL_LIFETIME: Duration = Duration::from_secs(86_400);

/// A certificate to be listed.
#[derive(Debug, Clone)]
pub struct RevokedCertificate {
    /// The key that signed it.
    pub issuer: KeyHash,
    pub serial: Vec<u8>,
    pub revoked_at: UnixTime,
}

/// The revocation list of one key.
#[derive(Debug, Clone)]
pub struct Crl {
    pub issuer: KeyHash,
    pub der: CertificateRevocationListDer<'static>,
}

impl Authority {
    /// Signs the lists, numbered by the time so that numbers rise across restarts.
    pub fn crls(
        &self,
        revoked: &[RevokedCertificate],
        now: UnixTime,
    ) -> Result<Vec<Crl>, PkiError> {
        let next_update = date_time(later(now, CRL_LIFETIME)?);
        let mut lists = Vec::new();
        for file in self.issuing.iter().chain(&self.roots) {
            let signer = file.signer();
            let hash = public_key_hash(signer.certificate)?;
            let listed = revoked.iter().filter(|certificate| certificate.issuer == hash);
            let params = CertificateRevocationListParams {
                this_update: date_time(now),
                next_update,
                crl_number: SerialNumber::from(now.as_secs()),
                issuing_distribution_point: None,
                revoked_certs: listed.map(entry).collect(),
                key_identifier_method: KeyIdMethod::Sha256,
            };
            let issuer = Issuer::from_ca_cert_der(signer.certificate, signer.key)?;
            lists.push(Crl { issuer: hash, der: params.signed_by(&issuer)?.into() });
        }
        Ok(lists)
    }
}

fn entry(certificate: &RevokedCertificate) -> RevokedCertParams {
    RevokedCertParams {
        serial_number: SerialNumber::from_slice(&certificate.serial),
        revocation_time: date_time(certificate.revoked_at),
        reason_code: Some(RevocationReason::PrivilegeWithdrawn),
        invalidity_date: None,
    }
}
