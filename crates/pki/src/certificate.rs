//! The three sorts of certificate: root, issuing, leaf. Everything in them comes from here; an
//! applicant contributes a public key and nothing else.
//!
//! There are no name constraints: verifiers either do not implement them for URIs or do not apply
//! them to a certificate without names of the constrained form, and host names are free.

use std::net::IpAddr;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CrlDistributionPoint, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
    SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::error::PkiError;
use crate::hash::{KeyHash, sha256};
use crate::identity::{BACKDATE, Kind, Subject, TrustDomain, uri};

const DAY: u64 = 86_400;
const ROOT_LIFETIME: Duration = Duration::from_secs(3_652 * DAY);
const ISSUING_LIFETIME: Duration = Duration::from_secs(365 * DAY);
/// RFC 5280's bound on a common name.
const COMMON_NAME_LENGTH_MAX: usize = 64;
const LIFETIME_MAX: u64 = 100 * 366 * DAY;
/// The first second of the year 9000; leaves room for any lifetime before DER's last year, 9999.
const CLOCK_MAX: u64 = 221_845_392_000;

/// Names by which a server is always reachable from its own host.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// What a leaf certificate says.
#[derive(Debug, Clone)]
pub struct LeafRequest {
    pub subject: Subject,
    /// DNS names and addresses, for servers that are called by them.
    pub host_names: Vec<ServerName<'static>>,
    pub lifetime: Duration,
    /// Where the issuer's revocation list can be fetched, without the last segment, its key's hash.
    pub crl_url: Option<String>,
}

impl LeafRequest {
    /// A leaf that carries an identity and no host names, with its kind's lifetime.
    pub fn new(subject: Subject) -> Self {
        let lifetime = subject.kind().lifetime();
        Self { subject, host_names: Vec::new(), lifetime, crl_url: None }
    }

    /// A server's: valid for `host_names` (DNS names or addresses) and always for localhost.
    pub fn server(name: &str, host_names: &[&str]) -> Result<Self, PkiError> {
        Self::new(Subject::new(Kind::Node, name)?)
            .with_host_names(&LOCAL_NAMES)?
            .with_host_names(host_names)
    }

    /// Parses DNS names and IP addresses.
    pub fn with_host_names(mut self, names: &[&str]) -> Result<Self, PkiError> {
        for name in names {
            let name = ServerName::try_from((*name).to_owned())
                .map_err(|_| PkiError::HostName((*name).to_owned()))?;
            if !self.host_names.contains(&name) {
                self.host_names.push(name);
            }
        }
        Ok(self)
    }
}

/// A certificate that may sign, with its key.
#[derive(Clone, Copy)]
pub(crate) struct Signer<'a> {
    pub certificate: &'a CertificateDer<'static>,
    pub key: &'a KeyPair,
}

/// A self-signed root: ten years, one level of issuing certificates below it.
pub(crate) fn root(
    trust_domain: &TrustDomain,
    key: &KeyPair,
    now: UnixTime,
) -> Result<CertificateDer<'static>, PkiError> {
    let params = authority(trust_domain, "root", 1, key, now, later(now, ROOT_LIFETIME)?)?;
    Ok(params.self_signed(key)?.der().clone())
}

/// An issuing certificate: one year but never longer than its root, leaves only below it.
pub(crate) fn issuing(
    trust_domain: &TrustDomain,
    key: &KeyPair,
    root: Signer<'_>,
    now: UnixTime,
) -> Result<CertificateDer<'static>, PkiError> {
    let end = later(now, ISSUING_LIFETIME)?.min(validity(root.certificate)?.1);
    sign(authority(trust_domain, "issuing", 0, key, now, end)?, key, root)
}

/// A leaf: one URI name, client authentication, for nodes also server authentication.
pub(crate) fn leaf(
    trust_domain: &TrustDomain,
    request: &LeafRequest,
    public_key: &impl PublicKeyData,
    issuer: Signer<'_>,
    now: UnixTime,
) -> Result<CertificateDer<'static>, PkiError> {
    let end = later(now, request.lifetime)?.min(validity(issuer.certificate)?.1);
    let mut params = base(now, end)?;
    let name = request.subject.name();
    if name.len() <= COMMON_NAME_LENGTH_MAX {
        params.distinguished_name.push(DnType::CommonName, name);
    }
    params.is_ca = IsCa::ExplicitNoCa;
    params.subject_alt_names = vec![SanType::URI(uri(trust_domain, &request.subject).try_into()?)];
    for host in &request.host_names {
        params.subject_alt_names.push(host_san(host)?);
    }
    let crl_address = crl_address_for(request, issuer.certificate)?;
    let point = |address| CrlDistributionPoint { uris: vec![address] };
    params.crl_distribution_points = crl_address.into_iter().map(point).collect();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    if request.subject.kind() == Kind::Node {
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
    }
    sign(params, public_key, issuer)
}

fn authority(
    trust_domain: &TrustDomain,
    role: &str,
    levels_below: u8,
    key: &KeyPair,
    now: UnixTime,
    end: UnixTime,
) -> Result<CertificateParams, PkiError> {
    let mut params = base(now, end)?;
    // Part of the key's hash keeps the names of successive authorities apart.
    let key_id = sha256(&key.subject_public_key_info()).to_string();
    let name = format!("metricstor {role} CA {}", &key_id[..8]);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(levels_below));
    params.subject_alt_names = vec![SanType::URI(format!("spiffe://{trust_domain}").try_into()?)];
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn base(now: UnixTime, end: UnixTime) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.not_before = date_time(earlier(now, BACKDATE));
    params.not_after = date_time(end);
    params.serial_number = Some(random_serial()?);
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn sign(
    params: CertificateParams,
    public_key: &impl PublicKeyData,
    signer: Signer<'_>,
) -> Result<CertificateDer<'static>, PkiError> {
    let issuer = Issuer::from_ca_cert_der(signer.certificate, signer.key)?;
    Ok(params.signed_by(public_key, &issuer)?.der().clone())
}

fn host_san(host: &ServerName<'_>) -> Result<SanType, PkiError> {
    match host {
        ServerName::DnsName(name) => Ok(SanType::DnsName(name.as_ref().try_into()?)),
        ServerName::IpAddress(address) => Ok(SanType::IpAddress(IpAddr::from(*address))),
        other => Err(PkiError::HostName(format!("{other:?}"))),
    }
}

/// 126 random bits, positive and always 16 bytes long.
fn random_serial() -> Result<SerialNumber, PkiError> {
    let mut bytes = random::<16>()?;
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

/// Random bytes from the system: for keys, serial numbers, and names that no other may have.
pub fn random<const N: usize>() -> Result<[u8; N], PkiError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| PkiError::Random)?;
    Ok(bytes)
}

/// Start and end of validity.
pub(crate) fn validity(der: &CertificateDer<'_>) -> Result<(UnixTime, UnixTime), PkiError> {
    let parsed = parse(der)?;
    let at = |seconds: i64| seconds_after_epoch(u64::try_from(seconds).unwrap_or(0));
    let validity = parsed.validity();
    Ok((at(validity.not_before.timestamp()), at(validity.not_after.timestamp())))
}

/// The point at `numerator / denominator` of the certificate's life.
pub(crate) fn point_of_life(
    (start, end): (UnixTime, UnixTime),
    numerator: u64,
    denominator: u64,
) -> UnixTime {
    let life = end.as_secs().saturating_sub(start.as_secs());
    // Divided first: a hostile validity must not overflow.
    seconds_after_epoch(start.as_secs().saturating_add(life / denominator * numerator))
}

/// SHA-256 of the public key in SubjectPublicKeyInfo form: what a pin refers to.
pub(crate) fn public_key_hash(der: &CertificateDer<'_>) -> Result<KeyHash, PkiError> {
    Ok(sha256(parse(der)?.public_key().raw))
}

/// Did the holder of `issuer`'s key sign this certificate?
pub(crate) fn is_signed_by(der: &CertificateDer<'_>, issuer: &CertificateDer<'_>) -> bool {
    match (parse(der), parse(issuer)) {
        (Ok(der), Ok(issuer)) => {
            der.issuer() == issuer.subject()
                && der.verify_signature(Some(issuer.public_key())).is_ok()
        }
        _ => false,
    }
}

/// Does the certificate carry exactly these host names, in any order?
pub(crate) fn has_host_names(der: &CertificateDer<'_>, wanted: &[ServerName<'_>]) -> bool {
    let Ok(parsed) = parse(der) else { return false };
    let Ok(Some(names)) = parsed.subject_alternative_name() else { return false };
    let mut count = 0;
    for name in &names.value.general_names {
        let found = match name {
            GeneralName::DNSName(name) => ServerName::try_from(*name).ok(),
            GeneralName::IPAddress(bytes) => address(bytes).map(ServerName::from),
            _ => continue,
        };
        count += 1;
        if !found.is_some_and(|found| wanted.contains(&found)) {
            return false;
        }
    }
    count == wanted.len()
}

/// Where a leaf of this issuer that `request` calls for sends readers for revocations.
pub(crate) fn crl_address_for(
    request: &LeafRequest,
    issuer: &CertificateDer<'_>,
) -> Result<Option<String>, PkiError> {
    let Some(url) = &request.crl_url else { return Ok(None) };
    Ok(Some(format!("{url}/{}", public_key_hash(issuer)?)))
}

/// Where a certificate sends its readers for revocations.
pub(crate) fn crl_address(der: &CertificateDer<'_>) -> Option<String> {
    let parsed = parse(der).ok()?;
    let points =
        parsed.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::CRLDistributionPoints(points) => points.first(),
            _ => None,
        })?;
    let Some(DistributionPointName::FullName(names)) = &points.distribution_point else {
        return None;
    };
    names.iter().find_map(|name| match name {
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        _ => None,
    })
}

/// The trust domain an authority's certificate states.
pub(crate) fn stated_trust_domain(der: &CertificateDer<'_>) -> Option<String> {
    let parsed = parse(der).ok()?;
    let names = parsed.subject_alternative_name().ok()??;
    names.value.general_names.iter().find_map(|name| match name {
        GeneralName::URI(uri) => uri.strip_prefix("spiffe://").map(str::to_owned),
        _ => None,
    })
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, PkiError> {
    let unparsable = || PkiError::Identity(crate::identity::IdentityError::Certificate);
    X509Certificate::from_der(der).map(|(_, parsed)| parsed).map_err(|_| unparsable())
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

/// For times that have passed [`later`], which bounds them.
pub(crate) fn date_time(time: UnixTime) -> time::OffsetDateTime {
    let bounded = time.as_secs().min(CLOCK_MAX + LIFETIME_MAX);
    rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(bounded)
}

pub(crate) fn later(now: UnixTime, by: Duration) -> Result<UnixTime, PkiError> {
    if now.as_secs() > CLOCK_MAX || by.as_secs() > LIFETIME_MAX {
        return Err(PkiError::Clock);
    }
    Ok(seconds_after_epoch(now.as_secs() + by.as_secs()))
}

fn earlier(now: UnixTime, by: Duration) -> UnixTime {
    seconds_after_epoch(now.as_secs().saturating_sub(by.as_secs()))
}

/// When a certificate of ours was made; its validity begins earlier.
pub(crate) fn issued_at(certificate: &CertificateDer<'_>) -> Result<UnixTime, PkiError> {
    let from = validity(certificate)?.0.as_secs();
    Ok(seconds_after_epoch(from.saturating_add(BACKDATE.as_secs())))
}

pub(crate) fn seconds_after_epoch(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}
