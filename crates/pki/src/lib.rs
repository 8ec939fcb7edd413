//! The certification authority that provisions itself: identities, certificates, enrolment, TLS.
//!
//! Floor 1: synchronous, files. Time is an argument of everything; only keys, serial numbers and
//! secrets are random. The one crypto provider is ring.

mod authority;
mod bearer;
mod certificate;
mod client_files;
mod client_tls;
mod credentials;
mod csr;
mod enrolment;
mod error;
mod files;
mod hash;
mod identity;
mod ledger;
mod pattern;
mod policy;
mod provisioner;
mod registrar;
mod revocation;
mod server_tls;
mod token;
mod verifier;

pub use authority::{Authority, Crl};
pub use bearer::Bearer;
pub use certificate::{LeafRequest, random};
pub use client_files::{ClientFiles, StoredCredentials};
pub use client_tls::{client, enrolment_client, expired_client, shown_root, unpinned_client};
pub use credentials::{Credentials, certificates_from_pem, certificates_to_pem};
pub use csr::CsrError;
pub use enrolment::{
    AnswerError, ApplicantKey, ApprovalAnswer, ApprovalRequest, EnrolAnswer, EnrolRequest,
    Enrolled, RenewRequest, approval_code, fingerprint,
};
pub use error::PkiError;
pub use hash::{Hex, KeyHash};
pub use identity::{Identity, IdentityError, Kind, Subject, TrustDomain, parse_uri, uri};
pub use ledger::{Command, Enrolment, Outcome, Pending, Refusal, Seconds, State, Token, Verdict};
pub use pattern::NamePattern;
pub use policy::{
    Denial, Grant, Guard, Limits, NotAdmitted, Policy, PolicyError, Rule, Verb, is_tenant,
};
pub use provisioner::{Provisioner, ProvisionerSettings, RotateError};
pub use registrar::{BearerSpec, EnrolError, Registrar, TokenSpec};
pub use revocation::Revocations;
pub use rustls::pki_types::UnixTime;
pub use server_tls::{ClientAuth, ENROL_ALPN, ServerTls, TlsSettings};
pub use token::{EnrolmentToken, TokenError, TokenId};
