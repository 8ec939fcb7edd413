//! Native histograms as PromQL computes with them: float counts, absolute buckets.
//!
//! Follows Prometheus' `model/histogram` (FloatHistogram): exponential schemas -4..=8 and custom
//! buckets (schema -53).

/// The schema that says "bucket bounds are given explicitly".
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

/// A run of consecutive buckets: `offset` buckets are skipped (the first span: absolute index of the
/// first bucket), then `length` follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    pub offset: i32,
    pub length: u32,
}

/// What the producer said about counter resets before this histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CounterResetHint {
    #[default]
    Unknown,
    Reset,
    NotReset,
    Gauge,
}

/// A native histogram with float counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FloatHistogram {
    pub counter_reset_hint: CounterResetHint,
    pub schema: i32,
    pub zero_threshold: f64,
    pub zero_count: f64,
    pub count: f64,
    pub sum: f64,
    pub positive_spans: Vec<Span>,
    pub negative_spans: Vec<Span>,
    /// Absolute counts, one per bucket of the spans.
    pub positive_buckets: Vec<f64>,
    pub negative_buckets: Vec<f64>,
    /// Upper bounds of custom buckets (schema -53 only), without +Inf.
    pub custom_values: Vec<f64>,
}
