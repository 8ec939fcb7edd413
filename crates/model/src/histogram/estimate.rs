//! What a histogram says about its observations: quantiles, fractions, mean, variance.
//!
//! Observations are taken to be spread evenly inside custom buckets and the zero bucket, evenly on a
//! logarithmic scale inside exponential ones. Observations of NaN are counted but in no bucket.

use super::count::{Compensated, Count};
use super::{Bucket, FloatHistogram};

/// How observations of NaN influenced a quantile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NanObservations {
    None,
    /// They were taken for larger than any number.
    SkewedHigher,
    /// The quantile is one of them.
    ResultIsNan,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantile {
    pub value: f64,
    pub nan: NanObservations,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fraction {
    pub value: f64,
    /// There are observations of NaN; they belong to no fraction.
    pub nan_excluded: bool,
}

impl FloatHistogram {
    /// The value below which a share of `q` of all observations lies: -Inf for `q` < 0, +Inf for
    /// `q` > 1, NaN without observations.
    pub fn quantile(&self, q: f64) -> Quantile {
        let plain = |value| Quantile { value, nan: NanObservations::None };
        if q < 0.0 {
            plain(f64::NEG_INFINITY)
        } else if q > 1.0 {
            plain(f64::INFINITY)
        } else if self.count == 0.0 || q.is_nan() {
            plain(f64::NAN)
        } else if self.sum.is_nan() || q < 0.5 {
            self.quantile_by_rank(self.buckets(), q * self.count, true)
        } else {
            self.quantile_by_rank(self.buckets().rev(), (1.0 - q) * self.count, false)
        }
    }

    fn quantile_by_rank(
        &self,
        mut buckets: impl Iterator<Item = Bucket>,
        rank: f64,
        ascending: bool,
    ) -> Quantile {
        let (mut bucket, seen) = find_rank(&mut buckets, rank);
        let mut nan = NanObservations::None;
        if let Some(value) = self.close_open_end(&mut bucket) {
            return Quantile { value, nan };
        }
        // Rounding can make the buckets hold more than the total.
        let mut seen = if seen > self.count { self.count } else { seen };
        if seen < rank {
            return if self.sum.is_nan() {
                Quantile { value: f64::NAN, nan: NanObservations::ResultIsNan }
            } else {
                Quantile { value: bucket.upper, nan }
            };
        }
        let rank = if ascending { rank - (seen - bucket.count) } else { seen - rank };
        if self.sum.is_nan() {
            // Prometheus goes on to interpolate in the last bucket it looked at; so do we, since
            // answers must agree.
            for rest in buckets {
                bucket = rest;
                seen += rest.count;
            }
            if seen < self.count {
                nan = NanObservations::SkewedHigher;
            }
        }
        let share = rank / bucket.count;
        Quantile { value: interpolate(&bucket, share, self.uses_custom_buckets()), nan }
    }

    /// Gives the zero bucket and infinite custom buckets the end that observations can be expected
    /// to have, or the quantile itself where nothing can be expected.
    fn close_open_end(&self, bucket: &mut Bucket) -> Option<f64> {
        if self.uses_custom_buckets() {
            if bucket.lower == f64::NEG_INFINITY {
                if bucket.upper <= 0.0 {
                    return Some(bucket.upper);
                }
                bucket.lower = 0.0;
            } else if bucket.upper == f64::INFINITY {
                return Some(bucket.lower);
            }
        } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
            self.cut_zero_bucket(bucket);
        }
        None
    }

    /// With buckets on one side of zero only, nothing of the zero bucket lies on the other.
    fn cut_zero_bucket(&self, bucket: &mut Bucket) {
        match (self.negative_buckets.is_empty(), self.positive_buckets.is_empty()) {
            (true, false) => bucket.lower = 0.0,
            (false, true) => bucket.upper = 0.0,
            _ => {}
        }
    }

    /// The share of observations between two values: NaN without observations or with a bound of
    /// NaN, 0 if the bounds are not in order.
    pub fn fraction(&self, lower: f64, upper: f64) -> Fraction {
        if self.count == 0.0 || lower.is_nan() || upper.is_nan() {
            return Fraction { value: f64::NAN, nan_excluded: false };
        }
        if lower >= upper {
            return Fraction { value: 0.0, nan_excluded: false };
        }
        let (mut seen, mut below) = (0.0, 0.0);
        let (mut lower_rank, mut upper_rank) = (None, None);
        let mut buckets = self.buckets();
        for mut bucket in buckets.by_ref() {
            seen += bucket.count;
            let at_zero = bucket.is_at_zero();
            if at_zero {
                self.cut_zero_bucket(&mut bucket);
            }
            let linear = at_zero || self.uses_custom_buckets();
            lower_rank = lower_rank.or_else(|| rank_in(&bucket, lower, below, linear));
            upper_rank = upper_rank.or_else(|| rank_in(&bucket, upper, below, linear));
            if lower_rank.is_some() && upper_rank.is_some() {
                break;
            }
            below += bucket.count;
        }
        let mut nan_excluded = false;
        let mut total = self.count;
        if self.sum.is_nan() {
            total = buckets.fold(seen, |seen, bucket| seen + bucket.count);
            nan_excluded = total < self.count;
        }
        let rank = |rank: Option<f64>| rank.filter(|rank| *rank <= total).unwrap_or(total);
        Fraction { value: (rank(upper_rank) - rank(lower_rank)) / self.count, nan_excluded }
    }

    pub fn mean(&self) -> f64 {
        self.sum / self.count
    }

    /// The estimated population variance.
    pub fn variance(&self) -> f64 {
        let mean = self.mean();
        let squares = self
            .buckets()
            .filter(|bucket| bucket.count != 0.0)
            .map(|bucket| {
                let distance = self.centre(&bucket) - mean;
                Compensated::of(bucket.count * distance * distance)
            })
            .fold(Compensated::default(), Count::plus);
        squares.value() / self.count
    }

    fn centre(&self, bucket: &Bucket) -> f64 {
        if self.uses_custom_buckets() {
            (bucket.upper + bucket.lower) / 2.0
        } else if bucket.is_at_zero() {
            0.0
        } else {
            (bucket.upper * bucket.lower).sqrt().copysign(bucket.upper)
        }
    }
}

/// Goes on until `rank` observations were seen: the last bucket looked at, and how many they are.
fn find_rank(buckets: &mut impl Iterator<Item = Bucket>, rank: f64) -> (Bucket, f64) {
    let mut bucket = FloatHistogram::default().zero_bucket();
    let mut seen = 0.0;
    for next in buckets {
        bucket = next;
        seen += bucket.count;
        if bucket.count != 0.0 && seen >= rank {
            break;
        }
    }
    (bucket, seen)
}

/// How many observations lie below `value`, if that can be told from this bucket: it lies in it or
/// below it. `below` are the observations in the buckets before.
fn rank_in(bucket: &Bucket, value: f64, below: f64, linear: bool) -> Option<f64> {
    if bucket.lower >= value {
        Some(below)
    } else if bucket.upper <= value {
        None
    } else if linear && bucket.lower == f64::NEG_INFINITY {
        // Nothing can be said about the inside of an infinite bucket.
        Some(bucket.count)
    } else {
        Some(below + bucket.count * bucket.share_below(value, linear))
    }
}

fn interpolate(bucket: &Bucket, share: f64, custom: bool) -> f64 {
    if custom || bucket.is_at_zero() {
        return bucket.lower + (bucket.upper - bucket.lower) * share;
    }
    let [lower, upper] = [bucket.lower, bucket.upper].map(|x| x.abs().log2());
    if bucket.lower > 0.0 {
        (lower + (upper - lower) * share).exp2()
    } else {
        -(upper + (lower - upper) * (1.0 - share)).exp2()
    }
}
