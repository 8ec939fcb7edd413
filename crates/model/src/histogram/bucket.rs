//! Buckets with their bounds, in order.

use super::bounds::bound;
use super::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram};

/// The observations between two values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    pub lower: f64,
    pub upper: f64,
    pub lower_inclusive: bool,
    pub upper_inclusive: bool,
    pub count: f64,
}

impl Bucket {
    /// Which ends belong to the bucket, as Prometheus' JSON numbers it: 0 the upper, 1 the lower,
    /// 2 neither, 3 both.
    pub fn boundaries(&self) -> u8 {
        match (self.lower_inclusive, self.upper_inclusive) {
            (false, true) => 0,
            (true, false) => 1,
            (false, false) => 2,
            (true, true) => 3,
        }
    }

    /// Does the bucket contain zero or touch it?
    pub(super) fn is_at_zero(&self) -> bool {
        self.lower <= 0.0 && self.upper >= 0.0
    }

    /// The part (0 to 1) of the bucket at or below `value`, for a finite bucket around `value`:
    /// `linear` as in custom buckets and the zero bucket, else on a logarithmic scale.
    pub(super) fn share_below(&self, value: f64, linear: bool) -> f64 {
        if linear {
            return (value - self.lower) / (self.upper - self.lower);
        }
        let [lower, upper, at] = [self.lower, self.upper, value].map(|x| x.abs().log2());
        if value > 0.0 {
            (at - lower) / (upper - lower)
        } else {
            1.0 - (at - upper) / (lower - upper)
        }
    }
}

impl FloatHistogram {
    /// Of custom buckets the bounds, each with the observations up to it, as classic histograms have them;
    /// that of all is the count.
    pub fn classic_buckets(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let mut cells = self.positive_cells().peekable();
        let mut total = 0.0;
        (0..).zip(&self.custom_values).map(move |(index, bound)| {
            while let Some((_, count)) = cells.next_if(|(i, _)| *i <= index) {
                total += count;
            }
            (*bound, total)
        })
    }

    /// All buckets from the lowest to the highest: empty ones too, the zero bucket only if it holds
    /// something. Next to the zero bucket they are cut off at its bounds.
    pub fn buckets(&self) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
        let cut = self.zero_threshold;
        let negative = self.negative_buckets_outwards().rev().map(move |bucket| {
            let upper = if bucket.upper < 0.0 { bucket.upper.min(-cut) } else { bucket.upper };
            Bucket { upper, ..bucket }
        });
        let positive = self.positive_buckets_outwards().map(move |bucket| {
            let lower = if bucket.lower > 0.0 { bucket.lower.max(cut) } else { bucket.lower };
            Bucket { lower, ..bucket }
        });
        let zero = (self.zero_count > 0.0).then(|| self.zero_bucket());
        negative.chain(zero).chain(positive)
    }

    pub(super) fn zero_bucket(&self) -> Bucket {
        Bucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count: self.zero_count,
        }
    }

    /// The positive buckets, the one next to zero first; not cut off at the zero bucket.
    pub(super) fn positive_buckets_outwards(&self) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
        self.positive_cells().map(|(index, count)| {
            let lower = bound(index.wrapping_sub(1), self.schema, &self.custom_values);
            let upper = bound(index, self.schema, &self.custom_values);
            let (lower_inclusive, upper_inclusive) = if self.uses_custom_buckets() {
                (index == 0, true)
            } else {
                (lower < 0.0, upper > 0.0)
            };
            Bucket { lower, upper, lower_inclusive, upper_inclusive, count }
        })
    }

    /// The negative buckets, the one next to zero first; not cut off at the zero bucket.
    pub(super) fn negative_buckets_outwards(&self) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
        self.negative_cells().map(|(index, count)| {
            let lower = -bound(index, self.schema, &[]);
            let upper = -bound(index.wrapping_sub(1), self.schema, &[]);
            let (lower_inclusive, upper_inclusive) = if self.schema == CUSTOM_BUCKETS_SCHEMA {
                (index == 0, true)
            } else {
                (lower < 0.0, upper > 0.0)
            };
            Bucket { lower, upper, lower_inclusive, upper_inclusive, count }
        })
    }
}
