//! What was acknowledged is there after a close, a crash, a flush, a merge; once, bit for bit.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::collections::BTreeMap;
use std::sync::Arc;

use metricstor_memory::Budget;
use metricstor_model::{Matcher, STALE_NAN, SeriesSet, TimeRange};
use metricstor_storage::files::Disk;
use metricstor_storage::{RefusalReason, Store};

mod support;
use support::{NOW, Row, everything, open, open_at, open_with, write};

const MINUTE: i64 = 60_000;

fn rows(round: i64) -> Vec<Row> {
    let timestamp = NOW - 3_600_000 + round * 15_000;
    let row = |i: i64| {
        let value = if i % 7 == 0 { f64::from_bits(STALE_NAN) } else { (i * round) as f64 / 3.0 };
        (format!("__name__=m{},i={i}", i % 5), timestamp, value)
    };
    (0..50).map(row).collect()
}

fn remember(model: &mut BTreeMap<(String, i64), u64>, rows: &[Row]) {
    for (labels, timestamp, value) in rows {
        model.insert((labels.clone(), *timestamp), value.to_bits());
    }
}

fn write_all(
    store: &Store,
    model: &mut BTreeMap<(String, i64), u64>,
    rounds: std::ops::Range<i64>,
) {
    for round in rounds {
        let rows = rows(round);
        let outcome = write(store, &rows).unwrap();
        assert_eq!(outcome.accepted.samples, rows.len() as u64);
        assert_eq!(outcome.first_refusal, None);
        remember(model, &rows);
    }
}

#[test]
fn samples_are_there_after_every_kind_of_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut model = BTreeMap::new();
    let store = open(dir.path());
    write_all(&store, &mut model, 0..10);
    assert_eq!(everything(&store), model);
    store.close();
    drop(store);

    let (store, recovery) = open_at(dir.path(), NOW).unwrap();
    assert_eq!(recovery.replayed_samples, 500);
    assert_eq!(everything(&store), model);
    write_all(&store, &mut model, 10..20);
    store.compact().unwrap();
    assert_eq!(everything(&store), model);
    write_all(&store, &mut model, 20..30);
    drop(store);

    let (store, recovery) = open_at(dir.path(), NOW).unwrap();
    assert_eq!(recovery.replayed_samples, 500);
    assert!(recovery.chunk_files > 0);
    assert_eq!(everything(&store), model);
    write_all(&store, &mut model, 30..32);
    store.compact().unwrap();
    drop(store);
    let (store, recovery) = open_at(dir.path(), NOW).unwrap();
    assert_eq!(recovery.replayed_samples, 0);
    assert_eq!(everything(&store), model);
}

#[test]
fn a_retry_is_accepted_and_stored_once_wherever_the_first_copy_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let rows = rows(3);
    write(&store, &rows).unwrap();
    for step in 0..4 {
        let outcome = write(&store, &rows).unwrap();
        assert_eq!((outcome.accepted.samples, outcome.duplicates), (50, 50), "step {step}");
        let other: Vec<Row> = rows.iter().map(|(l, t, _)| (l.clone(), *t, 1e9)).collect();
        let outcome = write(&store, &other).unwrap();
        assert_eq!(outcome.refused.samples, 50);
        assert_eq!(outcome.first_refusal.unwrap().reason, RefusalReason::ValueConflict);
        if step == 1 {
            store.compact().unwrap();
        }
    }
    drop(store);
    let store = open(dir.path());
    let outcome = write(&store, &rows).unwrap();
    assert_eq!((outcome.accepted.samples, outcome.duplicates), (50, 50));
    assert_eq!(everything(&store).len(), 50);
}

#[test]
fn late_samples_find_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut model = BTreeMap::new();
    write_all(&store, &mut model, 100..101);
    write_all(&store, &mut model, 50..60);
    store.compact().unwrap();
    write_all(&store, &mut model, 40..45);
    write_all(&store, &mut model, 70..72);
    assert_eq!(everything(&store), model);
    store.compact().unwrap();
    assert_eq!(everything(&store), model);
}

#[test]
fn times_outside_the_window_are_refused_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let series = || "__name__=up".to_owned();
    let outcome = write(
        &store,
        &[
            (series(), NOW - 16 * 24 * 60 * MINUTE, 1.0),
            (series(), NOW + 11 * MINUTE, 1.0),
            (series(), NOW + 9 * MINUTE, 1.0),
            (series(), i64::MIN, 1.0),
            (series(), i64::MAX, 1.0),
        ],
    )
    .unwrap();
    assert_eq!((outcome.accepted.samples, outcome.refused.samples), (1, 4));
    assert_eq!(outcome.refused_by_reason[RefusalReason::TooOld as usize], 2);
    assert_eq!(outcome.refused_by_reason[RefusalReason::TooFarAhead as usize], 2);
    assert_eq!(outcome.first_refusal.unwrap().reason, RefusalReason::TooOld);
}

#[test]
fn bad_labels_are_refused_and_the_rest_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let many: String = (0..70).map(|i| format!(",l{i:02}=x")).collect();
    let labels = [
        "a=b".to_owned(),
        "__name__=up,a=1,a=2".to_owned(),
        "__name__=up,=x".to_owned(),
        format!("__name__=up{many}"),
        format!("__name__=up,a={}", "x".repeat(5000)),
        "z=unsorted,__name__=fine".to_owned(),
    ];
    let rows: Vec<Row> = labels.iter().map(|l| (l.clone(), NOW, 1.0)).collect();
    let outcome = write(&store, &rows).unwrap();
    assert_eq!((outcome.accepted.samples, outcome.refused.samples), (1, 5));
    assert_eq!(outcome.first_refusal.unwrap().reason, RefusalReason::InvalidLabels);
    assert_eq!(everything(&store).len(), 1);
}

#[test]
fn a_second_process_is_kept_out() {
    let dir = tempfile::tempdir().unwrap();
    let _store = open(dir.path());
    let error = open_at(dir.path(), NOW).err().unwrap();
    assert!(error.to_string().contains("in use"), "{error}");
}

#[test]
fn expired_files_disappear() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    write(&store, &rows(0)).unwrap();
    store.compact().unwrap();
    drop(store);
    let (store, _) = open_at(dir.path(), NOW + 16 * 24 * 60 * MINUTE).unwrap();
    store.expire().unwrap();
    assert!(everything(&store).is_empty());
    assert_eq!(store.statistics().chunk_files, 0);
}

#[test]
fn label_names_values_and_series_follow_matchers() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    write(&store, &rows(0)).unwrap();
    let of = |name: &str| vec![vec![Matcher::equal("__name__", name)]];
    assert_eq!(store.label_names(&[], TimeRange::ALL).unwrap(), ["__name__", "i"]);
    assert_eq!(store.label_values("__name__", &[], TimeRange::ALL, usize::MAX).unwrap().len(), 5);
    assert_eq!(store.label_values("i", &of("m1"), TimeRange::ALL, usize::MAX).unwrap().len(), 10);
    let (series, cut) = store.series(&of("m1"), TimeRange::ALL, 3).unwrap();
    assert_eq!((series.len(), cut), (3, true));
    let old = TimeRange::new(0, 1);
    assert!(store.series(&of("m1"), old, 10).unwrap().0.is_empty());
    assert!(store.select(&[Matcher::equal("__name__", "none")]).unwrap().is_empty());
}

/// A reference given out for a write that was refused is used by a later one, after a flush has brought
/// higher ones into the catalog.
#[test]
fn a_series_that_only_the_log_defines_reaches_the_catalog() {
    let dir = tempfile::tempdir().unwrap();
    let memory = Budget::new(64 << 20);
    let open = || {
        open_with(dir.path(), Arc::new(Disk), NOW, |config| {
            config.shards = 1;
            config.memory = memory.clone();
        })
        .unwrap()
        .0
    };
    let store = open();
    let row = |name: &str, i: i64| (format!("__name__={name}"), NOW - i, (i as f64).sin());
    let much: Vec<Row> = (0..100_000).map(|i| row("refused", i)).collect();
    let most = memory.take(56 << 20).unwrap();
    write(&store, &much).unwrap_err();
    drop(most);
    write(&store, &[row("other", 0)]).unwrap();
    store.snapshot("flushed", true).unwrap();
    write(&store, &[row("refused", 0)]).unwrap();
    let expected = everything(&store);
    assert_eq!(expected.len(), 2);
    drop(store);
    let store = open();
    store.compact().unwrap();
    drop(store);
    assert_eq!(everything(&open()), expected);
}
