//! The words of metricstor as types: labels, series ids, samples, matchers, time ranges.
//!
//! Floor 0 (pure): no I/O, no clock, no async, no randomness. Every other crate speaks these types.
//!
//! ```
//! use metricstor_model::{Labels, SeriesId};
//! let labels = Labels::from_pairs([("job", "node"), ("__name__", "up")]).unwrap();
//! assert_eq!(labels.get("job"), Some("node"));
//! assert_eq!(SeriesId::of("", &labels), SeriesId::of("", &labels.clone()));
//! ```

mod exemplar;
mod histogram;
mod labels;
mod matcher;
mod number;
mod sample;
mod select;
mod series_id;
mod write;

pub use exemplar::StoredExemplar;
pub use histogram::{
    Bucket, CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, Fraction, HistogramMean,
    HistogramSum, IncompatibleSchemas, InvalidHistogram, NanObservations, Quantile, Reconciled,
    Span, Trim,
};
pub use labels::{Labels, LabelsBuilder, LabelsError, METRIC_NAME, PackedPair, TENANT_LABEL};
pub use matcher::{MatchOp, Matcher, Pattern, Programs, RegexError};
pub use number::parse_float;
pub use sample::{STALE_NAN, Samples, TimeRange, is_stale};
pub use select::{Need, Room, SelectError, SeriesSet};
pub use series_id::SeriesId;
pub use write::{
    DecodeLabels, EncodedLabels, Exemplar, HistogramSample, LabelsFault, Metadata, WriteRequest,
    WriteSeries,
};
