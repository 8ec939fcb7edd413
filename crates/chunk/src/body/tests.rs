use super::*;
use crate::histograms::tests::histogram;
use proptest::prelude::*;

const LIMIT: usize = 1 << 20;

/// Floats, now and then a histogram, with or without start timestamps.
fn samples() -> impl Strategy<Value = Samples> {
    let sample = (0i64..100_000, prop::option::weighted(0.1, histogram()), -5i64..5);
    (prop::collection::vec(sample, 0..400), any::<bool>()).prop_map(|(all, has_starts)| {
        let mut samples = Samples::default();
        for (i, (value, histogram, start)) in all.into_iter().enumerate() {
            match histogram {
                Some(histogram) => samples.push_histogram(i as i64, Arc::new(histogram)),
                None => samples.push(i as i64, value as f64 / 100.0),
            }
            if has_starts {
                samples.start_timestamps.push(start.max(0) * 1000);
            }
        }
        samples
    })
}

/// What must survive, as text: values (none beside histograms), histograms, start timestamps.
fn text(samples: &Samples) -> String {
    let mut values = samples.values.clone();
    samples.histograms.iter().for_each(|(at, _)| values[*at] = 0.0);
    let starts = samples.start_timestamps.iter().any(|&s| s != 0);
    let starts = if starts { &samples.start_timestamps[..] } else { &[] };
    format!("{values:?} {:?} {starts:?}", samples.histograms)
}

proptest! {
    #[test]
    fn two_chunks_append_to_the_samples_they_came_from(samples in samples(), cut: prop::sample::Index) {
        let count = samples.len();
        let cut = cut.index(count + 1);
        let mut out = Samples::default();
        for range in [0..cut, cut..count] {
            let mut bytes = Vec::new();
            encode(&samples, range.clone(), Packing::Dense, &mut bytes);
            decode(&bytes, range.len(), 0..range.len(), LIMIT, &mut out).unwrap();
        }
        prop_assert_eq!(text(&out), text(&samples));
    }

    #[test]
    fn a_part_decodes_to_the_part(samples in samples(), a: prop::sample::Index, b: prop::sample::Index) {
        let count = samples.len();
        let (a, b) = (a.index(count + 1), b.index(count + 1));
        let part = a.min(b)..a.max(b);
        let mut bytes = Vec::new();
        encode(&samples, 0..count, Packing::Dense, &mut bytes);
        let mut out = Samples::default();
        decode(&bytes, count, part.clone(), LIMIT, &mut out).unwrap();
        let expected = Samples {
            timestamps: Vec::new(),
            values: samples.values[part.clone()].to_vec(),
            histograms: histograms_in(&samples, part.clone()),
            start_timestamps: samples.start_timestamps.get(part).unwrap_or(&[]).to_vec(),
            left_out: 0,
        };
        prop_assert_eq!(text(&out), text(&expected));
    }

    #[test]
    fn damaged_bytes_do_not_panic(samples in samples(), at: prop::sample::Index, flip in 1u8..) {
        let mut bytes = Vec::new();
        encode(&samples, 0..samples.len(), Packing::Dense, &mut bytes);
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            let _ = decode(&bytes, samples.len(), 0..samples.len(), LIMIT, &mut Samples::default());
            let _ = extremes(&bytes, samples.len());
        }
    }
}

#[test]
fn aggregates_of_long_chunks_are_stored() {
    for count in [100usize, 1000] {
        let values: Vec<f64> = (0..count).map(|i| i as f64 / 10.0).collect();
        let samples = Samples { values: values.clone(), ..Samples::default() };
        let mut bytes = Vec::new();
        encode(&samples, 0..count, Packing::Dense, &mut bytes);
        assert_eq!(Sections::read(&bytes, count).unwrap().stats.is_some(), count == 1000);
        let known = Extremes { min: 0.0, max: 99.9, equal: false };
        assert_eq!(extremes(&bytes, count), Ok(Some(known).filter(|_| count == 1000)));
    }
    for (value, equal) in [(-0.0, true), (7.5, true), (f64::NAN, false)] {
        let samples = Samples { values: vec![value; 20], ..Samples::default() };
        let mut bytes = Vec::new();
        encode(&samples, 0..20, Packing::Dense, &mut bytes);
        let known = extremes(&bytes, 20).unwrap();
        let bits = known.map(|known| (known.min.to_bits(), known.max.to_bits(), known.equal));
        assert_eq!(bits, equal.then_some((f64::to_bits(value), value.to_bits(), true)));
    }
}
