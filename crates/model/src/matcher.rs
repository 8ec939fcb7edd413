//! Label matchers.
//!
//! Regular expressions follow Prometheus: RE2 syntax, fully anchored, `.` matches newlines. What is
//! really a list of texts, a prefix or a search for pieces is answered without an automaton; the rest
//! runs on one in linear time. Pattern and program size are bounded.

mod class;
mod parser;
mod pieces;
mod programs;
mod shape;
#[cfg(test)]
mod tests;
mod text;

use std::sync::Arc;

pub use programs::Programs;
use shape::{PROGRAM_SIZE_MAX, Shape, Unfit};

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
    /// Only for regular expressions.
    shape: Option<Arc<Shape>>,
    matches_empty: bool,
}

/// The values that a matcher's text describes, whether the matcher wants them or (`!=`, `!~`) not:
/// what an index can look up instead of asking value by value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern<'a> {
    /// Every value, the empty one included.
    Any,
    /// Every value but the empty one.
    NonEmpty,
    /// Exactly this value.
    One(&'a str),
    /// Exactly these values: sorted, each once.
    Set(&'a [Box<str>]),
    /// Some of the values that begin with this text; `describes` decides.
    Prefix(&'a str),
    /// All values that begin with this text.
    Beginning(&'a str),
}

/// The regular expression cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid regular expression {pattern:?}: {reason}")]
pub struct RegexError {
    /// The pattern; cut when it is long.
    pub pattern: String,
    pub reason: String,
    /// It is not wrong: those of the request are too large together.
    pub is_beyond: bool,
}

impl RegexError {
    fn new(pattern: &str, reason: String) -> Self {
        Self { pattern: pattern.chars().take(200).collect(), reason, is_beyond: false }
    }
}

impl Matcher {
    /// Fails for a regular expression that does not parse or is too large.
    pub fn new(op: MatchOp, name: &str, value: &str) -> Result<Self, RegexError> {
        Self::within(op, name, value, PROGRAM_SIZE_MAX).map_err(|unfit| match unfit {
            Unfit::Wrong(reason) | Unfit::TooLarge(reason) => RegexError::new(value, reason),
        })
    }

    fn within(
        op: MatchOp,
        name: &str,
        value: &str,
        program_size_max: usize,
    ) -> Result<Self, Unfit> {
        let shape = match op {
            MatchOp::Regex | MatchOp::NotRegex => {
                Some(Arc::new(Shape::of(value, program_size_max)?))
            }
            MatchOp::Equal | MatchOp::NotEqual => None,
        };
        Ok(Self::assemble(op, name, value, shape))
    }

    pub fn equal(name: &str, value: &str) -> Self {
        Self::assemble(MatchOp::Equal, name, value, None)
    }

    fn assemble(op: MatchOp, name: &str, value: &str, shape: Option<Arc<Shape>>) -> Self {
        let (name, value) = (name.to_owned(), value.to_owned());
        let mut matcher = Self { name, op, value, shape, matches_empty: false };
        matcher.matches_empty = matcher.matches("");
        matcher
    }

    /// Does a label with this value (or "" for an absent label) satisfy the matcher?
    #[inline]
    pub fn matches(&self, value: &str) -> bool {
        self.describes(value) != self.is_negative()
    }

    /// Is a series without the label satisfied?
    #[inline]
    pub fn matches_empty(&self) -> bool {
        self.matches_empty
    }

    /// Does the matcher want what its text does *not* describe?
    #[inline]
    pub fn is_negative(&self) -> bool {
        matches!(self.op, MatchOp::NotEqual | MatchOp::NotRegex)
    }

    /// Is this one of the values that the matcher's text describes?
    #[inline]
    pub fn describes(&self, value: &str) -> bool {
        match &self.shape {
            None => value == self.value,
            Some(shape) => shape.contains(value),
        }
    }

    /// The memory that the matcher's regular expression takes.
    fn program_size(&self) -> usize {
        self.shape.as_deref().map_or(0, Shape::size)
    }

    /// The described values, for an index.
    pub fn pattern(&self) -> Pattern<'_> {
        match &self.shape {
            None => Pattern::One(&self.value),
            Some(shape) => shape.pattern(),
        }
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}
