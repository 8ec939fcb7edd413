//! What the regular expressions of one request may take together.

use super::shape::{PROGRAM_SIZE_MAX, Unfit};
use super::{MatchOp, Matcher, RegexError};

/// Bytes of memory, and of patterns, that take no longer than some tens of microseconds.
const LIGHT_SIZE: usize = 16 << 10;
const LIGHT_TEXT: usize = 128;

/// Counts the matchers of a request: each is bounded, and a request can have many.
#[derive(Debug)]
pub struct Programs {
    size_max: usize,
    left: usize,
    /// Bytes of patterns left, where only light ones are let in.
    light: Option<usize>,
}

impl Programs {
    /// `size_max` are the bytes of memory that all programs may take.
    pub fn new(size_max: usize) -> Self {
        Self { size_max, left: size_max, light: None }
    }

    /// For where there is no time: lets in short patterns of plain signs. What it refuses as beyond
    /// is not looked into any further.
    pub fn light(size_max: usize) -> Self {
        Self { light: Some(LIGHT_TEXT), ..Self::new(size_max.min(LIGHT_SIZE)) }
    }

    /// One more matcher of the request. What does not fit is not built to its end.
    pub fn matcher(&mut self, op: MatchOp, name: &str, value: &str) -> Result<Matcher, RegexError> {
        if matches!(op, MatchOp::Regex | MatchOp::NotRegex)
            && let Some(left) = self.light
        {
            let rest = left.checked_sub(value.len()).filter(|_| is_plain(value));
            self.light = Some(rest.ok_or_else(|| self.beyond(value))?);
        }
        let size_max = self.left.min(PROGRAM_SIZE_MAX);
        let matcher = Matcher::within(op, name, value, size_max).map_err(|unfit| match unfit {
            Unfit::TooLarge(_) if size_max < PROGRAM_SIZE_MAX => self.beyond(value),
            Unfit::TooLarge(reason) | Unfit::Wrong(reason) => RegexError::new(value, reason),
        })?;
        self.admit(&matcher)?;
        Ok(matcher)
    }

    /// Counts a matcher that was made elsewhere.
    pub fn admit(&mut self, matcher: &Matcher) -> Result<(), RegexError> {
        let left = self.left.checked_sub(matcher.program_size());
        self.left = left.ok_or_else(|| self.beyond(&matcher.value))?;
        Ok(())
    }

    fn beyond(&self, pattern: &str) -> RegexError {
        let limit = self.size_max;
        let reason = "all of a request take more memory than query.max_regex_memory";
        let error = RegexError::new(pattern, format!("{reason} ({limit} bytes)"));
        RegexError { is_beyond: true, ..error }
    }
}

/// Is it free of what multiplies (counts) and of what brings in much of Unicode (flags, negated
/// classes, classes with a name)?
fn is_plain(pattern: &str) -> bool {
    let named = |pair: &[u8]| pair[0] == b'\\' && pair[1].is_ascii_alphanumeric();
    let is_costly = |pair: &[u8]| named(pair) || pair == b"(?" || pair == b"[^" || pair == b"[:";
    pattern.is_ascii() && !pattern.contains('{') && !pattern.as_bytes().windows(2).any(is_costly)
}
