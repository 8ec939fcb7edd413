//! A rule as it is written in the configuration, and what can be wrong with it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::identity::Kind;
use crate::pattern::NamePattern;

const RULE_PATTERNS_MAX: usize = 1_000;

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Push samples.
    Write,
    /// Query.
    Read,
    /// Change recording and alerting rules.
    Rules,
    /// Everything that changes the server itself.
    Admin,
    /// Act as a server of the same cluster.
    Peer,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Write => "write",
            Self::Read => "read",
            Self::Rules => "rules",
            Self::Admin => "admin",
            Self::Peer => "peer",
        })
    }
}

/// One rule: who may do what, within which bounds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// `<kind>/<name pattern>`, one or several; `*` alone is everybody.
    #[serde(deserialize_with = "one_or_several")]
    pub who: Vec<String>,
    pub may: Vec<Verb>,
    /// Where it writes, and reads unless it asks for another; the common tenant by default.
    #[serde(default)]
    pub tenant: Option<String>,
    /// Further tenants that it may read.
    #[serde(default)]
    pub read_tenants: Vec<String>,
    /// Labels that every written sample gets, whatever the sender says. Values may hold `{name}`,
    /// `{kind}` and `{trust_domain}` of the sender.
    #[serde(default)]
    pub stamp: BTreeMap<String, String>,
    /// Matchers such as `env="prod"` that every selector it reads with gets.
    #[serde(default)]
    pub only: Vec<String>,
    #[serde(default)]
    pub limits: Limits,
}

/// Bounds that differ from the server's; absent means the server's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Series with recent samples.
    pub active_series: Option<u64>,
    pub samples_per_second: Option<u64>,
    pub labels_per_series: Option<u32>,
    pub label_name_bytes: Option<u32>,
    pub label_value_bytes: Option<u32>,
    pub query_memory_bytes: Option<u64>,
    pub concurrent_queries: Option<u32>,
}

impl Limits {
    /// Those that are set, under the names of the configuration.
    pub(super) fn set(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("active_series", self.active_series),
            ("samples_per_second", self.samples_per_second),
            ("labels_per_series", self.labels_per_series.map(u64::from)),
            ("label_name_bytes", self.label_name_bytes.map(u64::from)),
            ("label_value_bytes", self.label_value_bytes.map(u64::from)),
            ("query_memory_bytes", self.query_memory_bytes),
            ("concurrent_queries", self.concurrent_queries.map(u64::from)),
        ]
        .into_iter()
        .filter_map(|(name, limit)| Some((name, limit?)))
    }
}

/// A mistake in a policy, worded for who wrote it. Rules are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("policy rule {rule}: {field}: {text}")]
pub struct PolicyError {
    pub rule: usize,
    pub field: &'static str,
    pub text: String,
}

/// A mistake in some rule.
#[derive(Debug)]
pub(super) struct Fault {
    field: &'static str,
    text: String,
}

impl Fault {
    pub fn new(field: &'static str, text: impl Into<String>) -> Self {
        Self { field, text: text.into() }
    }

    pub fn in_rule(self, rule: usize) -> PolicyError {
        PolicyError { rule, field: self.field, text: self.text }
    }
}

/// Resolves the identity patterns of a rule.
pub(super) fn parse_who(who: &[String]) -> Result<Vec<(Kind, NamePattern)>, Fault> {
    let fault = |text: String| Fault::new("who", text);
    if !(1..=RULE_PATTERNS_MAX).contains(&who.len()) {
        return Err(fault(format!("needs 1 to {RULE_PATTERNS_MAX} patterns")));
    }
    let mut patterns = Vec::new();
    for text in who {
        let bad = |reason: &dyn fmt::Display| {
            fault(format!("{text:?} is not <kind>/<name> such as agent/web-*: {reason}"))
        };
        if text == "*" {
            let everybody: NamePattern = text.parse().map_err(|e| bad(&e))?;
            patterns.extend(Kind::ALL.map(|kind| (kind, everybody.clone())));
            continue;
        }
        let (kind, name) = text.split_once('/').ok_or_else(|| bad(&"there is no /"))?;
        let kind = kind.parse().map_err(|e| bad(&e))?;
        patterns.push((kind, name.parse().map_err(|e| bad(&e))?));
    }
    Ok(patterns)
}

fn one_or_several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Who {
        One(String),
        Several(Vec<String>),
    }
    Ok(match Who::deserialize(deserializer)? {
        Who::One(one) => vec![one],
        Who::Several(several) => several,
    })
}
