//! The times at which an expression is evaluated: one for an instant, evenly spaced for a range.

use metricstor_model::TimeRange;

use crate::QueryError;

/// `start`, `start + step`, … up to `end`. Milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    pub start: i64,
    pub end: i64,
    pub step: i64,
    /// The number of times; 0 if `end` < `start`.
    pub len: usize,
}

impl Grid {
    pub fn instant(time: i64) -> Self {
        Self { start: time, end: time, step: 1, len: 1 }
    }

    /// Fails when there are more than `len_max` times.
    pub fn range(start: i64, end: i64, step: i64, len_max: usize) -> Result<Self, QueryError> {
        let step = step.max(1);
        let last = (i128::from(end) - i128::from(start)).div_euclid(i128::from(step));
        if last >= len_max as i128 {
            return Err(QueryError::too_many_samples());
        }
        let len = usize::try_from(last + 1).unwrap_or(0);
        Ok(Self { start, end, step, len })
    }

    pub fn time(&self, step: usize) -> i64 {
        self.start.saturating_add(self.step.saturating_mul(step as i64))
    }

    pub fn times(&self) -> impl Iterator<Item = i64> + use<> {
        let grid = *self;
        (0..grid.len).map(move |step| grid.time(step))
    }

    pub fn last(&self) -> i64 {
        self.time(self.len.saturating_sub(1))
    }

    /// In how many windows of this range a sample is.
    pub fn overlap(&self, range: i64) -> i64 {
        (range / self.step).min(self.len as i64)
    }

    /// The first time alone.
    pub fn first(&self) -> Self {
        Self::instant(self.start)
    }

    /// Is this one moment? Then results keep their order, and Prometheus looks for duplicates later.
    pub fn is_instant(&self) -> bool {
        self.start == self.end
    }
}

/// Where a selector looks, seen from a grid: `@` fixes the time, `offset` shifts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Shift {
    pub at: Option<i64>,
    pub offset: i64,
}

impl Shift {
    pub fn apply(&self, time: i64) -> i64 {
        self.at.unwrap_or(time).saturating_sub(self.offset)
    }

    /// Every sample not older than `before` (exclusive) or newer than `after` (inclusive) at some
    /// time of the grid.
    pub fn range(&self, grid: &Grid, before: i64, after: i64) -> TimeRange {
        let first = self.apply(grid.start).saturating_sub(before).saturating_add(1);
        TimeRange::new(first, self.apply(grid.last()).saturating_add(after))
    }
}
