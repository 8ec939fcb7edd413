//! What the regular expressions of one request may take together.

use super::{Matcher, RegexError};

/// Bytes of memory of all programs.
const PROGRAMS_SIZE_MAX: usize = 64 << 20;

/// Counts the matchers of a request: each is bounded, and a request can have many.
#[derive(Debug)]
pub struct Programs {
    left: usize,
}

impl Default for Programs {
    fn default() -> Self {
        Self { left: PROGRAMS_SIZE_MAX }
    }
}

impl Programs {
    /// Fails for the matcher that exceeds what all may take.
    pub fn admit(&mut self, matcher: &Matcher) -> Result<(), RegexError> {
        let left = self.left.checked_sub(matcher.program_size());
        self.left = left.ok_or_else(|| {
            let limit = PROGRAMS_SIZE_MAX >> 20;
            let reason = format!("all of a request take more than {limit} MiB of memory");
            RegexError::new(&matcher.value, reason)
        })?;
        Ok(())
    }
}
