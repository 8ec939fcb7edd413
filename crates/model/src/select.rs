//! What a selection of series looks like to its reader, wherever the samples live.

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

    /// Hands over each label of series `i`, sorted by name, for a reader that needs no copy of them.
    fn visit_labels(&self, i: usize, visit: &mut dyn FnMut(&str, &str)) {
        self.labels(i).iter().for_each(|(name, value)| visit(name, value));
    }

    /// Replaces `out` by the samples of series `i` inside `range`, in strictly increasing time
    /// order, staleness markers included.
    fn read(&self, i: usize, range: TimeRange, out: &mut Samples) -> Result<(), SelectError>;
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
