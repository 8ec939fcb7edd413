//! Label matchers.
//!
//! Regular expressions follow Prometheus: RE2 syntax, fully anchored, `.` matches newlines; they run
//! on an automaton in linear time, with a bound on pattern and program size.

use regex_automata::meta::{Config, Regex};
use regex_automata::util::syntax;

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchOp {
    Equal,
    NotEqual,
    Regex,
    NotRegex,
}

/// One condition on one label; an absent label has the value "".
#[derive(Debug, Clone)]
pub struct Matcher {
    pub name: String,
    pub op: MatchOp,
    pub value: String,
    regex: Option<Regex>,
}

/// The regular expression cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid regular expression {pattern:?}: {reason}")]
pub struct RegexError {
    pub pattern: String,
    pub reason: String,
}

/// Longest accepted pattern, in bytes. Grafana's multi-value variables make alternations of
/// thousands of literals, so this is generous.
const PATTERN_SIZE_MAX: usize = 256 << 10;
/// Largest accepted compiled program, in bytes.
const PROGRAM_SIZE_MAX: usize = 8 << 20;

impl Matcher {
    /// Fails for a regular expression that does not parse or is too large.
    pub fn new(op: MatchOp, name: &str, value: &str) -> Result<Self, RegexError> {
        let regex = match op {
            MatchOp::Regex | MatchOp::NotRegex => Some(compile(value)?),
            MatchOp::Equal | MatchOp::NotEqual => None,
        };
        Ok(Self { name: name.to_owned(), op, value: value.to_owned(), regex })
    }

    pub fn equal(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), op: MatchOp::Equal, value: value.to_owned(), regex: None }
    }

    /// Does a label with this value (or "" for an absent label) satisfy the matcher?
    pub fn matches(&self, value: &str) -> bool {
        match self.op {
            MatchOp::Equal => value == self.value,
            MatchOp::NotEqual => value != self.value,
            MatchOp::Regex => self.is_match(value),
            MatchOp::NotRegex => !self.is_match(value),
        }
    }

    fn is_match(&self, value: &str) -> bool {
        self.regex.as_ref().is_some_and(|regex| regex.is_match(value))
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}

fn compile(pattern: &str) -> Result<Regex, RegexError> {
    let error =
        |reason: String| RegexError { pattern: pattern.chars().take(200).collect(), reason };
    if pattern.len() > PATTERN_SIZE_MAX {
        return Err(error(format!("longer than {PATTERN_SIZE_MAX} bytes")));
    }
    Regex::builder()
        .configure(Config::new().nfa_size_limit(Some(PROGRAM_SIZE_MAX)))
        .syntax(syntax::Config::new().dot_matches_new_line(true))
        .build(&format!("^(?:{pattern})$"))
        .map_err(|e| error(e.to_string()))
}
