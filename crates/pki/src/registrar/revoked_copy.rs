//! A second copy of the revocations, outside the authority's directory: whoever puts an old copy of
//! that directory or of the register in place, or removes a damaged register, un-revokes nobody.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Registrar;
use crate::error::PkiError;
use crate::files::{self, Access};
use crate::identity::Subject;
use crate::ledger::{Command, Revocation};

type Revoked = BTreeMap<Subject, Revocation>;

pub(super) struct RevokedCopy {
    path: PathBuf,
}

impl RevokedCopy {
    fn load(&self) -> Result<Revoked, PkiError> {
        let Some(bytes) = files::read_log(&self.path)? else { return Ok(Revoked::new()) };
        serde_json::from_slice(&bytes).map_err(|error| PkiError::Damaged {
            path: self.path.clone(),
            fault: error.to_string(),
            remedy: "restore it from a backup; or remove it, if pki/ledger.log is not an old one",
        })
    }

    /// The register has them already: that this failed must be known, and undoes nothing.
    pub(super) fn store(&self, revoked: &Revoked) {
        if let Err(error) = self.add(revoked) {
            tracing::error!(%error, "cannot write the second copy of the revocations");
        }
    }

    /// What is in the file stays there, whatever the register says.
    fn add(&self, revoked: &Revoked) -> Result<(), PkiError> {
        let held = self.load()?;
        let mut all = held.clone();
        for (subject, revocation) in revoked {
            if lacks(&held, subject, revocation) {
                all.insert(subject.clone(), revocation.clone());
            }
        }
        if all == held {
            return Ok(());
        }
        let json = serde_json::to_vec_pretty(&all).expect("subjects are string keys");
        files::write(&self.path, Access::Secret, &json)
    }
}

fn lacks(revoked: &Revoked, subject: &Subject, revocation: &Revocation) -> bool {
    revoked.get(subject).is_none_or(|known| known.issued_until < revocation.issued_until)
}

impl Registrar {
    /// Keeps the copy in this file, and takes from it what the register does not know.
    pub fn keep_revoked_copy(&mut self, path: PathBuf) -> Result<(), PkiError> {
        let copy = RevokedCopy { path };
        let known = &self.state().revoked;
        let mut unlearned = copy.load()?;
        unlearned.retain(|subject, revocation| lacks(known, subject, revocation));
        for (subject, Revocation { issued_until, reason, by }) in unlearned {
            tracing::warn!(target: "audit", %subject, "the register is an old one; still revoked");
            self.ledger.submit(Command::Revoke { subject, reason, by, at: issued_until })?;
        }
        self.revoked_copy = Some(copy);
        self.publish();
        Ok(())
    }
}
