//! Patterns for names: a name, or a beginning and an end with `*` between, such as `web-*`.
//!
//! One star is enough for fleets, obvious to read, and matched in constant time.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::identity::{IdentityError, Kind, Subject};

/// A name or a family of names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct NamePattern {
    prefix: String,
    /// What follows the star; `None` without a star.
    suffix: Option<String>,
}

impl NamePattern {
    pub fn matches(&self, name: &str) -> bool {
        match &self.suffix {
            None => name == self.prefix,
            // `a*a` does not match `a`.
            Some(suffix) => {
                name.strip_prefix(&*self.prefix).is_some_and(|rest| rest.ends_with(&**suffix))
            }
        }
    }

    /// Does it stand for one name only?
    pub fn is_exact(&self) -> bool {
        self.suffix.is_none()
    }

    /// What every match begins with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What every match ends with, if there is a star.
    pub(crate) fn suffix(&self) -> Option<&str> {
        self.suffix.as_deref()
    }
}

impl FromStr for NamePattern {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        // With the star replaced, a pattern obeys the rules of names.
        Subject::new(Kind::Agent, &text.replacen('*', "x", 1))?;
        Ok(match text.split_once('*') {
            None => Self { prefix: text.to_owned(), suffix: None },
            Some((prefix, suffix)) => {
                Self { prefix: prefix.to_owned(), suffix: Some(suffix.to_owned()) }
            }
        })
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.prefix)?;
        self.suffix.as_ref().map_or(Ok(()), |suffix| write!(f, "*{suffix}"))
    }
}

impl From<NamePattern> for String {
    fn from(pattern: NamePattern) -> Self {
        pattern.to_string()
    }
}

impl TryFrom<String> for NamePattern {
    type Error = IdentityError;

    fn try_from(text: String) -> Result<Self, IdentityError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, name, expected) in [
            ("web-1", "web-1", true),
            ("web-1", "web-10", false),
            ("web-*", "web-1", true),
            ("web-*", "web-", true),
            ("web-*", "db-web-1", false),
            ("*", "anything", true),
            ("*.dc1", "a.dc1", true),
            ("*.dc1", "a.dc2", false),
            ("a*a", "aa", true),
            ("a*a", "a", false),
            ("a*a", "aba", true),
        ] {
            let pattern: NamePattern = pattern.parse().unwrap();
            assert_eq!(pattern.matches(name), expected, "{pattern} and {name}");
            assert_eq!(pattern.to_string().parse(), Ok(pattern));
        }
    }

    #[test]
    fn what_is_no_name_with_at_most_one_star_is_no_pattern() {
        for text in ["", "**", "a*b*", "a/b", "..", ".", "a?", "[a]", "ä*", "a b", "a\n"] {
            assert!(text.parse::<NamePattern>().is_err(), "{text:?}");
        }
    }
}
