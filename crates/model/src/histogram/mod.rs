//! Native histograms as PromQL computes with them: float counts, absolute buckets.
//!
//! Follows Prometheus' `model/histogram` (FloatHistogram): exponential schemas -4..=8 and custom
//! buckets (schema -53). No operation panics on a histogram that was never validated.

mod aggregate;
mod arithmetic;
mod body;
mod bounds;
mod bucket;
mod count;
mod display;
mod estimate;
mod reset;
mod side;
mod trim;
mod validate;

#[cfg(test)]
mod tests;

pub use aggregate::{HistogramMean, HistogramSum};
pub use body::{IncompatibleSchemas, Reconciled};
pub use bucket::Bucket;
pub use estimate::{Fraction, NanObservations, Quantile};
pub use trim::Trim;
pub use validate::InvalidHistogram;

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

impl FloatHistogram {
    pub fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// Bytes of memory held.
    pub fn size(&self) -> usize {
        let spans = self.positive_spans.len() + self.negative_spans.len();
        let numbers =
            self.positive_buckets.len() + self.negative_buckets.len() + self.custom_values.len();
        size_of::<Self>() + spans * size_of::<Span>() + numbers * size_of::<f64>()
    }

    /// Is this the marker that the series ended?
    pub fn is_stale(&self) -> bool {
        crate::is_stale(self.sum)
    }

    /// Is any number of it infinite, as after too large a sum?
    pub fn has_overflow(&self) -> bool {
        [self.zero_count, self.count, self.sum]
            .iter()
            .chain(&self.positive_buckets)
            .chain(&self.negative_buckets)
            .chain(&self.custom_values)
            .any(|x| x.is_infinite())
    }

    /// Do both hold the same data, whatever was said about counter resets? Floats are compared by
    /// their bits, buckets by their place: an empty bucket differs from none.
    pub fn same_data(&self, other: &Self) -> bool {
        let same =
            |a: &[f64], b: &[f64]| a.iter().map(|x| x.to_bits()).eq(b.iter().map(|x| x.to_bits()));
        self.schema == other.schema
            && same(
                &[self.count, self.sum, self.zero_count],
                &[other.count, other.sum, other.zero_count],
            )
            && self.zero_threshold == other.zero_threshold
            && (!self.uses_custom_buckets() || self.custom_values == other.custom_values)
            && same(&self.positive_buckets, &other.positive_buckets)
            && same(&self.negative_buckets, &other.negative_buckets)
            && self.positive_cells().map(|(i, _)| i).eq(other.positive_cells().map(|(i, _)| i))
            && self.negative_cells().map(|(i, _)| i).eq(other.negative_cells().map(|(i, _)| i))
    }

    fn positive_cells(&self) -> side::Cells<'_, f64> {
        side::Cells::new(&self.positive_spans, &self.positive_buckets)
    }

    fn negative_cells(&self) -> side::Cells<'_, f64> {
        side::Cells::new(&self.negative_spans, &self.negative_buckets)
    }
}
