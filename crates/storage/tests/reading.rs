//! Series read one after the other are what each of them is alone.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use metricstor_model::{Matcher, Need, Samples, SelectError, SeriesSet, TimeRange};
use metricstor_storage::files::Disk;
use proptest::prelude::*;

mod support;
use support::{NOW, Row, open, open_with, write};

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
            set.read_each(
                run.clone(),
                range,
                Need::Every,
                &mut |_| true,
                &mut out,
                &mut |i, samples| {
                    let mut alone = Samples::default();
                    set.read(i, range, &mut alone).unwrap();
                    assert_eq!((i, content(samples)), (next, content(&alone)));
                    assert!(range != whole || !samples.is_empty(), "{}", set.labels(i));
                    next += 1;
                    ControlFlow::Continue(())
                },
            )
            .unwrap();
            assert_eq!(next, run.end);
        }
    }
}

/// A series may have more samples than there is memory, however little they take on disk.
#[test]
fn a_read_ends_where_there_is_no_room() {
    const ROOM: usize = 5_000;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let rows = |range: std::ops::Range<i64>| -> Vec<Row> {
        range.map(|i| ("__name__=dense".to_owned(), NOW - 300_000 + i, 7.0)).collect()
    };
    write(&store, &rows(0..200_000)).unwrap();
    let set = || store.select(&[Matcher::equal("__name__", "dense")]).unwrap();
    for in_files in [false, true] {
        if in_files {
            store.compact().unwrap();
            write(&store, &rows(200_000..200_001)).unwrap();
        }
        let (mut most, mut out) = (0, Samples::default());
        let room = &mut |read: &Samples| {
            most = most.max(read.len());
            read.len() <= ROOM
        };
        let read = set().read_within(0, TimeRange::ALL, room, &mut out);
        assert_eq!(read, Err(SelectError::Cancelled));
        // What is in memory is decoded some 65,536 samples at a time.
        assert!(most > ROOM && most < if in_files { 4 * ROOM } else { 1 << 17 }, "{most}");
        set().read_within(0, TimeRange::ALL, &mut |_| true, &mut out).unwrap();
        assert_eq!(out.len(), if in_files { 200_001 } else { 200_000 });
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
    set.read_each(
        40..set.len(),
        TimeRange::ALL,
        Need::Every,
        &mut |_| true,
        &mut Samples::default(),
        visit,
    )
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
        println!("{what}");
        check_needs(&*set, TimeRange::ALL)
    };
    let first: Vec<Row> = (0..2000).map(|i| row(2 * i, wave(i))).collect();
    write(&store, &first).unwrap();
    assert_eq!(left_out("in memory"), 0);
    store.compact().unwrap();
    assert!(left_out("one file") > 1000);
    write(&store, &[row(4_900, 3.0)]).unwrap();
    assert!(left_out("newer ones in memory") > 1000);
    write(&store, &[row(-10, 3.0)]).unwrap();
    assert_eq!(left_out("memory before and after the file"), 0);
    store.compact().unwrap();
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

/// A step in the life of one series: samples from a time on, equal or not, and what happens then.
#[derive(Debug, Clone)]
struct Step {
    start: i64,
    count: i64,
    equal: bool,
    then: Then,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Then {
    Nothing,
    Compact,
    Delete,
}

fn step() -> impl Strategy<Value = Step> {
    let then = prop_oneof![
        3 => Just(Then::Nothing),
        5 => Just(Then::Compact),
        1 => Just(Then::Delete)
    ];
    (0..6000i64, 1..900i64, any::<bool>(), then).prop_map(|(start, count, equal, then)| Step {
        start,
        count,
        equal,
        then,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, ..ProptestConfig::with_cases(60) })]

    /// Files of several windows, late samples over some of them, deletions.
    #[test]
    fn extremes_and_counts_are_those_of_the_samples(
        steps in prop::collection::vec(step(), 1..7),
        parts in prop::collection::vec((0..6000i64, 0..6000i64), 3),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        // A minute a sample: four days, so that files of earlier windows are left alone.
        let time = |i: i64| NOW - (6_900 - i) * 60_000;
        let mut stored = BTreeSet::new();
        for step in &steps {
            let all = step.start..step.start + step.count;
            let new = all.filter(|i| stored.insert(*i));
            let value = |i: i64| if step.equal { 7.0 } else { (i * 7919 % 1009 - 500) as f64 };
            let rows: Vec<Row> =
                new.map(|i| ("__name__=gauge".to_owned(), time(i), value(i))).collect();
            write(&store, &rows).unwrap();
            match step.then {
                Then::Nothing => {}
                Then::Compact => store.compact().unwrap(),
                Then::Delete => {
                    let range = TimeRange::new(time(step.start), time(step.start + step.count / 2));
                    let gauge = vec![vec![Matcher::equal("__name__", "gauge")]];
                    store.delete(&gauge, range).unwrap();
                }
            }
        }
        let set = store.select(&[Matcher::equal("__name__", "gauge")]).unwrap();
        let ranges = parts.iter().map(|(a, b)| TimeRange::new(time(*a), time(*b)));
        for range in ranges.chain([TimeRange::ALL]) {
            check_needs(&*set, range);
        }
    }
}

/// Whatever is left out: extremes, count and order are those of all samples. Returns how many are left
/// out where any one will do.
fn check_needs(set: &dyn SeriesSet, range: TimeRange) -> usize {
    let mut all = Samples::default();
    set.read(0, range, &mut all).unwrap();
    let best =
        |samples: &Samples, best: fn(f64, f64) -> f64| samples.values.iter().copied().reduce(best);
    let mut left_out = 0;
    for need in [Need::Every, Need::Greatest, Need::Least, Need::One] {
        set.read_each(
            0..1,
            range,
            need,
            &mut |_| true,
            &mut Samples::default(),
            &mut |_, samples| {
                assert_eq!(samples.len() + samples.left_out, all.len(), "{need:?} {range:?}");
                assert!(samples.timestamps.is_sorted_by(|a, b| a < b));
                match need {
                    Need::Every => assert_eq!(content(samples), content(&all)),
                    Need::Greatest => assert_eq!(best(samples, f64::max), best(&all, f64::max)),
                    Need::Least => assert_eq!(best(samples, f64::min), best(&all, f64::min)),
                    Need::One => left_out = samples.left_out,
                }
                ControlFlow::Continue(())
            },
        )
        .unwrap();
    }
    left_out
}

#[test]
fn of_many_series_the_first_are_answered() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let name = |i: i64| format!("__name__=m,i={:06}", i * 7919 % 40_009);
    for first in (0..40_000).step_by(20_000) {
        let rows: Vec<Row> = (first..first + 20_000).map(|i| (name(i), NOW, 1.0)).collect();
        write(&store, &rows).unwrap();
    }
    let all = [vec![Matcher::equal("none", "")]];
    let (every, cut) = store.series(&all, TimeRange::ALL, usize::MAX).unwrap();
    assert!(every.len() == 40_000 && !cut && every.is_sorted_by(|a, b| a < b));
    for limit in [0, 999, 39_999, 40_000] {
        let (first, cut) = store.series(&all, TimeRange::ALL, limit).unwrap();
        assert!(first == every[..limit] && cut == (limit < 40_000), "{limit}");
    }
}

#[test]
fn of_many_values_the_first_are_answered() {
    let dir = tempfile::tempdir().unwrap();
    let budget = metricstor_memory::Budget::new(64 << 20);
    let memory = budget.clone();
    let (store, _) = open_with(dir.path(), Arc::new(Disk), NOW, |config| {
        (config.shards, config.memory) = (2, memory);
    })
    .unwrap();
    let value = |i: i64| format!("{:06}", i * 7919 % 80_021);
    for first in (0..80_000).step_by(20_000) {
        let name = |i: i64| format!("__name__=m{},i={}", i % 2, value(i));
        let rows: Vec<Row> = (first..first + 20_000).map(|i| (name(i), NOW, 1.0)).collect();
        write(&store, &rows).unwrap();
    }
    let mut every: Vec<String> = (0..80_000).map(value).collect();
    every.sort();
    let some: Vec<String> = (0..80_000).filter(|i| i % 2 == 1).map(value).collect();
    let odd = [vec![Matcher::equal("__name__", "m1")]];
    let values = |sets, limit| store.label_values("i", sets, TimeRange::ALL, limit);
    for limit in [0, 1, 999, 20_000, 80_000, usize::MAX] {
        assert!(values(&[], limit).unwrap() == every[..limit.min(80_000)], "{limit}");
        let found = values(&odd, limit).unwrap();
        let mut some = some.clone();
        some.sort();
        assert!(found == some[..limit.min(40_000)], "{limit}");
    }
    let mut rest = budget.permit();
    rest.set(budget.limit() - budget.held() - (2 << 20));
    assert!(matches!(values(&[], usize::MAX), Err(SelectError::LimitExceeded { .. })));
    assert_eq!(values(&[], 10).unwrap().len(), 10);
}

#[test]
fn what_is_counted_step_by_step_is_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    let one_shard = |config: &mut metricstor_storage::StoreConfig| config.shards = 1;
    let (store, _) = open_with(dir.path(), Arc::new(Disk), NOW, one_shard).unwrap();
    let rows: Vec<Row> =
        (0..20_000).map(|i| (format!("__name__=m{},i={i:05}", i % 2), NOW, 1.0)).collect();
    write(&store, &rows).unwrap();
    store.delete(&[vec![Matcher::equal("i", "00007")]], TimeRange::ALL).unwrap();
    store.compact().unwrap();
    let sum = store.cardinality();
    assert_eq!((sum.series_by_metric["m0"], sum.series_by_metric["m1"]), (10_000, 9_999));
    assert_eq!((sum.values_by_name["i"], sum.values_by_name["__name__"]), (19_999, 2));
    assert_eq!((sum.bytes_by_name["i"], sum.bytes_by_name["__name__"]), (5 * 19_999, 4));
    assert_eq!(sum.series_by_pair.len(), 20_001);
    assert_eq!((sum.series_by_pair["i=19999"], sum.series_by_pair["__name__=m0"]), (1, 10_000));
}
