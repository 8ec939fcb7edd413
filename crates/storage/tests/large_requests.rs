//! What one request brings of one series may be more than an entry of the log holds.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::sync::mpsc;

use metricstor_model::{EncodedLabels, Exemplar, WriteRequest, WriteSeries};
use metricstor_storage::{Store, WriteOutcome};

mod support;
use support::{NOW, decode, open};

fn write(store: &Store, mut request: WriteRequest<'_>) -> WriteOutcome {
    request.series.push(WriteSeries {
        labels: EncodedLabels { bytes: b"__name__=long", decode },
        samples: 0..request.timestamps.len(),
        histograms: 0..0,
        exemplars: 0..request.exemplars.len(),
    });
    let (answer, answered) = mpsc::channel();
    store.write(&request, Box::new(move |result| answer.send(result).unwrap()));
    answered.recv().unwrap().unwrap()
}

#[test]
fn millions_of_samples_are_stored() {
    const MANY: usize = 2_300_000;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut request = WriteRequest::default();
    for i in 0..MANY as i64 {
        request.timestamps.push(NOW - 150_000_000 + i * 50 + i * 7919 % 47);
        request.values.push((i as f64).sin());
    }
    assert_eq!(write(&store, request).accepted.samples, MANY as u64);
    assert_eq!(store.statistics().head_samples, MANY as u64);
}

#[test]
fn so_are_many_exemplars() {
    const MANY: usize = 140_000;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let traces: Vec<String> =
        (0..MANY).map(|i| format!("trace_id={i}{}", "x".repeat(110))).collect();
    let mut request = WriteRequest::default();
    request.timestamps.push(NOW);
    request.values.push(1.0);
    for (i, trace) in (0..).zip(&traces) {
        let labels = EncodedLabels { bytes: trace.as_bytes(), decode };
        request.exemplars.push(Exemplar { labels, value: 1.0, timestamp: NOW - 200_000 + i });
    }
    assert_eq!(write(&store, request).accepted_exemplars, MANY as u64);
}
