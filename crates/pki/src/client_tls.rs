//! How a client knows that a server is ours: by its identity `node/…`, not by its host name.
//!
//! Nodes may change address and be called by any name; what counts is that the chain leads to a
//! trusted root and the leaf names a node. Before enrolment the one trusted root is the one whose
//! public-key hash is in the token; the server shows its roots behind the enrolment door.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    version,
};

use crate::certificate::public_key_hash;
use crate::credentials::Credentials;
use crate::error::PkiError;
use crate::hash::KeyHash;
use crate::identity::{Identity, Kind, TrustDomain};
use crate::server_tls::ENROL_ALPN;

/// For a client without a certificate: trusts the pinned root, asks for the enrolment door.
pub fn enrolment_client(
    pin: KeyHash,
    time: Arc<dyn TimeProvider>,
) -> Result<ClientConfig, PkiError> {
    let trust = Trust::Pinned(pin);
    let builder = builder(trust, None, time)?;
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![ENROL_ALPN.to_vec()];
    Ok(config)
}

/// For a client that has no token: trusts the root it is shown, so a person has to compare what
/// [`shown_root`] leads to with what the server says.
pub fn unpinned_client(time: Arc<dyn TimeProvider>) -> Result<ClientConfig, PkiError> {
    let mut config = builder(Trust::Shown, None, time)?.with_no_client_auth();
    config.alpn_protocols = vec![ENROL_ALPN.to_vec()];
    Ok(config)
}

/// For a client whose certificate has expired: trusts its bundle, asks for the enrolment door.
pub fn expired_client(
    bundle: &[CertificateDer<'static>],
    trust_domain: &TrustDomain,
    time: Arc<dyn TimeProvider>,
) -> Result<ClientConfig, PkiError> {
    let builder = builder(Trust::Bundle(store(bundle)?), Some(trust_domain.clone()), time)?;
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![ENROL_ALPN.to_vec()];
    Ok(config)
}

/// The public-key hash of the newest root that a server shows behind the enrolment door.
pub fn shown_root(chain: &[CertificateDer<'_>]) -> Option<KeyHash> {
    public_key_hash(chain.last()?).ok()
}

/// For a client with a certificate, to be made anew whenever certificate or bundle change.
pub fn client(
    credentials: &Credentials,
    bundle: &[CertificateDer<'static>],
    trust_domain: &TrustDomain,
    time: Arc<dyn TimeProvider>,
) -> Result<ClientConfig, PkiError> {
    let builder = builder(Trust::Bundle(store(bundle)?), Some(trust_domain.clone()), time)?;
    let chain = credentials.chain().to_vec();
    let mut config = builder.with_client_auth_cert(chain, credentials.key_der())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// Does the chain, leaf first, lead to the bundle at this time? Judges any leaf, not only servers'.
pub(crate) fn verify_chain(
    chain: &[CertificateDer<'static>],
    bundle: &[CertificateDer<'static>],
    now: UnixTime,
) -> Result<(), Error> {
    let (leaf, issuing) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
    let roots = Arc::new(store(bundle)?);
    let provider = Arc::new(ring::default_provider());
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(roots, provider)
        .build()
        .map_err(|e| Error::General(e.to_string()))?;
    verifier.verify_client_cert(leaf, issuing, now).map(|_| ())
}

fn builder(
    trust: Trust,
    trust_domain: Option<TrustDomain>,
    time: Arc<dyn TimeProvider>,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>, PkiError> {
    let provider: Arc<CryptoProvider> = ring::default_provider().into();
    let algorithms = provider.signature_verification_algorithms;
    let verifier = NodeVerifier { trust, trust_domain, algorithms };
    Ok(ClientConfig::builder_with_details(provider, time)
        .with_protocol_versions(&[&version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier)))
}

fn store(bundle: &[CertificateDer<'static>]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for root in bundle {
        roots.add(root.clone())?;
    }
    Ok(roots)
}

#[derive(Debug)]
enum Trust {
    Bundle(RootCertStore),
    Pinned(KeyHash),
    /// The root that the server shows last.
    Shown,
}

#[derive(Debug)]
struct NodeVerifier {
    trust: Trust,
    /// Unknown before enrolment.
    trust_domain: Option<TrustDomain>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl NodeVerifier {
    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let only;
        let shown = match &self.trust {
            Trust::Bundle(_) => None,
            Trust::Pinned(pin) => {
                let is_pinned =
                    |c: &&CertificateDer<'_>| public_key_hash(c).is_ok_and(|hash| hash == *pin);
                others.iter().find(is_pinned)
            }
            Trust::Shown => others.last(),
        };
        let roots = match &self.trust {
            Trust::Bundle(roots) => roots,
            Trust::Pinned(_) | Trust::Shown => {
                let root = shown.ok_or(CertificateError::UnknownIssuer)?;
                only = store(&[root.clone().into_owned()])?;
                &only
            }
        };
        let parsed = ParsedCertificate::try_from(leaf)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, roots, others, now, algorithms)?;
        let identity =
            Identity::from_certificate(leaf).map_err(|_| CertificateError::BadEncoding)?;
        let foreign =
            self.trust_domain.as_ref().is_some_and(|domain| *domain != identity.trust_domain);
        if identity.kind() != Kind::Node || foreign {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(())
    }
}

impl ServerCertVerifier for NodeVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(end_entity, intermediates, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
