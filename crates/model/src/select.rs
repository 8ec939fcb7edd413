//! What a selection of series looks like to its reader, wherever the samples live.

use std::ops::{ControlFlow, Range};

use crate::{Labels, Samples, TimeRange};

/// The series that matched; read by many threads at once.
///
/// Labels and samples are made on demand: a query that needs no labels never pays for them.
pub trait SeriesSet: Send + Sync {
    /// The number of series.
    fn len(&self) -> usize;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The labels of series `i` (0 ≤ i < len).
    fn labels(&self, i: usize) -> Labels;

    /// Appends the labels of several series: cheaper than one by one.
    fn labels_of(&self, series: &[usize], out: &mut Vec<Labels>) {
        out.extend(series.iter().map(|i| self.labels(*i)));
    }

    /// Hands over the labels of several series, by their place in `series` and sorted by name, for a
    /// reader that needs no copy of them: all of them, or those that are `named`.
    fn visit_labels(
        &self,
        series: &[usize],
        named: Option<&[String]>,
        visit: &mut dyn FnMut(usize, &str, &str),
    ) {
        for (place, i) in series.iter().enumerate() {
            let labels = self.labels(*i);
            let is_named = |name: &str| named.is_none_or(|named| named.iter().any(|n| n == name));
            let wanted = labels.iter().filter(|(name, _)| is_named(name));
            wanted.for_each(|(name, value)| visit(place, name, value));
        }
    }

    /// Does any of them have a label of this name?
    fn have_label(&self, name: &str) -> bool {
        (0..self.len()).any(|i| self.labels(i).get(name).is_some())
    }

    /// Replaces `out` by the samples of series `i` inside `range`, in strictly increasing time
    /// order, staleness markers included.
    fn read(&self, i: usize, range: TimeRange, out: &mut Samples) -> Result<(), SelectError>;

    /// As `read`, as long as there is `room`.
    fn read_within(
        &self,
        i: usize,
        range: TimeRange,
        room: Room<'_>,
        out: &mut Samples,
    ) -> Result<(), SelectError> {
        let visit = &mut |_, _: &mut Samples| ControlFlow::Continue(());
        self.read_each(i..i + 1, range, Need::Every, room, out, visit)
    }

    /// Reads `series` one after the other and hands over the number and the samples of each, until
    /// `visit` breaks off. Cheaper than to ask for each: what they share is looked up once. Samples
    /// that the reader does not need may be left out; they are counted.
    fn read_each(
        &self,
        series: Range<usize>,
        range: TimeRange,
        _need: Need,
        room: Room<'_>,
        out: &mut Samples,
        visit: &mut dyn FnMut(usize, &mut Samples) -> ControlFlow<()>,
    ) -> Result<(), SelectError> {
        for i in series {
            self.read(i, range, out)?;
            if !room(out) {
                return Err(SelectError::Cancelled);
            }
            if visit(i, out).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// Is there room for what was read of a series so far? Asked when that has doubled, and before it is
/// handed over: a series may have a sample each millisecond, or histograms of ten thousand buckets. If
/// there is none, the read ends with [`SelectError::Cancelled`].
pub type Room<'a> = &'a mut dyn FnMut(&Samples) -> bool;

/// What a reader needs of a stretch of floats that lies inside the range as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    Every,
    /// One of the greatest; the sign of a zero matters.
    Greatest,
    Least,
    /// Any one of them.
    One,
}

/// Why stored samples cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// Stored bytes are damaged; the message names file and offset.
    #[error("damaged data: {0}")]
    Damaged(String),
    /// The selection needs more than the limit with this name allows.
    #[error("limit {limit} exceeded: {detail}")]
    LimitExceeded { limit: &'static str, detail: String },
    /// The caller gave up or ran out of time.
    #[error("cancelled")]
    Cancelled,
    /// The disk or the index failed.
    #[error("storage failed: {0}")]
    Failed(String),
}
