//! Exemplars are as durable as samples: through log, memory, files and merges, once each.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::sync::mpsc;

use metricstor_model::{
    EncodedLabels, Exemplar, Labels, Matcher, SelectError, StoredExemplar, TimeRange, WriteRequest,
    WriteSeries,
};
use metricstor_storage::Store;

mod support;
use support::{NOW, decode, open, open_with};

/// One request: a sample and its exemplars (time, value, trace) for one series.
fn write(store: &Store, series: &str, exemplars: &[(i64, f64, String)]) {
    let traces: Vec<String> = exemplars.iter().map(|(.., id)| format!("trace_id={id}")).collect();
    let mut request = WriteRequest::default();
    request.timestamps.push(NOW);
    request.values.push(1.0);
    for ((timestamp, value, _), trace) in exemplars.iter().zip(&traces) {
        let labels = EncodedLabels { bytes: trace.as_bytes(), decode };
        request.exemplars.push(Exemplar { labels, value: *value, timestamp: *timestamp });
    }
    let count = exemplars.len();
    request.series.push(WriteSeries {
        labels: EncodedLabels { bytes: series.as_bytes(), decode },
        samples: 0..1,
        histograms: 0..0,
        exemplars: 0..count,
    });
    let (answer, answered) = mpsc::channel();
    store.write(&request, Box::new(move |result| answer.send(result).unwrap()));
    assert_eq!(answered.recv().unwrap().unwrap().first_refusal, None);
}

fn all(store: &Store) -> Vec<(Labels, Vec<StoredExemplar>)> {
    let sets = [vec![Matcher::equal("__name__", "latency")]];
    store.exemplars(&sets, TimeRange::ALL, 1_000_000).unwrap()
}

fn count(store: &Store) -> usize {
    all(store).iter().map(|(_, exemplars)| exemplars.len()).sum()
}

#[test]
fn exemplars_are_found_wherever_they_are_and_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let series = |i: i64| format!("__name__=latency,le={i}");
    for round in 0..6i64 {
        for i in 0..20 {
            let at = |k: i64| (NOW - 100_000 + round * 10_000 + k * 10, k as f64 / 3.0);
            let exemplars: Vec<_> =
                (0..30).map(|k| (at(k).0, at(k).1, format!("t{round}-{i}-{k}"))).collect();
            write(&store, &series(i), &exemplars);
            write(&store, &series(i), &exemplars[..5]);
        }
        assert_eq!(count(&store), (round + 1) as usize * 600);
        match round {
            1 => store.compact().unwrap(),
            2 => {
                drop(store);
                store = open(dir.path());
            }
            3 => store.compact().unwrap(),
            _ => {}
        }
        assert_eq!(count(&store), (round + 1) as usize * 600, "round {round}");
    }
    let found = all(&store);
    assert_eq!(found.len(), 20);
    assert!(found.is_sorted_by(|a, b| a.0 < b.0));
    for (_, exemplars) in &found {
        assert!(exemplars.is_sorted_by(|a, b| a.timestamp < b.timestamp));
    }
    let first = &found[0].1[3];
    assert_eq!(first.value.to_bits(), 1.0f64.to_bits());
    assert_eq!(first.labels.get("trace_id"), Some("t0-0-3"));

    let sets = [vec![Matcher::equal("le", "3")]];
    let range = TimeRange::new(NOW - 100_000, NOW - 100_000 + 45);
    let some = store.exemplars(&sets, range, 10).unwrap();
    assert_eq!((some.len(), some[0].1.len()), (1, 5));
    let error = store.exemplars(&sets, TimeRange::ALL, 10).unwrap_err();
    assert!(matches!(error, SelectError::LimitExceeded { .. }), "{error}");

    store.delete(&sets, range).unwrap();
    assert!(store.exemplars(&sets, range, 10).unwrap().is_empty());
    assert_eq!(count(&store), 3600 - 5);
    store.compact().unwrap();
    assert_eq!(count(&store), 3600 - 5);
    drop(store);
    assert_eq!(count(&open(dir.path())), 3600 - 5);
}

#[test]
fn exemplars_beyond_a_limit_are_dropped_and_counted_and_the_samples_stay() {
    let dir = tempfile::tempdir().unwrap();
    let files = std::sync::Arc::new(metricstor_storage::files::Disk);
    let (store, _) = open_with(dir.path(), files, NOW, |config| {
        config.shards = 1;
        config.exemplars_max = 10;
    })
    .unwrap();
    let long = "x".repeat(129);
    let exemplars: Vec<_> = [(NOW, "ok"), (NOW, long.as_str()), (0, "old"), (i64::MAX, "ahead")]
        .map(|(at, id)| (at, 1.0, id.to_owned()))
        .to_vec();
    write(&store, "__name__=latency", &exemplars);
    assert_eq!((count(&store), store.metrics().exemplars_dropped.get()), (1, 3));
    let more: Vec<_> = (0..20).map(|i| (NOW - i, 2.0, format!("m{i}"))).collect();
    write(&store, "__name__=latency", &more);
    assert_eq!((count(&store), store.metrics().exemplars_dropped.get()), (10, 14));
}

/// An exemplar is mostly a little older than the sample it came with.
#[test]
fn a_deleted_one_stays_deleted_where_no_sample_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    write(&store, "__name__=latency", &[(NOW - 5000, 1.0, "t".to_owned())]);
    store.compact().unwrap();
    let sets = [vec![Matcher::equal("__name__", "latency")]];
    store.delete(&sets, TimeRange::new(NOW - 6000, NOW - 4000)).unwrap();
    assert_eq!(count(&store), 0);
    store.clean_tombstones().unwrap();
    assert_eq!(store.statistics().tombstones, 0);
    assert_eq!(count(&store), 0);
}
