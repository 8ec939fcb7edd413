//! What can go wrong, worded for the operator who has to put it right.

use std::io;
use std::path::{Path, PathBuf};

use crate::identity::IdentityError;

/// A failure of the authority, its files or its TLS configuration.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    #[error("{path}: {source}", path = .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "{path}: the key file is accessible to others (mode {mode:04o}); run `chmod 600 {path}`, \
         and replace the key if somebody may have read it",
        path = .path.display()
    )]
    Exposed { path: PathBuf, mode: u32 },
    #[error(
        "{path}: owned by user {owner}, but the server runs as user {expected}; run `chown {expected} {path}`",
        path = .path.display()
    )]
    Owner { path: PathBuf, owner: u32, expected: u32 },
    #[error(
        "{path}: others may create files here (mode {mode:04o}); run `chmod 700 {path}`",
        path = .path.display()
    )]
    OpenDirectory { path: PathBuf, mode: u32 },
    #[error("{path}: {fault}; {remedy}", path = .path.display())]
    Damaged { path: PathBuf, fault: String, remedy: &'static str },
    #[error("{path} belongs to trust domain {found:?}, but {wanted:?} is configured", path = .path.display())]
    OtherTrustDomain { path: PathBuf, found: String, wanted: String },
    #[error(
        "the root key is not here; put its file root-<n>.pem back into {dir} to {task}",
        dir = .dir.display()
    )]
    RootOffline { dir: PathBuf, task: &'static str },
    #[error("the current root cannot be dropped; add another root first")]
    LastRoot,
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("{0:?} is neither a host name nor an IP address")]
    HostName(String),
    #[error("the clock is outside the years 1970 to 9000")]
    Clock,
    #[error("signing failed: {0}")]
    Sign(#[from] rcgen::Error),
    #[error("TLS configuration: {0}")]
    Tls(#[from] rustls::Error),
    #[error("client verification: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    #[error("the system's random number generator failed")]
    Random,
}

impl PkiError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
