//! Who sends a request, and within which bounds the policy lets them.
//!
//! Invariant: every request carries a [`Peer`], put there once per connection; a handler behind a
//! verb finds a [`Caller`], which exists only for whom the policy granted that verb just now.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use metricstor_pki::{Denial, Grant, Identity, NotAdmitted, Provisioner, Verb, is_tenant};

/// The header that names the tenant, as Mimir and Loki call it; several are parted by `|`.
const TENANT_HEADER: &str = "x-scope-orgid";

/// The party at the other end of a connection.
#[derive(Debug, Clone)]
pub enum Peer {
    /// Somebody on this machine, over the plain loopback or Unix listener.
    Local,
    /// The holder of a certificate that this server's authority issued.
    Certified(Arc<Identity>),
    /// Nobody in particular, over TLS: may enrol, bring a bearer token, or ask for health.
    Anonymous(IpAddr),
}

impl Peer {
    /// Whom the certificate names.
    pub fn identity(&self) -> Option<&Arc<Identity>> {
        match self {
            Self::Certified(identity) => Some(identity),
            Self::Local | Self::Anonymous(_) => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Certified(identity) => write!(f, "{}", identity.subject),
            Self::Anonymous(address) => write!(f, "{address}"),
        }
    }
}

/// The party behind a request that was admitted.
#[derive(Debug, Clone)]
pub struct Caller {
    /// `None` for somebody on this machine.
    identity: Option<Arc<Identity>>,
    /// `None` for somebody on this machine, who may do everything.
    grant: Option<Arc<Grant>>,
    /// The tenants of this request; the empty name is the common one.
    tenants: Vec<String>,
}

/// Why there is no caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("a client certificate is required; `metricstor enrol` gets one")]
    Unknown,
    #[error("the bearer token is not valid")]
    Bearer,
    #[error("{who}: {why}")]
    NotAdmitted { who: String, why: NotAdmitted },
    #[error("not a tenant: {0:?}")]
    NoTenant(String),
    #[error("{who} has no access to tenant {tenant:?}")]
    Tenant { who: String, tenant: String },
}

impl Refused {
    /// Is everything that comes over this connection worthless?
    pub fn ends_connection(&self) -> bool {
        matches!(self, Self::NotAdmitted { why, .. } if why.ends_connection())
    }

    /// The `reason` label of the refusal counter.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unknown => "no_certificate",
            Self::Bearer => "bearer",
            Self::NotAdmitted { why: NotAdmitted::Revoked, .. } => "revoked",
            Self::NotAdmitted { why: NotAdmitted::Expired, .. } => "expired",
            Self::NotAdmitted { why: NotAdmitted::Denied(Denial::NoRule), .. } => "no_rule",
            Self::NotAdmitted { why: NotAdmitted::Denied(Denial::Verb { .. }), .. } => "verb",
            Self::NoTenant(_) | Self::Tenant { .. } => "tenant",
        }
    }
}

impl Caller {
    /// Judges one request.
    pub fn admit(
        pki: &Provisioner,
        peer: &Peer,
        headers: &HeaderMap,
        verb: Verb,
    ) -> Result<Self, Refused> {
        let identity = match peer {
            Peer::Local => None,
            Peer::Certified(identity) => Some(Arc::clone(identity)),
            Peer::Anonymous(_) => Some(Arc::new(bearer(pki, headers)?)),
        };
        let grant = match &identity {
            None => None,
            Some(identity) => {
                let admitted = pki.guard().admit(identity, verb, pki.now());
                let who = || identity.subject.to_string();
                Some(admitted.map_err(|why| Refused::NotAdmitted { who: who(), why })?)
            }
        };
        let own = grant.as_ref().map_or("", |grant| grant.tenant());
        let mut caller = Self { tenants: vec![own.to_owned()], identity, grant };
        if let Some(asked) = headers.get(TENANT_HEADER) {
            let asked = String::from_utf8_lossy(asked.as_bytes());
            caller.tenants = caller.tenants_asked(&asked, verb)?;
        }
        Ok(caller)
    }

    fn tenants_asked(&self, asked: &str, verb: Verb) -> Result<Vec<String>, Refused> {
        let mut tenants = Vec::new();
        for tenant in asked.split('|') {
            if !is_tenant(tenant) {
                return Err(Refused::NoTenant(tenant.chars().take(80).collect()));
            }
            let allowed = self.grant.as_ref().is_none_or(|grant| match verb {
                Verb::Read => grant.reads_tenant(tenant),
                _ => grant.tenant() == tenant,
            });
            if !allowed {
                let (who, tenant) = (self.to_string(), tenant.to_owned());
                return Err(Refused::Tenant { who, tenant });
            }
            if !tenants.iter().any(|t| t == tenant) {
                tenants.push(tenant.to_owned());
            }
        }
        if verb != Verb::Read && tenants.len() > 1 {
            return Err(Refused::NoTenant(asked.chars().take(80).collect()));
        }
        Ok(tenants)
    }

    /// `None` for somebody on this machine.
    pub fn identity(&self) -> Option<&Arc<Identity>> {
        self.identity.as_ref()
    }

    /// `None` for somebody on this machine.
    pub fn grant(&self) -> Option<&Arc<Grant>> {
        self.grant.as_ref()
    }

    /// At least one; the empty name is the common tenant.
    pub fn tenants(&self) -> &[String] {
        &self.tenants
    }

    /// Does this caller see all of what the server says about itself?
    pub fn sees_the_server(&self) -> bool {
        let unbounded = |grant: &Arc<Grant>| grant.tenant().is_empty() && grant.only().is_empty();
        self.grant.as_ref().is_none_or(unbounded)
    }
}

fn bearer(pki: &Provisioner, headers: &HeaderMap) -> Result<Identity, Refused> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Err(Refused::Unknown) };
    let (scheme, token) = value.to_str().ok().and_then(|v| v.split_once(' ')).unwrap_or_default();
    let known = scheme.eq_ignore_ascii_case("bearer").then(|| pki.bearers().identify(token));
    known.flatten().ok_or(Refused::Bearer)
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.identity {
            None => f.write_str("local"),
            Some(identity) => write!(f, "{}", identity.subject),
        }
    }
}
