//! Native histograms that come late are what a reader compares the next one with.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::sync::mpsc;

use metricstor_model::{
    EncodedLabels, FloatHistogram, HistogramSample, Matcher, Samples, SeriesSet, TimeRange,
    WriteRequest, WriteSeries,
};
use metricstor_storage::Store;

mod support;
use support::{NOW, decode, open};

fn write(store: &Store, age: i64, count: f64) {
    let histogram = FloatHistogram { count, zero_count: count, ..Default::default() };
    let mut request = WriteRequest::default();
    request.histograms.push(HistogramSample {
        timestamp: NOW - age,
        histogram,
        ..Default::default()
    });
    request.series.push(WriteSeries {
        labels: EncodedLabels { bytes: b"__name__=h", decode },
        samples: 0..0,
        histograms: 0..1,
        exemplars: 0..0,
    });
    let (answer, answered) = mpsc::channel();
    store.write(&request, Box::new(move |result| answer.send(result).unwrap()));
    assert_eq!(answered.recv().unwrap().unwrap().first_refusal, None);
}

/// Between which two of the stored histograms was the counter reset?
fn resets(store: &Store) -> Vec<bool> {
    let set = store.select(&[Matcher::equal("__name__", "h")]).unwrap();
    let mut samples = Samples::default();
    set.read(0, TimeRange::ALL, &mut samples).unwrap();
    let pairs = samples.histograms.windows(2);
    pairs.map(|pair| pair[1].1.detect_reset(&pair[0].1)).collect()
}

#[test]
fn a_late_one_makes_a_reset_of_the_next() {
    for flushed in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        write(&store, 3000, 100.0);
        write(&store, 1000, 110.0);
        assert_eq!(resets(&store), [false]);
        if flushed {
            store.compact().unwrap();
        }
        write(&store, 2000, 500.0);
        assert_eq!(resets(&store), [false, true]);
        store.compact().unwrap();
        assert_eq!(resets(&store), [false, true]);
    }
}
