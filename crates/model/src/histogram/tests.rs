//! Properties of histogram arithmetic, and the cases where Prometheus' rules are surprising.

use proptest::prelude::*;

use super::*;

fn exponential(schema: i32, offset: i32, counts: &[f64]) -> FloatHistogram {
    FloatHistogram {
        schema,
        count: counts.iter().sum(),
        positive_spans: vec![Span { offset, length: counts.len() as u32 }],
        positive_buckets: counts.to_vec(),
        ..Default::default()
    }
}

fn custom(bounds: &[f64], counts: &[f64]) -> FloatHistogram {
    FloatHistogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        custom_values: bounds.to_vec(),
        ..exponential(0, 0, counts)
    }
}

fn hinted(hint: CounterResetHint, h: FloatHistogram) -> FloatHistogram {
    FloatHistogram { counter_reset_hint: hint, ..h }
}

fn sum_of(a: &FloatHistogram, b: &FloatHistogram) -> FloatHistogram {
    let mut sum = a.clone();
    sum.add(b).unwrap();
    sum.compact();
    sum
}

prop_compose! {
    fn spans()(
        first in -20i32..20,
        rest in proptest::collection::vec((0i32..4, 1u32..4), 1..4),
    ) -> Vec<Span> {
        let mut spans: Vec<_> =
            rest.into_iter().map(|(offset, length)| Span { offset, length }).collect();
        spans[0].offset = first;
        spans
    }
}

prop_compose! {
    fn exponentials()(
        schema in -2i32..4,
        positive in spans(),
        negative in spans(),
        threshold in prop_oneof![Just(0.0), Just(0.001), Just(0.7), Just(3.0)],
        numbers in proptest::collection::vec(0u32..4, 30),
    ) -> FloatHistogram {
        let counts = |spans: &[Span], from: usize| -> Vec<f64> {
            let n = spans.iter().map(|span| span.length).sum::<u32>() as usize;
            numbers.iter().cycle().skip(from).take(n).map(|n| f64::from(*n)).collect()
        };
        let mut h = FloatHistogram {
            schema,
            zero_count: f64::from(numbers[0]),
            positive_buckets: counts(&positive, 1),
            negative_buckets: counts(&negative, 11),
            positive_spans: positive,
            negative_spans: negative,
            ..Default::default()
        };
        h.count = in_buckets(&h);
        h.sum = f64::from(numbers[7]);
        // Adding nothing, but with a wide zero bucket, empties the buckets inside it.
        sum_of(&h, &FloatHistogram { zero_threshold: threshold, schema, ..Default::default() })
    }
}

fn in_buckets(h: &FloatHistogram) -> f64 {
    h.zero_count + h.positive_buckets.iter().chain(&h.negative_buckets).sum::<f64>()
}

proptest! {
    #[test]
    fn addition_loses_no_observation_and_does_not_depend_on_the_order(
        a in exponentials(),
        b in exponentials(),
    ) {
        let sum = sum_of(&a, &b);
        prop_assert_eq!(sum.validate(), Ok(()));
        prop_assert!(sum.schema <= a.schema.min(b.schema));
        prop_assert!(sum.zero_threshold >= a.zero_threshold.max(b.zero_threshold));
        // With both different, Prometheus (and so we) may count buckets of `b` twice that its zero
        // bucket swallowed but the coarser resolution cannot tell from their neighbours.
        if a.schema == b.schema || a.zero_threshold == b.zero_threshold {
            prop_assert_eq!(in_buckets(&sum), sum.count);
            prop_assert!(sum.same_data(&sum_of(&b, &a)));
        }
    }

    #[test]
    fn what_was_added_can_be_subtracted(a in exponentials(), b in exponentials()) {
        let mut back = sum_of(&a, &b);
        back.sub(&b).unwrap();
        back.compact();
        prop_assert_eq!(back.count, a.count);
        prop_assert_eq!(back.sum, a.sum);
    }

    #[test]
    fn the_compensated_sum_agrees_with_addition(
        hs in proptest::collection::vec(exponentials(), 1..6),
    ) {
        let mut sum = HistogramSum::new(&hs[0]);
        let mut mean = HistogramMean::new(&hs[0]);
        let mut plain = hs[0].clone();
        for h in &hs[1..] {
            sum.add(h).unwrap();
            mean.add(h).unwrap();
            plain.add(h).unwrap();
        }
        let (mut sum, mut mean) = (sum.finish(), mean.finish());
        for h in [&mut sum, &mut mean, &mut plain] {
            h.compact();
        }
        prop_assert!(sum.same_data(&plain));
        plain.div(hs.len() as f64);
        prop_assert!(mean.same_data(&plain));
    }

    #[test]
    fn counting_on_is_never_a_reset(a in exponentials(), b in exponentials()) {
        let b = FloatHistogram { zero_threshold: a.zero_threshold, schema: a.schema, ..b };
        let later = sum_of(&a, &b);
        if later.zero_threshold == a.zero_threshold {
            prop_assert!(!later.detect_reset(&a));
            prop_assert_eq!(a.detect_reset(&later), b.count > 0.0);
        }
    }

    #[test]
    fn fractions_and_quantiles_are_inverse(a in exponentials(), q in 0.01f64..0.99) {
        // A zero bucket without width is a step, which has no inverse.
        if a.count > 0.0 && (a.zero_count == 0.0 || a.zero_threshold > 0.0) {
            let at = a.quantile(q).value;
            prop_assert!((a.fraction(f64::NEG_INFINITY, at).value - q).abs() < 1e-6, "{at}");
        }
    }

    #[test]
    fn both_sides_of_a_cut_make_up_the_whole(a in exponentials(), at in -9.0f64..9.0) {
        let [below, above] = [Trim::KeepBelow, Trim::KeepAbove].map(|trim| {
            let mut part = a.clone();
            part.trim(at, trim);
            part.count
        });
        prop_assert!((below + above - a.count).abs() < 1e-9);
    }

    #[test]
    fn histograms_without_checks_do_no_harm(
        mut a in exponentials(),
        mut b in exponentials(),
        schemas in (any::<i32>(), any::<i32>()),
        span in (any::<i32>(), any::<u32>()),
        threshold in any::<f64>(),
    ) {
        (a.schema, b.schema) = schemas;
        a.positive_spans.push(Span { offset: span.0, length: span.1 });
        a.zero_threshold = threshold;
        b.negative_buckets.push(threshold);
        let _ = (a.validate(), a.add(&b), b.detect_reset(&a), a.to_string());
        let _ = (a.quantile(0.5), a.quantile(0.2), a.fraction(-1.0, 2.0), a.variance());
        a.reduce_resolution(-1);
        a.trim(threshold, Trim::KeepAbove);
        a.compact();
    }
}

#[test]
fn the_coarser_resolution_wins() {
    let mut h = exponential(1, 1, &[1.0, 2.0, 3.0, 4.0]);
    h.add(&exponential(0, 1, &[10.0])).unwrap();
    assert_eq!((h.schema, h.positive_buckets), (0, vec![13.0, 7.0]));
}

#[test]
fn the_zero_bucket_grows_over_populated_buckets() {
    let wide = FloatHistogram { zero_threshold: 1.5, zero_count: 2.0, ..Default::default() };
    let sum = sum_of(&exponential(0, 0, &[1.0, 2.0, 4.0]), &wide);
    assert_eq!((sum.zero_threshold, sum.zero_count), (2.0, 5.0));
    assert_eq!(sum.positive_buckets, [4.0]);
}

#[test]
fn differing_custom_bounds_leave_the_common_ones() {
    let mut h = custom(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]);
    let reconciled = h.add(&custom(&[2.0, 4.0], &[10.0, 20.0, 30.0])).unwrap();
    assert!(reconciled.custom_bounds);
    assert_eq!((h.custom_values, h.positive_buckets), (vec![2.0], vec![13.0, 57.0]));
}

#[test]
fn exponential_and_custom_buckets_do_not_mix() {
    let mut h = custom(&[1.0], &[1.0, 2.0]);
    let before = h.clone();
    assert_eq!(h.add(&exponential(0, 0, &[1.0])), Err(IncompatibleSchemas));
    assert_eq!(h, before);
}

#[test]
fn hints_are_joined_and_contradictions_reported() {
    use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
    for (a, b, joined, collision) in [
        (Reset, Reset, Reset, false),
        (NotReset, Unknown, Unknown, false),
        (Gauge, Reset, Gauge, false),
        (Unknown, Gauge, Gauge, false),
        (NotReset, Reset, Unknown, true),
    ] {
        let mut h = hinted(a, exponential(0, 0, &[1.0]));
        let reconciled = h.add(&hinted(b, exponential(0, 0, &[1.0]))).unwrap();
        assert_eq!(h.counter_reset_hint, joined);
        assert_eq!(reconciled.counter_reset_collision, collision);
    }
}

#[test]
fn negative_factors_make_gauges_and_zero_divides_buckets_away() {
    let mut h = exponential(0, 0, &[1.0, 2.0]);
    h.mul(-2.0);
    assert_eq!(h.counter_reset_hint, CounterResetHint::Gauge);
    assert_eq!(h.positive_buckets, [-2.0, -4.0]);
    h.div(0.0);
    assert_eq!((h.count, h.positive_buckets.len()), (f64::NEG_INFINITY, 0));
}

#[test]
fn a_mean_beyond_the_largest_float_becomes_a_running_mean() {
    let h = |count| FloatHistogram { count, ..Default::default() };
    let mut mean = HistogramMean::new(&h(f64::MAX));
    mean.add(&h(f64::MAX)).unwrap();
    mean.add(&h(0.0)).unwrap();
    let mean = mean.finish().count;
    assert!((mean / (f64::MAX / 3.0 * 2.0) - 1.0).abs() < 1e-12, "{mean}");
}

#[test]
fn the_sum_of_one_histogram_is_that_histogram() {
    let mut h = exponential(0, 0, &[1.0, 2.0]);
    h.sum = -0.0;
    assert!(HistogramSum::new(&h).finish().same_data(&h));
    assert!(HistogramMean::new(&h).finish().same_data(&h));
}

#[test]
fn a_histogram_is_stored_as_continuing_only_if_it_does() {
    use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
    let (first, later) = (exponential(0, 0, &[1.0]), exponential(0, 0, &[2.0]));
    assert_eq!(first.stored_hint(None), Unknown);
    assert_eq!(later.stored_hint(Some(&first)), NotReset);
    assert_eq!(first.stored_hint(Some(&later)), Unknown);
    assert_eq!(hinted(Reset, later.clone()).stored_hint(Some(&first)), Unknown);
    assert_eq!(hinted(Gauge, later.clone()).stored_hint(Some(&first)), Gauge);
    assert_eq!(later.stored_hint(Some(&hinted(Gauge, first))), Unknown);
}

#[test]
fn text_lists_buckets_from_low_to_high() {
    let h = FloatHistogram {
        zero_threshold: 0.001,
        zero_count: 1.0,
        sum: -2.5e-7,
        negative_spans: vec![Span { offset: 0, length: 2 }],
        negative_buckets: vec![1.0, 2.0],
        ..exponential(0, 1, &[0.0, 1234567.0])
    };
    assert_eq!(
        h.to_string(),
        "{count:1.234567e+06, sum:-2.5e-07, [-2,-1):2, [-1,-0.5):1, [-0.001,0.001]:1, \
         (2,4]:1.234567e+06}"
    );
    assert_eq!(custom(&[5.0], &[1.0, 2.0]).to_string(), "{count:3, sum:0, [-Inf,5]:1, (5,+Inf]:2}");
}

#[test]
fn quantiles_interpolate_exponentially_except_around_zero() {
    let h = exponential(0, 0, &[1.0, 2.0, 1.0]);
    assert!((h.quantile(0.5).value - 2f64.sqrt()).abs() < 1e-12);
    let zero = FloatHistogram { zero_threshold: 0.5, zero_count: 2.0, count: 2.0, ..h.clone() };
    let only_zero = FloatHistogram { positive_spans: vec![], positive_buckets: vec![], ..zero };
    assert_eq!(only_zero.quantile(0.25).value, -0.25);
    assert_eq!(custom(&[5.0, 10.0], &[1.0, 2.0, 1.0]).quantile(0.5).value, 7.5);
    assert_eq!(custom(&[5.0, 10.0], &[1.0, 2.0, 1.0]).quantile(1.0).value, 10.0);
}

#[test]
fn nan_observations_are_reported() {
    let h = FloatHistogram { count: 15.0, sum: f64::NAN, ..exponential(0, 0, &[12.0]) };
    assert_eq!(h.quantile(0.8), Quantile { value: 1.0, nan: NanObservations::SkewedHigher });
    assert_eq!(h.quantile(0.81).nan, NanObservations::ResultIsNan);
    let all = h.fraction(f64::NEG_INFINITY, f64::INFINITY);
    assert_eq!(all, Fraction { value: 0.8, nan_excluded: true });
}

#[test]
fn invalid_histograms_are_named() {
    let valid = exponential(3, -4, &[1.0, 2.0]);
    assert_eq!(valid.validate_integer(), Ok(()));
    let refused = |h: FloatHistogram| h.validate_integer().unwrap_err();
    assert_eq!(refused(exponential(53, 0, &[])), InvalidHistogram::Schema(53));
    let many = FloatHistogram { count: 2e16, ..exponential(0, 0, &[1e16, 1e16 + 2.0]) };
    assert_eq!(many.validate_integer(), Ok(()), "sums of such numbers are rounded");
    assert!(matches!(
        refused(FloatHistogram { count: 4.0, ..valid.clone() }),
        InvalidHistogram::CountMismatch { .. }
    ));
    assert!(matches!(
        refused(FloatHistogram { positive_buckets: vec![1.0], ..valid.clone() }),
        InvalidHistogram::SpansMismatch { .. }
    ));
    assert!(matches!(
        refused(exponential(0, 0, &[-1.0])),
        InvalidHistogram::NegativeBucket { bucket: 0, .. }
    ));
    let far = vec![Span { offset: i32::MAX, length: 2 }];
    assert_eq!(
        refused(FloatHistogram { positive_spans: far, ..valid.clone() }),
        InvalidHistogram::IndexOverflow
    );
    assert_eq!(refused(custom(&[2.0, 1.0], &[1.0])), InvalidHistogram::CustomBounds);
    assert!(matches!(
        refused(custom(&[1.0], &[1.0, 1.0, 1.0])),
        InvalidHistogram::TooFewCustomBounds { .. }
    ));
}
