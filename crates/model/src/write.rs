//! A decoded write request, borrowed from the bytes that came in: the hand-over from `wire` to
//! `storage`.
//!
//! Labels stay encoded: storage knows most series already and recognises them by the bytes alone, so
//! only a series seen for the first time has its labels decoded.

use std::ops::Range;

use crate::{FloatHistogram, InvalidHistogram};

/// What a sender wants stored. Columns are shared by all series, so a request costs a handful of
/// allocations however many series it carries.
#[derive(Debug, Default)]
pub struct WriteRequest<'a> {
    pub series: Vec<WriteSeries<'a>>,
    /// Milliseconds since the Unix epoch.
    pub timestamps: Vec<i64>,
    /// As long as `timestamps`; NaN payloads are kept bit for bit.
    pub values: Vec<f64>,
    /// Since when the counters count, one per sample; empty when no sample says so (0 = it does not).
    pub start_timestamps: Vec<i64>,
    pub histograms: Vec<HistogramSample>,
    pub exemplars: Vec<Exemplar<'a>>,
    pub metadata: Vec<Metadata<'a>>,
    /// Series with neither samples nor histograms nor exemplars where the protocol demands some;
    /// left out.
    pub series_without_samples: usize,
}

/// One series of a request.
#[derive(Debug)]
pub struct WriteSeries<'a> {
    pub labels: EncodedLabels<'a>,
    /// Its samples in `timestamps` and `values`.
    pub samples: Range<usize>,
    /// Its native histograms in `histograms`.
    pub histograms: Range<usize>,
    /// Its exemplars in `exemplars`.
    pub exemplars: Range<usize>,
}

/// Labels as a protocol encoded them. Equal bytes mean equal labels (not the other way round).
#[derive(Debug, Clone, Copy)]
pub struct EncodedLabels<'a> {
    pub bytes: &'a [u8],
    pub decode: DecodeLabels,
}

/// Appends the pairs in the order sent, unchecked but for UTF-8.
pub type DecodeLabels =
    for<'a> fn(&'a [u8], &mut Vec<(&'a str, &'a str)>) -> Result<(), LabelsFault>;

impl<'a> EncodedLabels<'a> {
    /// Replaces `pairs` by the canonical pairs: sorted by name, without empty values.
    pub fn canonical(&self, pairs: &mut Vec<(&'a str, &'a str)>) -> Result<(), LabelsFault> {
        pairs.clear();
        (self.decode)(self.bytes, pairs)?;
        if !pairs.is_sorted_by(|a, b| a.0 < b.0) {
            pairs.sort_unstable_by(|a, b| a.0.cmp(b.0));
            if let Some(twice) = pairs.windows(2).find(|w| w[0].0 == w[1].0) {
                return Err(LabelsFault::DuplicateName(twice[0].0.chars().take(128).collect()));
            }
        }
        if pairs.first().is_some_and(|(name, _)| name.is_empty()) {
            return Err(LabelsFault::EmptyName);
        }
        pairs.retain(|(_, value)| !value.is_empty());
        let named = pairs.iter().any(|(name, _)| *name == crate::METRIC_NAME);
        if named { Ok(()) } else { Err(LabelsFault::NoMetricName) }
    }
}

/// Why a series' labels can never be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelsFault {
    #[error("no metric name (label __name__)")]
    NoMetricName,
    #[error("duplicate label name {0:?}")]
    DuplicateName(String),
    #[error("empty label name")]
    EmptyName,
    #[error("label text is not valid UTF-8")]
    NotUtf8,
    #[error("labels are not encoded correctly")]
    Malformed,
    #[error("{count} labels exceed the limit of {limit}")]
    TooMany { count: usize, limit: usize },
    #[error("label {name:?} is longer than the limit of {limit} bytes")]
    TooLong { name: String, limit: usize },
    #[error("label {0} is set by the server and may not be sent")]
    Reserved(&'static str),
}

/// A native histogram at a time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HistogramSample {
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// Since when it counts; 0: it does not say.
    pub start_timestamp: i64,
    pub histogram: FloatHistogram,
    /// It was written with integer counts, which have to add up.
    pub is_integer: bool,
}

impl HistogramSample {
    /// May the histogram be stored?
    pub fn validate(&self) -> Result<(), InvalidHistogram> {
        if self.is_integer { self.histogram.validate_integer() } else { self.histogram.validate() }
    }

    /// As it is stored: with no finer buckets than PromQL computes with.
    pub fn stored(&self) -> Self {
        let mut stored = self.clone();
        stored.histogram.reduce_resolution(FloatHistogram::SCHEMA_MAX);
        stored
    }
}

/// A sample with a pointer to a trace; belongs to the series whose range holds it.
#[derive(Debug, Clone)]
pub struct Exemplar<'a> {
    pub labels: EncodedLabels<'a>,
    pub value: f64,
    pub timestamp: i64,
}

/// What a metric means, as its producer declared it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata<'a> {
    pub metric: &'a str,
    /// `counter`, `gauge`, `histogram`, `gaugehistogram`, `summary`, `info`, `stateset`, `unknown`.
    pub kind: &'static str,
    pub help: &'a str,
    pub unit: &'a str,
}
