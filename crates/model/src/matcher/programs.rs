//! What the regular expressions of one request may take together.

use super::{Matcher, RegexError};

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

    /// Fails for the matcher that exceeds what all may take.
    pub fn admit(&mut self, matcher: &Matcher) -> Result<(), RegexError> {
        let left = self.left.checked_sub(matcher.program_size());
        self.left = left.ok_or_else(|| {
            let limit = self.size_max;
            let reason = "all of a request take more memory than query.max_regex_memory";
            RegexError::new(&matcher.value, format!("{reason} ({limit} bytes)"))
        })?;
        Ok(())
    }
}
