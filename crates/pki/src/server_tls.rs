//! The server's TLS configurations, replaced as a whole and taken once per accepted connection.
//!
//! One port has two doors, told apart by the ClientHello. The front door requires a client
//! certificate: who has none gets the alert `certificate_required` and reaches no HTTP at all. A
//! client that is still to get one offers the protocol [`ENROL_ALPN`] and is let in without; behind
//! that door there is only enrolment, the trust bundle, the CRL and `/-/healthy`. (TLS ends before
//! HTTP begins, so one configuration cannot demand a certificate for one path and not for another.)
//! A listener of its own may be given the second door for health probes that know no ALPN.
//!
//! Invariant: no session can be resumed, because resumption would skip the client verifier.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage};
use rustls::time_provider::TimeProvider;
use rustls::{ServerConfig, SupportedProtocolVersion, version};

use crate::credentials::Credentials;
use crate::error::PkiError;
use crate::identity::TrustDomain;
use crate::revocation::Revocations;
use crate::verifier::IdentityVerifier;

/// The application protocol of a client that has no certificate yet; it speaks HTTP/1.1.
pub const ENROL_ALPN: &[u8] = b"metricstor-enrol/1";

/// Must the client show a certificate? One that is shown is verified either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    Required,
    /// The connection may have no identity; the layer above serves it next to nothing.
    Optional,
}

/// What stays the same over all reloads.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    pub trust_domain: TrustDomain,
    /// Also speak TLS 1.2, for clients that cannot do better.
    pub allow_tls12: bool,
    pub revocations: Arc<Revocations>,
    /// The clock for verifying certificates.
    pub time: Arc<dyn TimeProvider>,
}

/// The current configurations; shared by all listeners.
#[derive(Debug)]
pub struct ServerTls {
    settings: TlsSettings,
    current: ArcSwap<Doors>,
}

#[derive(Debug)]
struct Doors {
    chain: Vec<CertificateDer<'static>>,
    required: Arc<ServerConfig>,
    optional: Arc<ServerConfig>,
}

impl ServerTls {
    pub fn new(
        settings: TlsSettings,
        credentials: &Credentials,
        bundle: &[CertificateDer<'static>],
    ) -> Result<Self, PkiError> {
        let current = ArcSwap::from_pointee(Doors::new(&settings, credentials, bundle)?);
        Ok(Self { settings, current })
    }

    /// Replaces credentials and trust for connections accepted from now on. On failure, also when
    /// the chain does not lead to the bundle, everything stays as it was.
    pub fn reload(
        &self,
        credentials: &Credentials,
        bundle: &[CertificateDer<'static>],
    ) -> Result<(), PkiError> {
        self.current.store(Doors::new(&self.settings, credentials, bundle)?.into());
        Ok(())
    }

    pub fn config(&self, client_auth: ClientAuth) -> Arc<ServerConfig> {
        let current = self.current.load();
        match client_auth {
            ClientAuth::Required => current.required.clone(),
            ClientAuth::Optional => current.optional.clone(),
        }
    }

    /// What the server shows, leaf first.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.current.load().chain.clone()
    }

    /// Which door of a shared port the client asks for.
    pub fn door(hello: &ClientHello<'_>) -> ClientAuth {
        let enrols = hello.alpn().is_some_and(|mut names| names.any(|name| name == ENROL_ALPN));
        if enrols { ClientAuth::Optional } else { ClientAuth::Required }
    }
}

impl Doors {
    fn new(
        settings: &TlsSettings,
        credentials: &Credentials,
        bundle: &[CertificateDer<'static>],
    ) -> Result<Self, PkiError> {
        let required = config(settings, credentials, bundle, ClientAuth::Required)?;
        let mut optional = config(settings, credentials, bundle, ClientAuth::Optional)?;
        optional.alpn_protocols.push(ENROL_ALPN.to_vec());
        let chain = credentials.chain.clone();
        Ok(Self { chain, required: required.into(), optional: optional.into() })
    }
}

fn config(
    settings: &TlsSettings,
    credentials: &Credentials,
    bundle: &[CertificateDer<'static>],
    client_auth: ClientAuth,
) -> Result<ServerConfig, PkiError> {
    let provider: Arc<CryptoProvider> = ring::default_provider().into();
    let verifier = IdentityVerifier::new(
        bundle,
        settings.trust_domain.clone(),
        settings.revocations.clone(),
        provider.clone(),
        client_auth == ClientAuth::Required,
    )?;
    check_own_chain(settings, &verifier, credentials)?;
    let mut chain = credentials.chain.clone();
    if client_auth == ClientAuth::Optional {
        // Who is still to be enrolled knows a root by its hash only and has to be shown it.
        chain.extend_from_slice(bundle);
    }
    let mut config = ServerConfig::builder_with_details(provider, settings.time.clone())
        .with_protocol_versions(versions(settings))?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(chain, credentials.key_der())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

fn versions(settings: &TlsSettings) -> &'static [&'static SupportedProtocolVersion] {
    static TLS13: &[&SupportedProtocolVersion] = &[&version::TLS13];
    static TLS13_AND_12: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];
    if settings.allow_tls12 { TLS13_AND_12 } else { TLS13 }
}

/// A chain that our own clients would refuse must not replace one that they accept.
fn check_own_chain(
    settings: &TlsSettings,
    verifier: &IdentityVerifier,
    credentials: &Credentials,
) -> Result<(), PkiError> {
    let now = settings.time.current_time().ok_or(PkiError::Clock)?;
    let (leaf, issuing) =
        credentials.chain.split_first().ok_or(rustls::Error::NoCertificatesPresented)?;
    verifier.verify_client_cert(leaf, issuing, now)?;
    Ok(())
}
