//! Series read one after the other are what each of them is alone.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::ops::ControlFlow;

use metricstor_model::{Matcher, Samples, SeriesSet, TimeRange};

mod support;
use support::{NOW, Row, open, write};

/// Some series in files, some in memory, most in both; of three metrics.
fn rows(steps: std::ops::Range<i64>) -> Vec<Row> {
    let row = |i: i64, step: i64| {
        let labels = format!("__name__=metric{},i={i}", i % 3);
        (labels, NOW - 4_000_000 + step * 15_000, (i * step) as f64)
    };
    let first = if steps.start == 0 { 0 } else { 20 };
    steps.flat_map(|step| (first..first + 180).map(move |i| row(i, step))).collect()
}

/// Timestamps and bits of values: all that these samples are.
fn content(samples: &Samples) -> (Vec<i64>, Vec<u64>) {
    (samples.timestamps.clone(), samples.values.iter().map(|value| value.to_bits()).collect())
}

#[test]
fn a_run_of_series_reads_as_each_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    write(&store, &rows(0..40)).unwrap();
    store.compact().unwrap();
    write(&store, &rows(40..200)).unwrap();
    let whole = TimeRange::ALL;
    let late = TimeRange::new(NOW - 4_000_000 + 30 * 15_000, NOW - 4_000_000 + 50 * 15_000);
    for matcher in [Matcher::equal("__none__", ""), Matcher::equal("__name__", "metric1")] {
        let set = store.select(&[matcher]).unwrap();
        for (range, run) in [(whole, 0..set.len()), (late, 0..set.len()), (whole, 7..51)] {
            let mut next = run.start;
            let mut out = Samples::default();
            set.read_each(run.clone(), range, &mut out, &mut |i, samples| {
                let mut alone = Samples::default();
                set.read(i, range, &mut alone).unwrap();
                assert_eq!((i, content(samples)), (next, content(&alone)));
                assert!(range != whole || !samples.is_empty(), "{}", set.labels(i));
                next += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
            assert_eq!(next, run.end);
        }
    }
}

#[test]
fn a_run_ends_where_its_reader_breaks_off() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    write(&store, &rows(0..2)).unwrap();
    let set = store.select(&[Matcher::equal("__none__", "")]).unwrap();
    let mut seen = Vec::new();
    let visit = &mut |i: usize, _: &mut Samples| {
        seen.push(i);
        if i == 45 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    set.read_each(40..set.len(), TimeRange::ALL, &mut Samples::default(), visit).unwrap();
    assert_eq!(seen, [40, 41, 42, 43, 44, 45]);
}
