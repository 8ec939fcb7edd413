//! The certificate that the authority keeps for its own directory's administrator.

use rustls::pki_types::UnixTime;

use super::Registrar;
use crate::authority::administrator;
use crate::error::PkiError;

impl Registrar {
    /// Renews whatever is due, of the authority and of the administrator's files. True if whoever
    /// holds copies of trust bundle or chain has to take new ones.
    pub fn renew_own(&mut self, now: UnixTime) -> Result<bool, PkiError> {
        let changed = self.authority.renew(now)?;
        self.keep_administrator(now)?;
        Ok(changed)
    }

    /// A revoked administrator's key may be a thief's: it gets no other certificate. Once it is
    /// removed, a new one is made.
    fn keep_administrator(&mut self, now: UnixTime) -> Result<(), PkiError> {
        let is_revoked = self.state().revoked.contains_key(&administrator()?);
        let is_good = |held: &_| !self.revocations.is_revoked(held);
        if is_revoked && self.authority.administrator_lacks(is_good)? {
            tracing::debug!("user/admin is revoked; remove admin.key and admin.crt to have others");
            return Ok(());
        }
        let now = self.issuing_time(&administrator()?, now)?;
        match self.authority.administrator(now)? {
            Some(held) => self.record(held.chain()),
            None => Ok(()),
        }
    }
}
