//! Series read one after the other are what each of them is alone.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::ops::ControlFlow;

use metricstor_model::{Matcher, Need, Samples, SeriesSet, TimeRange};

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
            set.read_each(run.clone(), range, Need::Every, &mut out, &mut |i, samples| {
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
    set.read_each(40..set.len(), TimeRange::ALL, Need::Every, &mut Samples::default(), visit)
        .unwrap();
    assert_eq!(seen, [40, 41, 42, 43, 44, 45]);
}

/// What a query over all of it needs, while late samples, deletions and files of the same time come.
#[test]
fn what_is_left_out_changes_no_extreme_and_no_count() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let start = NOW - 5_000 * 1_000;
    let row = |i: i64, value: f64| ("__name__=gauge".to_owned(), start + i * 1_000, value);
    let wave = |i: i64| f64::from((i * 7919 % 1000) as i32 - 500);
    let left_out = |what: &str| {
        let set = store.select(&[Matcher::equal("__name__", "gauge")]).unwrap();
        let mut all = Samples::default();
        set.read(0, TimeRange::ALL, &mut all).unwrap();
        let fold = |samples: &Samples, best: fn(f64, f64) -> f64| {
            samples.values.iter().copied().reduce(best).unwrap()
        };
        let mut left_out = 0;
        for need in [Need::Greatest, Need::Least, Need::One] {
            let mut out = Samples::default();
            set.read_each(0..1, TimeRange::ALL, need, &mut out, &mut |_, samples| {
                left_out = samples.left_out;
                assert_eq!(samples.len() + left_out, all.len(), "{what}");
                match need {
                    Need::Greatest => assert_eq!(fold(samples, f64::max), fold(&all, f64::max)),
                    _ if need == Need::Least => {
                        assert_eq!(fold(samples, f64::min), fold(&all, f64::min));
                    }
                    _ => {}
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        }
        left_out
    };
    let first: Vec<Row> = (0..2000).map(|i| row(2 * i, wave(i))).collect();
    write(&store, &first).unwrap();
    assert_eq!(left_out("in memory"), 0);
    store.compact().unwrap();
    assert!(left_out("one file") > 1000);
    write(&store, &[row(4_900, 3.0)]).unwrap();
    assert!(left_out("newer ones in memory") > 1000);
    write(&store, &[row(1_001, 9_999.0), row(1_003, -9_999.0)]).unwrap();
    assert_eq!(left_out("late ones in memory"), 0);
    store.compact().unwrap();
    assert!(left_out("all in files again") > 1000);
    let matchers = vec![vec![Matcher::equal("__name__", "gauge")]];
    let extremes = TimeRange::new(start + 1_000 * 1_000, start + 1_004 * 1_000);
    assert_eq!(store.delete(&matchers, extremes).unwrap(), 1);
    assert_eq!(left_out("some deleted"), 0);
    store.compact().unwrap();
    assert!(left_out("and gone") > 1000);
}
