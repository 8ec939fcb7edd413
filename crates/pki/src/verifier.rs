//! Judges client certificates during the handshake.
//!
//! Accepts a chain to a trusted root whose leaf carries exactly one identity of our trust domain
//! that is not revoked. Host names play no part. Each refusal gives its own TLS alert.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};

use crate::error::PkiError;
use crate::identity::{Identity, TrustDomain};
use crate::revocation::Revocations;

#[derive(Debug)]
pub(crate) struct IdentityVerifier {
    chain: Arc<dyn ClientCertVerifier>,
    trust_domain: TrustDomain,
    revocations: Arc<Revocations>,
    mandatory: bool,
}

impl IdentityVerifier {
    pub fn new(
        bundle: &[CertificateDer<'static>],
        trust_domain: TrustDomain,
        revocations: Arc<Revocations>,
        provider: Arc<CryptoProvider>,
        mandatory: bool,
    ) -> Result<Self, PkiError> {
        let mut roots = RootCertStore::empty();
        for root in bundle {
            roots.add(root.clone())?;
        }
        // No hints: a client must show its certificate whatever roots it knows.
        let chain = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
            .clear_root_hint_subjects()
            .build()?;
        Ok(Self { chain, trust_domain, revocations, mandatory })
    }
}

impl ClientCertVerifier for IdentityVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        let identity =
            Identity::from_certificate(end_entity).map_err(|_| CertificateError::BadEncoding)?;
        if identity.trust_domain != self.trust_domain {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        if self.revocations.is_revoked(&identity) {
            return Err(CertificateError::Revoked.into());
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
