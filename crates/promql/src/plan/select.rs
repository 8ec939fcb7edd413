//! The questions to the source: which times a selector can need, and which selectors share one.

use metricstor_model::{METRIC_NAME, MatchOp, Matcher, TimeRange};

use super::Selection;
use crate::Hints;
use crate::ast::RangeExtension;
use crate::eval::grid::Shift;

/// The evaluation times of an expression inside the query, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    pub start: i64,
    pub end: i64,
}

impl Times {
    /// Those of the expression inside a subquery or selector with these modifiers.
    pub fn shifted(self, shift: Shift) -> Self {
        Self { start: shift.apply(self.start), end: shift.apply(self.end) }
    }

    /// Those of the expression inside a subquery of this range.
    pub fn widened(self, range: i64) -> Self {
        Self { start: self.start.saturating_sub(range), ..self }
    }

    /// The samples that a selector of this kind needs; `range` is 0 for an instant selector.
    pub fn samples(self, range: i64, lookback: i64, extension: RangeExtension) -> TimeRange {
        let (before, after) = match (extension, range) {
            (RangeExtension::None, 0) => (lookback, 0),
            (RangeExtension::None, range) => (range, 0),
            (RangeExtension::Anchored, range) => (range.saturating_add(lookback), 0),
            (RangeExtension::Smoothed, range) => (range.saturating_add(lookback), lookback),
        };
        // One millisecond earlier than Prometheus asks for: windows of extended selectors are
        // closed on the left.
        TimeRange::new(self.start.saturating_sub(before), self.end.saturating_add(after))
    }
}

/// Asks for the series, together with an equal earlier question if their times overlap.
pub(super) fn share(
    selections: &mut Vec<Selection>,
    matchers: &[Matcher],
    range: TimeRange,
    hints: Hints,
) -> usize {
    let same = |s: &Selection| s.range.overlaps(range) && s.matchers == matchers;
    let Some(index) = selections.iter().position(same) else {
        selections.push(Selection { matchers: matchers.to_vec(), range, hints });
        return selections.len() - 1;
    };
    let selection = &mut selections[index];
    selection.range.start = selection.range.start.min(range.start);
    selection.range.end = selection.range.end.max(range.end);
    selection.hints.range = selection.hints.range.max(hints.range);
    if selection.hints.func != hints.func {
        selection.hints.func = "";
    }
    index
}

pub(super) fn fixed_name(matchers: &[Matcher]) -> Option<&str> {
    let named = |m: &&Matcher| m.name == METRIC_NAME && m.op == MatchOp::Equal;
    matchers.iter().find(named).map(|m| m.value.as_str()).filter(|name| !name.is_empty())
}
