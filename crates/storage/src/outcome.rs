//! What became of a write, in words that HTTP turns into an answer.

use std::fmt;

use metricstor_memory::Exceeded;

/// Counts for one request, decided when it was applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteOutcome {
    /// Stored now, or stored before with the same value.
    pub accepted: Counts,
    /// Of `accepted`: were there already.
    pub duplicates: u64,
    /// Refused for ever: sending them again cannot help.
    pub refused: Counts,
    /// Of `refused`, by `RefusalReason`.
    pub refused_by_reason: [u64; RefusalReason::ALL.len()],
    /// Exemplars stored now or before.
    pub accepted_exemplars: u64,
    /// Exemplars beyond a limit; no reason for the sender to do anything.
    pub dropped_exemplars: u64,
    /// The first refusal, with the series it concerns.
    pub first_refusal: Option<Refusal>,
}

/// Floats and native histograms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub samples: u64,
    pub histograms: u64,
}

/// One sample or series that cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub reason: RefusalReason,
    /// A sentence for the sender, naming series, time and limit.
    pub detail: String,
}

/// Why; also the `reason` label of the refusal counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalReason {
    InvalidLabels,
    TooOld,
    TooFarAhead,
    ValueConflict,
    InvalidHistogram,
    TooManySeries,
    /// The sender has as many active series as its own limit allows.
    SenderSeriesLimit,
    /// Another series has the same 128-bit id.
    IdCollision,
    /// A series with neither samples nor histograms nor exemplars; counted by series.
    NoSamples,
}

impl RefusalReason {
    pub const ALL: [Self; 9] = [
        Self::InvalidLabels,
        Self::TooOld,
        Self::TooFarAhead,
        Self::ValueConflict,
        Self::InvalidHistogram,
        Self::TooManySeries,
        Self::SenderSeriesLimit,
        Self::IdCollision,
        Self::NoSamples,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidLabels => "invalid_labels",
            Self::TooOld => "too_old",
            Self::TooFarAhead => "too_far_ahead",
            Self::ValueConflict => "value_conflict",
            Self::InvalidHistogram => "invalid_histogram",
            Self::TooManySeries => "too_many_series",
            Self::SenderSeriesLimit => "sender_series_limit",
            Self::IdCollision => "id_collision",
            Self::NoSamples => "no_samples",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.name(), self.detail)
    }
}

impl WriteOutcome {
    /// Counts refusals, keeping the words of the first.
    pub(crate) fn refuse(
        &mut self,
        counts: Counts,
        reason: RefusalReason,
        detail: impl FnOnce() -> String,
    ) {
        self.refused += counts;
        self.refused_by_reason[reason as usize] += counts.total();
        self.first_refusal.get_or_insert_with(|| Refusal { reason, detail: detail() });
    }

    pub(crate) fn refuse_empty(&mut self, series: u64) {
        if series > 0 {
            let detail =
                || format!("{series} series with neither samples nor histograms nor exemplars");
            self.refuse(Counts::default(), RefusalReason::NoSamples, detail);
            self.refused_by_reason[RefusalReason::NoSamples as usize] += series;
        }
    }
}

/// Why nothing of a request was stored; all but `Closed` pass with time or an operator's help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// More is waiting for the disk than may be held in memory.
    #[error("overloaded: {waiting} bytes wait to be committed, the limit is {limit}")]
    Overloaded { waiting: usize, limit: usize },
    #[error(transparent)]
    Memory(#[from] Exceeded),
    #[error("the disk is full: {0}")]
    DiskFull(String),
    /// An fsync failed: the state of the log is unknown until a restart has read it again.
    #[error("writing stopped after a failed fsync, restart to recover: {0}")]
    Poisoned(String),
    #[error("the log cannot be written: {0}")]
    Failed(String),
    #[error("the store is shutting down")]
    Closed,
}

impl Counts {
    pub fn total(self) -> u64 {
        self.samples + self.histograms
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.samples += other.samples;
        self.histograms += other.histograms;
    }
}
