//! One certification key with its certificates, in one file: `root-<n>.pem`, `issuing-<n>.pem`.
//!
//! Key and certificates share a file so that they can never disagree after a crash; a new key gets
//! the next number, so that no key is ever overwritten. The highest number is the current one.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::KeyPair;
use rustls::pki_types::CertificateDer;

use crate::certificate::Signer;
use crate::credentials::{certificates_to_pem, key_and_certificates_from_pem, key_to_pem};
use crate::error::PkiError;
use crate::files::{self, Access};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Root,
    Issuing,
}

impl Role {
    fn prefix(self) -> &'static str {
        match self {
            Self::Root => "root-",
            Self::Issuing => "issuing-",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Root => {
                "restore it from a backup, or remove it if the root key is kept elsewhere"
            }
            Self::Issuing => {
                "restore it from a backup, or remove it to have a new issuing key made"
            }
        }
    }
}

pub(super) struct CaFile {
    pub role: Role,
    pub number: u32,
    pub key: KeyPair,
    /// A root's own certificate, or the issuing key's certificates, one from each root.
    pub certificates: Vec<CertificateDer<'static>>,
}

impl CaFile {
    /// The first certificate with the key; every stored file has one.
    pub fn signer(&self) -> Signer<'_> {
        Signer { certificate: &self.certificates[0], key: &self.key }
    }

    /// All files of a role, lowest number first.
    pub fn load_all(dir: &Path, role: Role) -> Result<Vec<Self>, PkiError> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(dir).map_err(PkiError::io(dir))? {
            let name = entry.map_err(PkiError::io(dir))?.file_name();
            numbers.extend(name.to_str().and_then(|name| number(name, role)));
        }
        numbers.sort_unstable();
        numbers.into_iter().map(|number| Self::load(dir, role, number)).collect()
    }

    fn load(dir: &Path, role: Role, number: u32) -> Result<Self, PkiError> {
        let path = path(dir, role, number);
        let bytes = files::read(&path, Access::Secret)?.unwrap_or_default();
        match key_and_certificates_from_pem(&bytes) {
            Ok((key, certificates)) => Ok(Self { role, number, key, certificates }),
            Err(fault) => Err(PkiError::Damaged { path, fault, remedy: role.remedy() }),
        }
    }

    pub fn store(&self, dir: &Path) -> Result<(), PkiError> {
        let pem = key_to_pem(&self.key) + &certificates_to_pem(&self.certificates);
        files::write(&path(dir, self.role, self.number), Access::Secret, pem.as_bytes())
    }

    pub fn delete(&self, dir: &Path) -> Result<(), PkiError> {
        files::remove(&path(dir, self.role, self.number))?;
        files::sync_directory(dir)
    }
}

fn path(dir: &Path, role: Role, number: u32) -> PathBuf {
    dir.join(format!("{}{number}.pem", role.prefix()))
}

fn number(file_name: &str, role: Role) -> Option<u32> {
    let digits = file_name.strip_prefix(role.prefix())?.strip_suffix(".pem")?;
    let number = digits.parse().ok()?;
    // "01" or "+1" would be a second name for the same number.
    (format!("{number}") == digits).then_some(number)
}
