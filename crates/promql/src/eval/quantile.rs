//! Quantiles of a list of numbers.

use std::cmp::Ordering;

/// The value that a share of `q` of the values is not above, interpolated between neighbours: NaN
/// for no values, -Inf for `q` < 0, +Inf for `q` > 1. NaN counts as smaller than every number. The
/// values are reordered.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let rank = q * (values.len() - 1) as f64;
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    // The two neighbours are needed, not the order of all.
    let (_, low, above) = values.select_nth_unstable_by(lower, nan_first);
    let low = *low;
    let high =
        if upper > lower { above.iter().copied().min_by(nan_first).unwrap_or(low) } else { low };
    low * (1.0 - weight) + high * weight
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
