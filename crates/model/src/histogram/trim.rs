//! The operators `</` and `>/`: keep the observations on one side of a value.
//!
//! The sum cannot be split; it is estimated anew from the middle of each kept part.

use super::{Bucket, FloatHistogram};

/// Which observations stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trim {
    /// Those below the value (`</`).
    KeepBelow,
    /// Those above the value (`>/`).
    KeepAbove,
}

/// The kept part of a bucket.
struct Kept {
    count: f64,
    middle: f64,
}

impl FloatHistogram {
    /// Drops the observations beyond `value`; leaves everything as it is if there are none.
    pub fn trim(&mut self, value: f64, trim: Trim) {
        let (positive, negative): (Vec<_>, Vec<_>) = (
            self.positive_buckets_outwards().collect(),
            self.negative_buckets_outwards().collect(),
        );
        let (mut count, mut sum, mut trimmed) = (0.0, 0.0, false);
        let linear = self.uses_custom_buckets();
        let sides = [
            (&mut self.positive_buckets, &positive, true),
            (&mut self.negative_buckets, &negative, false),
        ];
        for (counts, buckets, is_positive) in sides {
            for (own, bucket) in counts.iter_mut().zip(buckets).filter(|(_, b)| b.count != 0.0) {
                let kept = kept_of(bucket, value, trim, is_positive, linear);
                trimmed |= kept.count != bucket.count;
                *own = kept.count;
                count += kept.count;
                sum += kept.middle * kept.count;
            }
        }
        if self.zero_count > 0.0 {
            let filled = |side: &[Bucket]| side.iter().any(|bucket| bucket.count != 0.0);
            let kept = self.kept_of_zero(value, trim, filled(&negative), filled(&positive));
            trimmed |= kept.count != self.zero_count;
            self.zero_count = kept.count;
            count += kept.count;
            sum += kept.middle * kept.count;
        }
        if trimmed {
            (self.count, self.sum) = (count, sum);
            self.compact();
        }
    }

    fn kept_of_zero(&self, value: f64, trim: Trim, negative: bool, positive: bool) -> Kept {
        let Bucket { mut lower, mut upper, count, .. } = self.zero_bucket();
        match (negative, positive) {
            (true, false) => upper = 0.0,
            (false, true) => lower = 0.0,
            _ => {}
        }
        let whole = Kept { count, middle: (lower + upper) / 2.0 };
        let nothing = Kept { count: 0.0, middle: 0.0 };
        match trim {
            Trim::KeepBelow if value <= lower => nothing,
            Trim::KeepBelow if value >= upper => whole,
            Trim::KeepBelow => Kept {
                count: count * ((value - lower) / (upper - lower)),
                middle: (lower + value) / 2.0,
            },
            Trim::KeepAbove if value <= lower => whole,
            Trim::KeepAbove if value >= upper => nothing,
            Trim::KeepAbove => Kept {
                count: count * ((upper - value) / (upper - lower)),
                middle: (value + upper) / 2.0,
            },
        }
    }
}

fn kept_of(bucket: &Bucket, value: f64, trim: Trim, is_positive: bool, linear: bool) -> Kept {
    let &Bucket { lower, upper, count, .. } = bucket;
    let (whole, split) = match trim {
        Trim::KeepBelow => (upper <= value, lower < value),
        Trim::KeepAbove => (lower >= value, upper > value),
    };
    if whole {
        return Kept { count, middle: middle(lower, upper, is_positive, linear) };
    }
    if !split {
        return Kept { count: 0.0, middle: 0.0 };
    }
    if lower.is_infinite() || upper.is_infinite() {
        return kept_of_infinite(bucket, value, trim);
    }
    let below = count * bucket.share_below(value, linear);
    match trim {
        Trim::KeepBelow => Kept { count: below, middle: middle(lower, value, is_positive, linear) },
        Trim::KeepAbove => {
            Kept { count: count - below, middle: middle(value, upper, is_positive, linear) }
        }
    }
}

/// The value lies inside a bucket without a lower or upper end. Only a first bucket that ends above
/// zero can be split, since then it can be taken to start at zero; any other is kept or dropped whole.
fn kept_of_infinite(bucket: &Bucket, value: f64, trim: Trim) -> Kept {
    let &Bucket { lower, upper, count, .. } = bucket;
    let dropped = |end: f64| Kept { count: 0.0, middle: if end.is_infinite() { 0.0 } else { end } };
    if lower != f64::NEG_INFINITY {
        return match trim {
            Trim::KeepBelow => dropped(lower),
            Trim::KeepAbove => Kept { count, middle: value },
        };
    }
    let splittable = upper > 0.0 && upper != f64::INFINITY;
    match trim {
        Trim::KeepBelow if value > 0.0 && splittable => {
            Kept { count: count * value / upper, middle: value / 2.0 }
        }
        Trim::KeepBelow if upper <= 0.0 => Kept { count, middle: value },
        Trim::KeepBelow => dropped(upper),
        Trim::KeepAbove if value == f64::NEG_INFINITY => Kept { count, middle: 0.0 },
        Trim::KeepAbove if value >= 0.0 && splittable => {
            Kept { count: count * (1.0 - value / upper), middle: (value + upper) / 2.0 }
        }
        Trim::KeepAbove => dropped(upper),
    }
}

/// Where the observations of an interval are taken to be.
fn middle(lower: f64, upper: f64, is_positive: bool, linear: bool) -> f64 {
    match (lower.is_infinite(), upper.is_infinite()) {
        (true, true) => 0.0,
        (true, false) if upper > 0.0 => upper / 2.0,
        (true, false) => upper,
        (false, true) => lower,
        (false, false) if linear => (lower + upper) / 2.0,
        (false, false) => {
            let geometric = (lower * upper).abs().sqrt();
            if is_positive { geometric } else { -geometric }
        }
    }
}
