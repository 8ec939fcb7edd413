//! decode(encode(batch)) is the batch; other bytes are refused, never a panic.

use metricstor_model::{FloatHistogram, Labels, Span};
use proptest::prelude::*;

use super::*;

fn batches() -> impl Strategy<Value = Batch> {
    let sample = (any::<i64>(), any::<u64>(), any::<i64>());
    let run = (any::<u32>(), prop::collection::vec(sample, 1..6));
    let definition = (any::<u32>(), prop::collection::vec(("[a-z]{1,4}", "\\PC{0,9}"), 0..4))
        .prop_map(|(series, labels)| Definition { series, labels });
    let histogram = (any::<u32>(), any::<i64>(), prop::collection::vec(0.0f64..1e9, 0..5));
    (
        prop::collection::vec(run, 0..10),
        any::<bool>(),
        prop::collection::vec(definition, 0..4),
        prop::collection::vec(histogram, 0..3),
        prop::collection::vec((any::<u32>(), any::<i64>(), any::<f64>(), "\\PC{0,9}"), 0..3),
    )
        .prop_map(|(runs, has_starts, definitions, histograms, exemplars)| {
            let mut batch = Batch { definitions, ..Default::default() };
            for (series, samples) in runs {
                for (timestamp, bits, start) in samples {
                    batch.timestamps.push(timestamp);
                    batch.values.push(bits);
                    batch.start_timestamps.extend(has_starts.then_some(start));
                }
                batch.end_run(series);
            }
            for (series, timestamp, buckets) in histograms {
                let span = Span { offset: -3, length: buckets.len() as u32 };
                let histogram = FloatHistogram {
                    schema: -53,
                    positive_spans: vec![span],
                    positive_buckets: buckets,
                    ..Default::default()
                };
                let start_timestamp = if has_starts { timestamp / 2 } else { 0 };
                let sample =
                    HistogramSample { timestamp, start_timestamp, histogram, ..Default::default() };
                batch.histograms.push((series, sample));
            }
            for (series, timestamp, value, id) in exemplars {
                let labels = Labels::from_pairs([("trace_id", id)]).unwrap();
                batch.exemplars.push((series, StoredExemplar { timestamp, value, labels }));
            }
            batch
        })
}

proptest! {
    #[test]
    fn every_batch_comes_back(batch in batches()) {
        let mut payload = vec![];
        batch.encode(&mut payload);
        let mut decoded = Batch::default();
        decoded.decode(&payload).unwrap();
        prop_assert_eq!(&decoded, &batch);
        if !payload.is_empty() {
            prop_assert!(decoded.decode(&payload[..payload.len() - 1]).is_err());
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = Batch::default().decode(&bytes);
        if let Some(first) = bytes.first_mut() {
            *first = KIND;
        }
        let _ = Batch::default().decode(&bytes);
    }
}

#[test]
fn a_scrape_takes_few_bytes_a_sample() {
    let mut batch = Batch::default();
    for series in 0..1000 {
        batch.timestamps.push(1_700_000_000_000);
        batch.values.push(f64::from(series % 50).to_bits());
        batch.end_run(series);
    }
    let mut payload = vec![];
    batch.encode(&mut payload);
    assert!(payload.len() < 4200, "{} bytes", payload.len());
}

/// The second kind of entry, byte for byte: what was written is read by every later version.
#[test]
fn start_timestamps_follow_at_the_end() {
    let mut batch = Batch::default();
    for (timestamp, start) in [(5, 3), (6, 3), (7, 7)] {
        batch.timestamps.push(timestamp);
        batch.values.push(0);
        batch.start_timestamps.push(start);
    }
    batch.end_run(2);
    let mut payload = vec![];
    batch.encode(&mut payload);
    let (runs, samples) = ([4, 0, 1, 4, 3], [1, 10, 1, 2, 0]);
    let (others, starts) = ([0, 0], [6, 0, 8]);
    assert_eq!(payload, [&runs[..], &samples, &others, &starts].concat());
}
