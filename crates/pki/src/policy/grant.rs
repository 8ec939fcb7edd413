//! A rule made ready for use: its tenant, stamps and matchers are checked and compiled.

use std::fmt;

use metricstor_model::{MatchOp, Matcher};

use super::rule::{Fault, Limits, Rule, Verb};
use crate::identity::Identity;

/// The tenant of everybody who is given none.
const COMMON_TENANT: &str = "";
const TENANT_LENGTH_MAX: usize = 64;
const LABEL_LENGTH_MAX: usize = 1_024;

/// What a rule lets a caller do, and within which bounds.
#[derive(Debug)]
pub struct Grant {
    rule: usize,
    /// As written, for people.
    who: Vec<String>,
    may: Vec<Verb>,
    tenant: String,
    read_tenants: Vec<String>,
    stamps: Vec<(String, Vec<Part>)>,
    only: Vec<Matcher>,
    limits: Limits,
}

/// A piece of a stamped value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Name,
    Kind,
    TrustDomain,
}

impl Grant {
    pub(super) fn new(rule: usize, text: &Rule) -> Result<Self, Fault> {
        if text.may.is_empty() {
            return Err(Fault::new("may", "grants nothing; list at least one verb"));
        }
        let tenants = text.tenant.iter().map(|tenant| ("tenant", tenant));
        for (field, tenant) in tenants.chain(text.read_tenants.iter().map(|t| ("read_tenants", t)))
        {
            check_tenant(field, tenant)?;
        }
        let mut stamps = Vec::new();
        for (name, value) in &text.stamp {
            check_label(name)?;
            stamps.push((name.clone(), parse_stamp(value)?));
        }
        let only =
            text.only.iter().map(|matcher| parse_matcher(matcher)).collect::<Result<_, _>>()?;
        Ok(Self {
            rule,
            who: text.who.clone(),
            may: text.may.clone(),
            tenant: text.tenant.clone().unwrap_or_else(|| COMMON_TENANT.to_owned()),
            read_tenants: text.read_tenants.clone(),
            stamps,
            only,
            limits: text.limits,
        })
    }

    /// The number of the rule, from 1.
    pub fn rule(&self) -> usize {
        self.rule
    }

    pub fn allows(&self, verb: Verb) -> bool {
        self.may.contains(&verb)
    }

    /// Where samples are written; empty is the common tenant.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// May it read this tenant?
    pub fn reads_tenant(&self, tenant: &str) -> bool {
        tenant == self.tenant || self.read_tenants.iter().any(|other| other == tenant)
    }

    /// Does it put labels on samples?
    pub fn has_stamps(&self) -> bool {
        !self.stamps.is_empty()
    }

    /// Labels to put on every sample of this sender, replacing what it says.
    pub fn stamps(&self, sender: &Identity) -> Vec<(&str, String)> {
        let value = |parts: &[Part]| parts.iter().map(|part| part.of(sender)).collect();
        self.stamps.iter().map(|(name, parts)| (&**name, value(parts))).collect()
    }

    /// Matchers to add to every selector.
    pub fn only(&self) -> &[Matcher] {
        &self.only
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}

/// One line that explains the grant to an administrator.
impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verbs: Vec<String> = self.may.iter().map(Verb::to_string).collect();
        write!(f, "rule {}, {}: may {}", self.rule, self.who.join(", "), verbs.join(", "))?;
        if !self.tenant.is_empty() {
            write!(f, "; tenant {}", self.tenant)?;
        }
        if !self.read_tenants.is_empty() {
            write!(f, "; also reads {}", self.read_tenants.join(", "))?;
        }
        for (name, parts) in &self.stamps {
            let value: String = parts.iter().map(Part::to_string).collect();
            write!(f, "; stamps {name}={value:?}")?;
        }
        for matcher in &self.only {
            write!(f, "; sees only {}{}{:?}", matcher.name, operator(matcher.op), matcher.value)?;
        }
        for (name, limit) in self.limits.set() {
            write!(f, "; {name} {limit}")?;
        }
        Ok(())
    }
}

impl Part {
    fn of<'a>(&'a self, sender: &'a Identity) -> &'a str {
        match self {
            Self::Text(text) => text,
            Self::Name => sender.name(),
            Self::Kind => sender.kind().as_str(),
            Self::TrustDomain => sender.trust_domain.as_str(),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(text) => text,
            Self::Name => "{name}",
            Self::Kind => "{kind}",
            Self::TrustDomain => "{trust_domain}",
        })
    }
}

/// Is this the name of a tenant, other than the common one?
pub fn is_tenant(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=TENANT_LENGTH_MAX).contains(&name.len())
        && name.bytes().all(plain)
        && !matches!(name, "." | "..")
}

fn check_tenant(field: &'static str, tenant: &str) -> Result<(), Fault> {
    if is_tenant(tenant) {
        return Ok(());
    }
    let rule = "a tenant is 1 to 64 of A-Z a-z 0-9 . _ -";
    Err(Fault::new(field, format!("{:?}: {rule}", tenant.chars().take(80).collect::<String>())))
}

fn check_label(name: &str) -> Result<(), Fault> {
    if name.is_empty() || name.len() > LABEL_LENGTH_MAX {
        return Err(Fault::new("stamp", "a label name has 1 to 1024 bytes"));
    }
    if name == metricstor_model::METRIC_NAME {
        return Err(Fault::new("stamp", "the metric's name cannot be stamped"));
    }
    if name == metricstor_model::TENANT_LABEL {
        return Err(Fault::new("stamp", "write `tenant: NAME` instead of stamping its label"));
    }
    Ok(())
}

fn parse_stamp(value: &str) -> Result<Vec<Part>, Fault> {
    let fault = |text: String| Err(Fault::new("stamp", text));
    if value.is_empty() || value.len() > LABEL_LENGTH_MAX {
        return fault("a value has 1 to 1024 bytes".to_owned());
    }
    let mut parts = Vec::new();
    let mut rest = value;
    while let Some((text, after)) = rest.split_once('{') {
        let Some((placeholder, tail)) = after.split_once('}') else {
            return fault(format!("{value:?}: a {{ without }}"));
        };
        if !text.is_empty() {
            parts.push(Part::Text(text.to_owned()));
        }
        parts.push(match placeholder {
            "name" => Part::Name,
            "kind" => Part::Kind,
            "trust_domain" => Part::TrustDomain,
            other => {
                let known = "known are {name}, {kind} and {trust_domain}";
                return fault(format!("{value:?}: unknown placeholder {other:?}; {known}"));
            }
        });
        rest = tail;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    Ok(parts)
}

/// `name="value"`, with the operators `=`, `!=`, `=~`, `!~`.
fn parse_matcher(text: &str) -> Result<Matcher, Fault> {
    let fault = |reason: &str| {
        Fault::new("only", format!("{text:?} is not a matcher such as env=\"prod\": {reason}"))
    };
    let position = text.find(['=', '!']).ok_or_else(|| fault("no operator"))?;
    let (name, rest) = text.split_at(position);
    let operators = [
        ("=~", MatchOp::Regex),
        ("!~", MatchOp::NotRegex),
        ("!=", MatchOp::NotEqual),
        ("=", MatchOp::Equal),
    ];
    let (op, value) = operators
        .into_iter()
        .find_map(|(sign, op)| Some((op, rest.strip_prefix(sign)?)))
        .ok_or_else(|| fault("no operator"))?;
    // The escapes of JSON's strings are among those of PromQL's.
    let value: String = serde_json::from_str(value.trim())
        .map_err(|_| fault("the value is not a quoted string"))?;
    let name = name.trim();
    if name.is_empty() || name.contains(['"', '{', '}', ',']) {
        return Err(fault("the label name is missing or quoted"));
    }
    Matcher::new(op, name, &value).map_err(|e| fault(&e.to_string()))
}

fn operator(op: MatchOp) -> &'static str {
    match op {
        MatchOp::Equal => "=",
        MatchOp::NotEqual => "!=",
        MatchOp::Regex => "=~",
        MatchOp::NotRegex => "!~",
    }
}
