//! Where series come from: the engine's only view of the world.

use std::sync::Arc;

use metricstor_model::{Matcher, SelectError, SeriesSet, TimeRange};

/// What the engine will do with a selection, so that a source can fetch less.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Hints {
    /// The query's step in milliseconds; 0 for an instant query.
    pub step: i64,
    /// The width of the range selector in milliseconds; 0 for an instant selector.
    pub range: i64,
    /// The innermost function or aggregation above the selector, by name; "" when there is none.
    pub func: &'static str,
}

/// A store that can be asked for series; synchronous, called from the engine's threads.
pub trait Source: Send + Sync {
    /// All series with a sample possibly inside `range` that satisfy every matcher.
    ///
    /// The order of the series does not matter; each label set occurs once.
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        hints: &Hints,
    ) -> Result<Arc<dyn SeriesSet>, SelectError>;
}
