//! Which identities are revoked, as everybody who checks needs it: one look-up, no lock.
//!
//! Identities are revoked, not serial numbers: "certificates of agent/x issued up to T are void".
//! A thief who renewed a stolen certificate gains nothing, and enrolling anew heals.

use std::collections::HashMap;

use arc_swap::ArcSwap;
use rustls::pki_types::UnixTime;

use crate::identity::{Identity, Subject};

/// The published set. Written by its one owner, read at every handshake and every request.
#[derive(Debug, Default)]
pub struct Revocations {
    issued_until: ArcSwap<HashMap<Subject, UnixTime>>,
}

impl Revocations {
    /// Replaces the set: certificates of a subject issued at or before its time are void.
    pub fn publish(&self, issued_until: HashMap<Subject, UnixTime>) {
        self.issued_until.store(issued_until.into());
    }

    /// Is the certificate this identity was read from void?
    pub fn is_revoked(&self, identity: &Identity) -> bool {
        self.issued_until
            .load()
            .get(&identity.subject)
            .is_some_and(|until| identity.issued_at() <= *until)
    }
}
