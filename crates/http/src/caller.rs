//! Who sends a request, and what such a caller may do.
//!
//! Invariant: every request has a `Caller` among its extensions, put there once per connection.

use std::fmt;
use std::sync::Arc;

use metricstor_pki::{Identity, Kind};

/// The party at the other end of a connection.
#[derive(Debug, Clone)]
pub enum Caller {
    /// Somebody on this machine, over the plain loopback listener.
    Local,
    /// The holder of a certificate that this server's authority issued.
    Certified(Arc<Identity>),
    /// Nobody in particular: a client that is still to get its certificate, or whose certificate
    /// was revoked. May ask whether the server is healthy and nothing else.
    Anonymous,
}

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Write,
    Read,
    Admin,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Write => "write",
            Self::Read => "read",
            Self::Admin => "administer",
        })
    }
}

impl Caller {
    /// Machines push, programs push and read, people do everything.
    pub fn may(&self, verb: Verb) -> bool {
        match self {
            Self::Local => true,
            Self::Anonymous => false,
            Self::Certified(identity) => match identity.kind() {
                Kind::User => true,
                Kind::Service => verb != Verb::Admin,
                Kind::Agent => verb == Verb::Write,
                Kind::Node => false,
            },
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Anonymous => f.write_str("anonymous"),
            Self::Certified(identity) => write!(f, "{}", identity.subject),
        }
    }
}
