//! What the regular expressions of one request may take together.

use super::shape::{PROGRAM_SIZE_MAX, Unfit};
use super::{MatchOp, Matcher, RegexError};

/// Counts the matchers of a request: each is bounded, and a request can have many.
#[derive(Debug)]
pub struct Programs {
    size_max: usize,
    left: usize,
}

impl Programs {
    /// `size_max` are the bytes of memory that all programs may take.
    pub fn new(size_max: usize) -> Self {
        Self { size_max, left: size_max }
    }

    /// One more matcher of the request. What does not fit is not built to its end.
    pub fn matcher(&mut self, op: MatchOp, name: &str, value: &str) -> Result<Matcher, RegexError> {
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
