//! Quantiles of a list of numbers.

use std::cmp::Ordering;

/// Which of some ordered values a quantile lies between.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rank {
    /// Places from 0; the same one when there is no other.
    pub lower: usize,
    pub upper: usize,
    weight: f64,
}

impl Rank {
    /// Among `len` > 0 values; the quantile itself where it is the same for all values.
    pub fn of(q: f64, len: usize) -> Result<Self, f64> {
        if q.is_nan() {
            return Err(f64::NAN);
        }
        if q < 0.0 {
            return Err(f64::NEG_INFINITY);
        }
        if q > 1.0 {
            return Err(f64::INFINITY);
        }
        let rank = q * (len - 1) as f64;
        let lower = rank.floor() as usize;
        let upper = (lower + 1).min(len - 1);
        Ok(Self { lower, upper, weight: rank - rank.floor() })
    }

    pub fn interpolate(self, low: f64, high: f64) -> f64 {
        low * (1.0 - self.weight) + high * self.weight
    }
}

/// The value that a share of `q` of the values is not above, interpolated between neighbours: NaN
/// for no values, -Inf for `q` < 0, +Inf for `q` > 1. NaN counts as smaller than every number. The
/// values are reordered.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let rank = match Rank::of(q, values.len()) {
        Ok(rank) => rank,
        Err(quantile) => return quantile,
    };
    // The two neighbours are needed, not the order of all.
    let (_, low, above) = values.select_nth_unstable_by(rank.lower, nan_first);
    let low = *low;
    let next = (rank.upper > rank.lower).then(|| above.iter().copied().min_by(nan_first));
    rank.interpolate(low, next.flatten().unwrap_or(low))
}

fn nan_first(a: &f64, b: &f64) -> Ordering {
    a.partial_cmp(b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate_and_put_nan_first() {
        assert_eq!(quantile(0.5, &mut [3.0, 1.0]), 2.0);
        assert_eq!(quantile(0.75, &mut [0.0, 1.0, 2.0, 3.0, 4.0]), 3.0);
        assert_eq!(quantile(1.0, &mut [f64::NAN, 1.0, 7.0]), 7.0);
        assert!(quantile(0.0, &mut [1.0, f64::NAN]).is_nan());
        assert_eq!(quantile(2.0, &mut [1.0]), f64::INFINITY);
        assert!(quantile(0.5, &mut []).is_nan());
    }
}
