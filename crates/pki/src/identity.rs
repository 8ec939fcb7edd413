//! Who a certificate says you are: `spiffe://<trust-domain>/<kind>/<name>`.
//!
//! Invariant: an `Identity` holds exactly one syntactically valid subject; a certificate with none,
//! two or a malformed one never becomes an `Identity`. Parsing is bounded and never panics.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rustls::pki_types::UnixTime;
use serde::{Deserialize, Serialize};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::hash::{KeyHash, sha256};

/// Every certificate is valid from this long before it was issued, for clocks that run behind.
pub const BACKDATE: Duration = Duration::from_secs(300);

const NAME_LENGTH_MAX: usize = 128;
const TRUST_DOMAIN_LENGTH_MAX: usize = 255;
/// A leaf with a P-256 key is under 1 KiB; anything much larger is not worth reading.
const CERTIFICATE_LENGTH_MAX: usize = 16 << 10;

/// What sort of party holds an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A running server.
    Node,
    /// A machine that pushes.
    Agent,
    /// A person.
    User,
    /// A program that is neither, such as a dashboard.
    Service,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Node, Self::Agent, Self::User, Self::Service];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Agent => "agent",
            Self::User => "user",
            Self::Service => "service",
        }
    }

    /// How long a certificate lives: short for machines, which renew alone; long for people, and for
    /// servers, which strangers judge by it. A revocation takes effect at once, whatever is left.
    pub fn lifetime(self) -> Duration {
        const DAY: u64 = 86_400;
        match self {
            Self::Agent | Self::Service => Duration::from_secs(7 * DAY),
            Self::Node | Self::User => Duration::from_secs(90 * DAY),
        }
    }

    /// After which share of its life, as a fraction, a certificate is renewed. Servers renew early:
    /// scanners complain of one with less than two months left.
    pub fn renewal_share(self) -> (u64, u64) {
        match self {
            Self::Node => (1, 4),
            Self::Agent | Self::User | Self::Service => (2, 3),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(IdentityError::Kind)
    }
}

/// Why a text or a certificate is not an identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    #[error("the certificate cannot be parsed")]
    Certificate,
    #[error("the certificate has {0} URI names, expected exactly one")]
    UriCount(usize),
    #[error("not of the form <kind>/<name> or spiffe://<trust-domain>/<kind>/<name>")]
    Form,
    #[error("trust domain: 1 to 255 of a-z 0-9 . _ -")]
    TrustDomain,
    #[error("kind: one of node, agent, user, service")]
    Kind,
    #[error("name: 1 to 128 of A-Z a-z 0-9 . _ - and not \".\" or \"..\"")]
    Name,
}

/// Whom an identity names inside its trust domain: `<kind>/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Subject {
    kind: Kind,
    name: String,
}

impl Subject {
    pub fn new(kind: Kind, name: &str) -> Result<Self, IdentityError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let valid = (1..=NAME_LENGTH_MAX).contains(&name.len())
            && name.bytes().all(plain)
            && !matches!(name, "." | "..");
        if valid { Ok(Self { kind, name: name.to_owned() }) } else { Err(IdentityError::Name) }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

impl FromStr for Subject {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let (kind, name) = text.split_once('/').ok_or(IdentityError::Form)?;
        Self::new(kind.parse()?, name)
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.to_string()
    }
}

impl TryFrom<String> for Subject {
    type Error = IdentityError;

    fn try_from(text: String) -> Result<Self, IdentityError> {
        text.parse()
    }
}

/// The name of one certification authority's realm, such as `metrics.example.org`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TrustDomain(String);

impl TrustDomain {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TrustDomain {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let plain = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        let valid = (1..=TRUST_DOMAIN_LENGTH_MAX).contains(&text.len()) && text.bytes().all(plain);
        if valid { Ok(Self(text.to_owned())) } else { Err(IdentityError::TrustDomain) }
    }
}

/// The caller of a request, read once from its certificate. Displays as the SPIFFE URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub subject: Subject,
    pub trust_domain: TrustDomain,
    /// Start of validity; `BACKDATE` before the certificate was issued.
    pub not_before: UnixTime,
    /// End of validity; a connection must not outlive it.
    pub not_after: UnixTime,
    /// The certificate's serial number, big endian.
    pub serial: Vec<u8>,
    /// Of the certificate's public key.
    pub key: KeyHash,
}

impl Identity {
    /// Reads a DER certificate. The caller has verified its chain and checks the trust domain.
    pub fn from_certificate(der: &[u8]) -> Result<Self, IdentityError> {
        if der.len() > CERTIFICATE_LENGTH_MAX {
            return Err(IdentityError::Certificate);
        }
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|_| IdentityError::Certificate)?;
        if !rest.is_empty() {
            return Err(IdentityError::Certificate);
        }
        let (trust_domain, subject) = parse_uri(only_uri(&certificate)?)?;
        let validity = certificate.validity();
        Ok(Self {
            subject,
            trust_domain,
            not_before: unix_time(validity.not_before.timestamp())?,
            not_after: unix_time(validity.not_after.timestamp())?,
            serial: certificate.raw_serial().to_vec(),
            key: sha256(certificate.public_key().raw),
        })
    }

    pub fn kind(&self) -> Kind {
        self.subject.kind
    }

    pub fn name(&self) -> &str {
        &self.subject.name
    }

    /// For how long the authority granted the certificate.
    pub fn lifetime(&self) -> Duration {
        let (from, to) = (self.issued_at().as_secs(), self.not_after.as_secs());
        Duration::from_secs(to.saturating_sub(from))
    }

    /// When the authority signed the certificate.
    pub fn issued_at(&self) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(
            self.not_before.as_secs().saturating_add(BACKDATE.as_secs()),
        ))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&uri(&self.trust_domain, &self.subject))
    }
}

/// The SPIFFE URI of a subject.
pub fn uri(trust_domain: &TrustDomain, subject: &Subject) -> String {
    format!("spiffe://{trust_domain}/{subject}")
}

/// The inverse of [`uri`]; no percent-encoding, no query, no fragment, no further segments.
pub fn parse_uri(text: &str) -> Result<(TrustDomain, Subject), IdentityError> {
    let path = text.strip_prefix("spiffe://").ok_or(IdentityError::Form)?;
    let (trust_domain, subject) = path.split_once('/').ok_or(IdentityError::Form)?;
    Ok((trust_domain.parse()?, subject.parse()?))
}

fn only_uri<'a>(certificate: &'a X509Certificate<'a>) -> Result<&'a str, IdentityError> {
    let mut uris = Vec::new();
    for extension in certificate.extensions() {
        if extension.oid != OID_X509_EXT_SUBJECT_ALT_NAME {
            continue;
        }
        let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension() else {
            return Err(IdentityError::Certificate);
        };
        uris.extend(names.general_names.iter().filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        }));
    }
    match uris[..] {
        [only] => Ok(only),
        _ => Err(IdentityError::UriCount(uris.len())),
    }
}

fn unix_time(seconds: i64) -> Result<UnixTime, IdentityError> {
    let seconds = u64::try_from(seconds).map_err(|_| IdentityError::Certificate)?;
    Ok(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests;
