//! Seeded fuzzing: bytes that were valid, changed at random, are decoded or refused. Never a panic,
//! never an endless loop, never memory beyond a bound.
//!
//! `METRICSTOR_FUZZ_SECONDS=600 cargo test --release -p metricstor-storage --lib fuzz -- --nocapture`
//! runs each target for that long, from a seed that it prints.

use std::time::{Duration, Instant};

use crate::files::simulated::Random;

/// Runs of a target in the ordinary test run.
const RUNS: u64 = 5_000;

/// Feeds the target changed copies of the corpus.
pub(crate) fn fuzz(name: &str, corpus: &[Vec<u8>], mut target: impl FnMut(&[u8])) {
    let seconds = std::env::var("METRICSTOR_FUZZ_SECONDS").ok().map(|n| n.parse().unwrap());
    let seed = seconds.map_or(1, |_| u64::from(std::process::id()));
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(0));
    let mut random = Random::new(seed);
    let mut runs = 0;
    while runs < RUNS || Instant::now() < end {
        for _ in 0..100 {
            let mut bytes = corpus[random.below(corpus.len())].clone();
            for _ in 0..1 + random.below(6) {
                change(&mut bytes, corpus, &mut random);
            }
            target(&bytes);
        }
        runs += 100;
    }
    println!("{name}: {runs} inputs from seed {seed}");
}

fn change(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let most = 1 + random.below(16);
    let len = random.below(most).min(bytes.len() - at);
    match random.below(7) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0x80, 0xfe, 0xff][random.below(6)],
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..at + len)),
        4 => {
            let other = &corpus[random.below(corpus.len())];
            let from = random.below(other.len() + 1);
            let upto = (from + random.below(64)).min(other.len());
            bytes.splice(at..at + len, other[from..upto].iter().copied());
        }
        5 => bytes[at..at + len].fill_with(|| random.draw() as u8),
        _ => {
            // A number beyond what there is.
            let numbers: [&[u8]; 3] =
                [&[0xff, 0xff, 0xff, 0xff, 0x0f], &[0xff; 9], &[0x80, 0x80, 0x80, 0x01]];
            bytes.splice(at..at + len, numbers[random.below(3)].iter().copied());
        }
    }
}

#[test]
fn log_entries() {
    use metricstor_model::{FloatHistogram, HistogramSample, Labels, Span};
    use metricstor_model::{StoredExemplar, TimeRange};

    use crate::batch::{Batch, Definition};
    use crate::entry::Change;
    use crate::tombstone::Tombstone;

    let mut batch = Batch::default();
    for series in 0..30u32 {
        let labels =
            vec![("__name__".to_owned(), "m".to_owned()), ("i".to_owned(), series.to_string())];
        batch.definitions.push(Definition { series, labels });
        for i in 0..i64::from(series % 5) {
            batch.timestamps.push(1_700_000_000_000 + i * 15_000);
            batch.values.push((f64::from(series) / 3.0 + i as f64).to_bits());
        }
        batch.end_run(series);
    }
    let histogram = FloatHistogram {
        positive_spans: vec![Span { offset: 1, length: 3 }],
        positive_buckets: vec![1.0, 2.0, 3.0],
        ..FloatHistogram::default()
    };
    let sample = HistogramSample { timestamp: 5, histogram, ..HistogramSample::default() };
    batch.histograms.push((7, sample));
    let labels = Labels::from_pairs([("trace_id", "abc")]).unwrap();
    batch.exemplars.push((7, StoredExemplar { timestamp: 5, value: 0.5, labels }));
    let mut corpus = vec![Vec::new(); 3];
    batch.encode(&mut corpus[0]);
    batch.start_timestamps = (0..batch.timestamps.len() as i64).map(|i| i / 7 * 1000).collect();
    batch.encode(&mut corpus[2]);
    let series = (0..5000).filter(|i| i % 3 != 0).collect();
    Tombstone { position: 1, range: TimeRange::ALL, series }.encode(&mut corpus[1]);
    let mut change = Change::Write(Batch::default());
    fuzz("log entries", &corpus, |bytes| {
        if change.decode(bytes, 9).is_ok()
            && let Change::Write(batch) = &change
        {
            assert!(batch.timestamps.len() <= bytes.len());
            let mut again = Vec::new();
            batch.encode(&mut again);
            let mut decoded = Batch::default();
            decoded.decode(&again).expect("what was encoded is decoded");
        }
    });
}
