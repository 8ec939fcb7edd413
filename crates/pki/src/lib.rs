//! The certification authority that provisions itself: identities, certificates, TLS.
//!
//! Floor 1: synchronous, files. Time is an argument of everything; only keys, serial numbers and
//! secrets are random. The one crypto provider is ring.

mod authority;
mod certificate;
mod credentials;
mod error;
mod files;
mod identity;
mod revocation;
mod server_tls;
mod verifier;

pub use authority::Authority;
pub use certificate::LeafRequest;
pub use credentials::{Credentials, certificates_from_pem, certificates_to_pem};
pub use error::PkiError;
pub use identity::{BACKDATE, Identity, IdentityError, Kind, Subject, TrustDomain, parse_uri, uri};
pub use revocation::Revocations;
pub use rustls::pki_types::UnixTime;
pub use server_tls::{ClientAuth, ENROL_ALPN, ServerTls, TlsSettings};
