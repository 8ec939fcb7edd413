//! Quantiles and fractions of classic histograms.
//!
//! Observations are taken to be spread evenly inside a bucket, and to be above zero if the first
//! bucket ends above zero.

/// Relative differences between neighbouring buckets below this are rounding errors of whoever
/// computed the counts: they are levelled without a word.
const SMALL_DIFFERENCE: f64 = 1e-12;

/// The observations up to a bound; cumulative.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ClassicBucket {
    pub upper: f64,
    pub count: f64,
}

/// Counts went down from one bucket to the next and were levelled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct MadeMonotonic {
    /// The lowest and the highest bound whose count was raised.
    pub bucket_min: f64,
    pub bucket_max: f64,
    /// The most that a count was raised by.
    pub difference_max: f64,
}

/// The value that a share of `q` of the observations is not above: -Inf for `q` < 0, +Inf for
/// `q` > 1, NaN without observations or without a bucket +Inf. The buckets must be in ascending
/// order; equal bounds are merged and counts that go down levelled in place.
pub(crate) fn quantile(q: f64, buckets: &mut Vec<ClassicBucket>) -> (f64, Option<MadeMonotonic>) {
    if q.is_nan() {
        return (f64::NAN, None);
    } else if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    } else if q > 1.0 {
        return (f64::INFINITY, None);
    } else if !ends_at_infinity(buckets) {
        return (f64::NAN, None);
    }
    merge_equal_bounds(buckets);
    let made_monotonic = make_monotonic(buckets);
    (quantile_of_monotonic(q, buckets), made_monotonic)
}

fn quantile_of_monotonic(q: f64, buckets: &[ClassicBucket]) -> f64 {
    let [finite @ .., last] = buckets else { return f64::NAN };
    let Some(highest) = finite.last() else { return f64::NAN };
    if last.count == 0.0 {
        return f64::NAN;
    }
    let rank = q * last.count;
    // Not the negation: counts of NaN are never reached.
    let at = partition_from(finite, |bucket| bucket.count >= rank);
    let Some(bucket) = finite.get(at) else { return highest.upper };
    let below = match at.checked_sub(1) {
        Some(previous) => finite[previous],
        None if bucket.upper <= 0.0 => return bucket.upper,
        None => ClassicBucket { upper: 0.0, count: 0.0 },
    };
    let share = (rank - below.count) / (bucket.count - below.count);
    below.upper + (bucket.upper - below.upper) * share
}

/// The share of observations between two values: NaN without observations, without a bucket +Inf or
/// with a bound of NaN; 0 if the bounds are not in order. The buckets must be in ascending order;
/// equal bounds are merged in place.
pub(crate) fn fraction(lower: f64, upper: f64, buckets: &mut Vec<ClassicBucket>) -> f64 {
    if !ends_at_infinity(buckets) {
        return f64::NAN;
    }
    merge_equal_bounds(buckets);
    let total = buckets.last().map_or(0.0, |bucket| bucket.count);
    if total == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let rank = |value| rank_of(value, buckets).filter(|rank| *rank <= total).unwrap_or(total);
    (rank(upper) - rank(lower)) / total
}

/// How many observations are below `value`; `None` if all buckets are.
fn rank_of(value: f64, buckets: &[ClassicBucket]) -> Option<f64> {
    let first = buckets.first()?;
    let start = if first.upper <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
    let mut below = ClassicBucket { upper: start, count: 0.0 };
    for bucket in buckets {
        if below.upper >= value {
            return Some(below.count);
        }
        if bucket.upper > value {
            return Some(if below.upper == f64::NEG_INFINITY {
                // Nothing can be said about the inside of an infinite bucket.
                bucket.count
            } else {
                let width = bucket.upper - below.upper;
                below.count + (bucket.count - below.count) * (value - below.upper) / width
            });
        }
        below = *bucket;
    }
    None
}

fn ends_at_infinity(buckets: &[ClassicBucket]) -> bool {
    buckets.last().is_some_and(|bucket| bucket.upper == f64::INFINITY)
}

/// One bound can be written in several ways (`1`, `1.0`): the counts add up.
fn merge_equal_bounds(buckets: &mut Vec<ClassicBucket>) {
    buckets.dedup_by(|next, kept| {
        let equal = next.upper == kept.upper;
        if equal {
            kept.count += next.count;
        }
        equal
    });
}

fn make_monotonic(buckets: &mut [ClassicBucket]) -> Option<MadeMonotonic> {
    let mut made: Option<MadeMonotonic> = None;
    let mut previous = buckets.first()?.count;
    for bucket in buckets.iter_mut().skip(1) {
        if bucket.count == previous {
            continue;
        }
        if nearly_equal(previous, bucket.count) {
            bucket.count = previous;
        } else if bucket.count < previous {
            let difference = previous - bucket.count;
            let made = made.get_or_insert(MadeMonotonic {
                bucket_min: bucket.upper,
                bucket_max: bucket.upper,
                difference_max: 0.0,
            });
            made.bucket_max = bucket.upper;
            made.difference_max = made.difference_max.max(difference);
            bucket.count = previous;
        } else {
            previous = bucket.count;
        }
    }
    made
}

fn nearly_equal(a: f64, b: f64) -> bool {
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a.is_nan() && b.is_nan() {
        true
    } else if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        difference < SMALL_DIFFERENCE * f64::MIN_POSITIVE
    } else {
        difference / sum.min(f64::MAX) < SMALL_DIFFERENCE
    }
}

/// The first position from which `reached` holds, by bisection: with the same answer as Prometheus
/// even where counts of NaN spoil the order.
fn partition_from(buckets: &[ClassicBucket], reached: impl Fn(&ClassicBucket) -> bool) -> usize {
    let (mut low, mut high) = (0, buckets.len());
    while low < high {
        let middle = low.midpoint(high);
        if reached(&buckets[middle]) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn buckets(of: &[(f64, f64)]) -> Vec<ClassicBucket> {
        of.iter().map(|&(upper, count)| ClassicBucket { upper, count }).collect()
    }

    const INF: f64 = f64::INFINITY;

    #[test]
    fn quantiles_interpolate_evenly() {
        let b = || buckets(&[(1.0, 10.0), (2.0, 20.0), (INF, 40.0)]);
        assert_eq!(quantile(0.125, &mut b()), (0.5, None));
        assert_eq!(quantile(0.375, &mut b()), (1.5, None));
        assert_eq!(quantile(0.9, &mut b()), (2.0, None));
        assert_eq!(quantile(-0.1, &mut b()), (-INF, None));
        assert_eq!(quantile(0.1, &mut buckets(&[(-1.0, 5.0), (INF, 10.0)])), (-1.0, None));
    }

    #[test]
    fn without_infinity_or_observations_there_is_no_quantile() {
        for b in [&[(1.0, 1.0)][..], &[], &[(INF, 3.0)], &[(1.0, 0.0), (INF, 0.0)]] {
            assert!(quantile(0.5, &mut buckets(b)).0.is_nan(), "{b:?}");
        }
    }

    #[test]
    fn counts_that_go_down_are_levelled_and_reported() {
        let mut b = buckets(&[(0.1, 2.0), (1.0, 1.0), (10.0, 5.0), (100.0, 4.0), (INF, 9.0)]);
        let (value, made) = quantile(0.5, &mut b);
        assert!((value - 8.5).abs() < 1e-12);
        let expected = MadeMonotonic { bucket_min: 1.0, bucket_max: 100.0, difference_max: 1.0 };
        assert_eq!(made, Some(expected));
        let mut b = buckets(&[(1.0, 1e15), (2.0, 1e15 - 0.125), (INF, 2e15)]);
        assert_eq!(quantile(0.5, &mut b).1, None);
    }

    #[test]
    fn fractions_know_where_observations_start() {
        let b = || buckets(&[(1.0, 1.0), (2.0, 3.0), (3.0, 6.0), (INF, 100.0)]);
        assert_eq!(fraction(0.0, 1.5, &mut b()), 0.02);
        assert_eq!(fraction(-10.0, 0.0, &mut b()), 0.0);
        assert_eq!(fraction(-INF, INF, &mut b()), 1.0);
        assert_eq!(fraction(3.0, 2.0, &mut b()), 0.0);
        let mut negative = buckets(&[(-3.0, 10.0), (-2.0, 12.0), (INF, 100.0)]);
        assert_eq!(fraction(-4.0, -2.0, &mut negative), 0.02);
    }

    proptest! {
        #[test]
        fn fraction_inverts_quantile(
            steps in proptest::collection::vec((1u32..50, 1u32..50), 2..8),
            q in 0.0f64..1.0,
        ) {
            let (mut upper, mut count) = (0.0, 0.0);
            let mut b: Vec<_> = steps.iter().map(|(width, n)| {
                upper += f64::from(*width);
                count += f64::from(*n);
                ClassicBucket { upper, count }
            }).collect();
            b.push(ClassicBucket { upper: INF, count });
            let (value, made) = quantile(q, &mut b.clone());
            prop_assert_eq!(made, None);
            prop_assert!((fraction(-INF, value, &mut b) - q).abs() < 1e-9);
        }
    }
}
