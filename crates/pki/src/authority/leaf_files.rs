//! A leaf kept in two files, `<name>.key` and `<name>.crt`, as clients want them.
//!
//! The key is written first and never replaced; the certificate can be made again at any time. So a
//! crash between the two leaves nothing that the next start does not put right.

use std::path::PathBuf;

use rcgen::KeyPair;
use rustls::pki_types::{CertificateDer, UnixTime};

use super::Authority;
use crate::certificate::{self, LeafRequest};
use crate::credentials::{
    Credentials, certificates_from_pem, certificates_to_pem, generate_key, has_public_key,
    key_from_pem, key_to_pem,
};
use crate::error::PkiError;
use crate::files::{self, Access};
use crate::identity::Identity;

/// Was the key moved away, leaving the certificate behind?
pub(super) fn is_key_elsewhere(authority: &Authority, name: &str) -> Result<bool, PkiError> {
    let (key_path, certificate_path) = paths(authority, name);
    let key = files::read(&key_path, Access::Secret)?;
    Ok(key.is_none() && files::read(&certificate_path, Access::Public)?.is_some())
}

/// Whether there is a key, and whom the certificate beside it names, if there is a readable one.
pub(super) fn held(
    authority: &Authority,
    name: &str,
) -> Result<(bool, Option<Identity>), PkiError> {
    let (key_path, certificate_path) = paths(authority, name);
    let has_key = files::read(&key_path, Access::Secret)?.is_some();
    let stored = files::read(&certificate_path, Access::Public)?.unwrap_or_default();
    let chain = certificates_from_pem(&stored).unwrap_or_default();
    let identity = chain.first().and_then(|leaf| Identity::from_certificate(leaf).ok());
    Ok((has_key, identity))
}

/// The leaf as kept in its files; key and certificate are made if missing, the certificate also if
/// it is damaged, due for renewal, or not what `request` and the current chain call for.
pub(super) fn ensure(
    authority: &Authority,
    name: &str,
    request: &LeafRequest,
    now: UnixTime,
) -> Result<Credentials, PkiError> {
    let (key_path, certificate_path) = paths(authority, name);
    let key = match files::read(&key_path, Access::Secret)? {
        Some(bytes) => key_from_pem(&bytes).map_err(|fault| PkiError::Damaged {
            path: key_path,
            fault,
            remedy: "restore it from a backup, or remove it and its .crt to have both made anew",
        })?,
        None => {
            let key = generate_key()?;
            files::write(&key_path, Access::Secret, key_to_pem(&key).as_bytes())?;
            key
        }
    };
    let stored = files::read(&certificate_path, Access::Public)?.unwrap_or_default();
    let chain = certificates_from_pem(&stored).unwrap_or_default();
    if is_current(authority, &chain, &key, request, now) {
        return Ok(Credentials { chain, key });
    }
    let chain = authority.issue(request, &key, now)?;
    let pem = certificates_to_pem(&chain);
    files::write(&certificate_path, Access::Public, pem.as_bytes())?;
    tracing::info!(file = %certificate_path.display(), "certificate issued");
    Ok(Credentials { chain, key })
}

fn is_current(
    authority: &Authority,
    chain: &[CertificateDer<'static>],
    key: &KeyPair,
    request: &LeafRequest,
    now: UnixTime,
) -> bool {
    let Some((leaf, issuing)) = chain.split_first() else { return false };
    let Ok(identity) = Identity::from_certificate(leaf) else { return false };
    let life = (identity.not_before, identity.not_after);
    let (numerator, denominator) = identity.kind().renewal_share();
    let crl_address = issuing.first().map(|issuer| certificate::crl_address_for(request, issuer));
    identity.subject == request.subject
        && identity.trust_domain == authority.trust_domain
        && has_public_key(leaf, key)
        && certificate::has_host_names(leaf, &request.host_names)
        && issuing == authority.issuing_chain()
        && issuing.first().is_some_and(|issuer| certificate::is_signed_by(leaf, issuer))
        && now >= identity.not_before
        && crl_address
            .is_some_and(|wanted| wanted.is_ok_and(|w| w == certificate::crl_address(leaf)))
        && identity.lifetime() <= request.lifetime
        && now < certificate::point_of_life(life, numerator, denominator)
}

fn paths(authority: &Authority, name: &str) -> (PathBuf, PathBuf) {
    (authority.dir.join(format!("{name}.key")), authority.dir.join(format!("{name}.crt")))
}
