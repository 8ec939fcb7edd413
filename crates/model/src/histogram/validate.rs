//! What a histogram from outside must satisfy before anything is computed with it.

use super::bounds::{SCHEMA_MAX, SCHEMA_MIN};
use super::{FloatHistogram, Span};

/// The finest exponential schema that a histogram may come with; beyond `SCHEMA_MAX` it is reduced.
const SCHEMA_SENT_MAX: i32 = 52;
/// Integers up to this are told apart as doubles.
const EXACT_MAX: f64 = (1u64 << 53) as f64;

/// Why a histogram is refused.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum InvalidHistogram {
    #[error(
        "schema {0} is neither exponential ({SCHEMA_MIN} to {SCHEMA_SENT_MAX}) nor custom buckets (-53)"
    )]
    Schema(i32),
    #[error("the spans cover {spans} buckets, but there are {buckets}")]
    SpansMismatch { spans: u64, buckets: u64 },
    #[error("span {0} starts before the end of the one before it")]
    NegativeOffset(usize),
    #[error("the spans reach beyond the largest bucket index")]
    IndexOverflow,
    #[error("bucket {bucket} has {count} observations")]
    NegativeBucket { bucket: usize, count: f64 },
    #[error("the histogram has {0} observations")]
    NegativeCount(f64),
    #[error("{count} observations, but {buckets} in the buckets")]
    CountMismatch { count: f64, buckets: f64 },
    #[error("the width of the zero bucket, {0}, is not a number of at least zero")]
    ZeroThreshold(f64),
    #[error("custom bounds must be finite numbers in ascending order")]
    CustomBounds,
    #[error("{bounds} custom bounds are too few for spans over {buckets} buckets")]
    TooFewCustomBounds { bounds: usize, buckets: u64 },
    #[error("custom buckets have no zero bucket and no negative buckets")]
    CustomWithZeroOrNegative,
    #[error("exponential buckets have no custom bounds")]
    ExponentialWithBounds,
}

impl FloatHistogram {
    /// The finest exponential schema that PromQL computes with.
    pub const SCHEMA_MAX: i32 = SCHEMA_MAX;

    /// Are spans, buckets and bounds consistent and the counts not negative?
    ///
    /// The total is not compared with the buckets: float counts are subject to rounding.
    pub fn validate(&self) -> Result<(), InvalidHistogram> {
        if self.uses_custom_buckets() {
            self.validate_custom()?;
        } else {
            self.validate_exponential()?;
        }
        validate_counts(&self.negative_buckets)?;
        validate_counts(&self.positive_buckets)?;
        if self.count < 0.0 {
            return Err(InvalidHistogram::NegativeCount(self.count));
        }
        Ok(())
    }

    /// [`Self::validate`] for a histogram that was written with integer counts: the total must be
    /// what the buckets hold, or more if observations of NaN (which make the sum NaN) are possible.
    pub fn validate_integer(&self) -> Result<(), InvalidHistogram> {
        self.validate()?;
        let buckets = self.zero_count
            + self.positive_buckets.iter().sum::<f64>()
            + self.negative_buckets.iter().sum::<f64>();
        let plausible =
            if self.sum.is_nan() { buckets <= self.count } else { buckets == self.count };
        match plausible || self.count > EXACT_MAX {
            true => Ok(()),
            false => Err(InvalidHistogram::CountMismatch { count: self.count, buckets }),
        }
    }

    fn validate_exponential(&self) -> Result<(), InvalidHistogram> {
        if !(SCHEMA_MIN..=SCHEMA_SENT_MAX).contains(&self.schema) {
            return Err(InvalidHistogram::Schema(self.schema));
        }
        if !self.custom_values.is_empty() {
            return Err(InvalidHistogram::ExponentialWithBounds);
        }
        if self.zero_threshold.is_nan() || self.zero_threshold < 0.0 {
            return Err(InvalidHistogram::ZeroThreshold(self.zero_threshold));
        }
        if self.zero_count < 0.0 {
            return Err(InvalidHistogram::NegativeBucket { bucket: 0, count: self.zero_count });
        }
        validate_spans(&self.positive_spans, self.positive_buckets.len())?;
        validate_spans(&self.negative_spans, self.negative_buckets.len())
    }

    fn validate_custom(&self) -> Result<(), InvalidHistogram> {
        let bounds = &self.custom_values;
        if !bounds.iter().all(|bound| bound.is_finite()) || !bounds.is_sorted_by(|a, b| a < b) {
            return Err(InvalidHistogram::CustomBounds);
        }
        if self.zero_count != 0.0
            || self.zero_threshold != 0.0
            || !self.negative_spans.is_empty()
            || !self.negative_buckets.is_empty()
        {
            return Err(InvalidHistogram::CustomWithZeroOrNegative);
        }
        if self.positive_spans.first().is_some_and(|span| span.offset < 0) {
            return Err(InvalidHistogram::NegativeOffset(0));
        }
        validate_spans(&self.positive_spans, self.positive_buckets.len())?;
        let reach = |span: &Span| span.offset.unsigned_abs() as u64 + u64::from(span.length);
        let buckets = self.positive_spans.iter().map(reach).sum();
        if bounds.len() as u64 + 1 < buckets {
            return Err(InvalidHistogram::TooFewCustomBounds { bounds: bounds.len(), buckets });
        }
        Ok(())
    }
}

fn validate_spans(spans: &[Span], buckets: usize) -> Result<(), InvalidHistogram> {
    let mut end = 0i64;
    for (i, span) in spans.iter().enumerate() {
        if i > 0 && span.offset < 0 {
            return Err(InvalidHistogram::NegativeOffset(i));
        }
        end += i64::from(span.offset) + i64::from(span.length);
        if end > i64::from(i32::MAX) {
            return Err(InvalidHistogram::IndexOverflow);
        }
    }
    let covered = spans.iter().map(|span| u64::from(span.length)).sum();
    if covered != buckets as u64 {
        return Err(InvalidHistogram::SpansMismatch { spans: covered, buckets: buckets as u64 });
    }
    Ok(())
}

fn validate_counts(counts: &[f64]) -> Result<(), InvalidHistogram> {
    match counts.iter().position(|count| *count < 0.0) {
        Some(bucket) => Err(InvalidHistogram::NegativeBucket { bucket, count: counts[bucket] }),
        None => Ok(()),
    }
}
