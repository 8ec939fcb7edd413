//! What an identity may do: a list of rules, of which the first that names the caller decides.
//!
//! Pure: a policy is built once from its configuration and then only asked. Invariant: nobody may
//! do anything that no rule grants; a policy with any mistake in it is not built at all.

mod grant;
mod guard;
mod rule;
mod rule_index;

use std::sync::Arc;

pub use self::grant::{Grant, is_tenant};
pub use self::guard::{Guard, NotAdmitted};
pub use self::rule::{Limits, PolicyError, Rule, Verb};
use self::rule_index::RuleIndex;
use crate::identity::Subject;

/// The rules in force, indexed by whom they name.
#[derive(Debug)]
pub struct Policy {
    grants: Vec<Arc<Grant>>,
    index: RuleIndex,
}

/// Why a caller may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    #[error("no rule of the policy names this identity")]
    NoRule,
    #[error("rule {rule} of the policy does not let this identity {verb}")]
    Verb { rule: usize, verb: Verb },
}

impl Policy {
    /// Checks all rules; the error names the first bad one.
    pub fn new(rules: &[Rule]) -> Result<Self, PolicyError> {
        let mut index = RuleIndex::default();
        let mut grants = Vec::with_capacity(rules.len());
        for (position, rule) in rules.iter().enumerate() {
            let in_rule = |fault: rule::Fault| fault.in_rule(position + 1);
            for (kind, pattern) in rule::parse_who(&rule.who).map_err(in_rule)? {
                index.add(kind, &pattern, position);
            }
            grants.push(Grant::new(position + 1, rule).map_err(in_rule)?.into());
        }
        index.seal();
        Ok(Self { grants, index })
    }

    /// What the rules grant, in their order.
    pub fn grants(&self) -> impl Iterator<Item = &Arc<Grant>> {
        self.grants.iter()
    }

    /// What the first rule that names the subject grants.
    pub fn grant(&self, subject: &Subject) -> Option<&Arc<Grant>> {
        self.grants.get(self.index.first(subject)?)
    }

    /// May the subject do this? If so, the grant says within which bounds.
    pub fn decide(&self, subject: &Subject, verb: Verb) -> Result<&Arc<Grant>, Denial> {
        let grant = self.grant(subject).ok_or(Denial::NoRule)?;
        if grant.allows(verb) {
            return Ok(grant);
        }
        Err(Denial::Verb { rule: grant.rule(), verb })
    }
}

/// What holds until somebody writes a policy: people do everything, programs read, machines push
/// under their own name, nodes talk to each other.
impl Default for Policy {
    fn default() -> Self {
        use Verb::{Admin, Peer, Read, Rules, Write};
        let rule = |who: &str, may: &[Verb]| Rule {
            who: vec![who.to_owned()],
            may: may.to_vec(),
            ..Rule::default()
        };
        Self::new(&[
            rule("user/*", &[Write, Read, Rules, Admin]),
            rule("service/*", &[Write, Read]),
            Rule {
                stamp: [("agent".to_owned(), "{name}".to_owned())].into(),
                ..rule("agent/*", &[Write])
            },
            rule("node/*", &[Peer]),
        ])
        .expect("the rules above are well-formed")
    }
}

#[cfg(test)]
mod tests;
