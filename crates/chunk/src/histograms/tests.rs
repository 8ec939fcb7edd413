use super::*;
use metricstor_model::{FloatHistogram, Span};
use proptest::prelude::*;
use std::sync::Arc;

const LIMIT: usize = 1 << 20;

fn double() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => (0u32..10_000).prop_map(f64::from),
        1 => any::<u64>().prop_map(f64::from_bits),
    ]
}

fn spans() -> impl Strategy<Value = Vec<Span>> {
    let span = (any::<i32>(), 0u32..9).prop_map(|(offset, length)| Span { offset, length });
    prop::collection::vec(span, 0..4)
}

/// Not necessarily valid: the codec must not care.
pub fn histogram() -> impl Strategy<Value = FloatHistogram> {
    let doubles = |n| prop::collection::vec(double(), 0..n);
    let numbers = (double(), double(), double(), double());
    (0usize..4, -60i32..9, numbers, spans(), spans(), doubles(9), doubles(5), doubles(4)).prop_map(
        |(hint, schema, (zero_threshold, zero_count, count, sum), positive, negative, p, n, c)| {
            FloatHistogram {
                counter_reset_hint: HINTS[hint],
                schema,
                zero_threshold,
                zero_count,
                count,
                sum,
                positive_spans: positive,
                negative_spans: negative,
                positive_buckets: p,
                negative_buckets: n,
                custom_values: c,
            }
        },
    )
}

/// Runs of histograms that share a shape, as producers send them, at ascending positions.
fn histograms() -> impl Strategy<Value = Vec<(usize, Arc<FloatHistogram>)>> {
    let run = (histogram(), prop::collection::vec((1usize..4, double()), 1..8));
    prop::collection::vec(run, 0..5).prop_map(|runs| {
        let mut position = 0;
        let mut out = Vec::new();
        for (first, steps) in runs {
            for (gap, more) in steps {
                position += gap;
                let mut next = first.clone();
                next.count += more;
                next.positive_buckets.iter_mut().for_each(|b| *b += more);
                out.push((position, Arc::new(next)));
            }
        }
        out
    })
}

/// As text, since NaN is not equal to itself; the payload of a NaN is printed as bits.
fn text(histograms: &[(usize, Arc<FloatHistogram>)]) -> String {
    let sums = histograms.iter().map(|(_, h)| h.sum.to_bits());
    format!("{histograms:?} {:?}", sums.collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn histograms_round_trip(histograms in histograms()) {
        let mut bytes = Vec::new();
        encode(&histograms, &mut bytes);
        let samples = histograms.last().map_or(0, |(position, _)| position + 1);
        prop_assert_eq!(text(&decode(&bytes, samples, LIMIT).unwrap()), text(&histograms));
    }

    #[test]
    fn damaged_bytes_do_not_panic(
        histograms in histograms(), at: prop::sample::Index, flip in 1u8..,
    ) {
        let mut bytes = Vec::new();
        encode(&histograms, &mut bytes);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let _ = decode(&bytes, 1000, LIMIT);
        let _ = decode(&bytes[..at], 1000, LIMIT);
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes, 1000, LIMIT);
    }
}

#[test]
fn more_than_the_limit_is_refused() {
    let histogram = FloatHistogram { positive_buckets: vec![1.0; 1000], ..Default::default() };
    let histograms: Vec<_> = (0..100).map(|i| (i, Arc::new(histogram.clone()))).collect();
    let mut bytes = Vec::new();
    encode(&histograms, &mut bytes);
    assert!(decode(&bytes, 100, LIMIT).is_ok());
    let refused = decode(&bytes, 100, 100_000);
    assert_eq!(refused, Err(DecodeError::TooLarge { limit: 100_000 }));
}

#[test]
fn a_steady_histogram_takes_few_bytes() {
    let at = |i: usize| FloatHistogram {
        schema: 3,
        zero_threshold: 1e-128,
        count: (i * 160) as f64,
        sum: i as f64 * 12.5,
        positive_spans: vec![Span { offset: -10, length: 20 }],
        positive_buckets: (0..20).map(|b| (i * (b % 5 + 1)) as f64).collect(),
        ..Default::default()
    };
    let histograms: Vec<_> = (0..240).map(|i| (i, Arc::new(at(i)))).collect();
    let mut bytes = Vec::new();
    encode(&histograms, &mut bytes);
    assert!(bytes.len() < 240 * 3, "{}", bytes.len());
}
