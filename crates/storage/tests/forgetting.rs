//! Series that have no samples left leave index, catalog and memory; they may come again.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use metricstor_model::{Matcher, SeriesSet, TimeRange};
use metricstor_storage::files::Disk;
use metricstor_storage::{Store, StoreConfig};

mod support;
use support::{NOW, Row, everything, write};

const PER_DAY: i64 = 3000;
const DAY: i64 = 24 * 3_600_000;

/// A store whose clock is set by the test.
struct Aging {
    dir: tempfile::TempDir,
    now: Arc<AtomicI64>,
}

impl Aging {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), now: Arc::new(AtomicI64::new(NOW)) }
    }

    fn open(&self, change: impl FnOnce(&mut StoreConfig)) -> Store {
        let mut config = StoreConfig::new(self.dir.path());
        change(&mut config);
        let now = self.now.clone();
        let clock = Arc::new(move || now.load(Ordering::SeqCst));
        Store::open(config, Arc::new(Disk), clock).unwrap().0
    }

    fn pass(&self, ms: i64) -> i64 {
        self.now.fetch_add(ms, Ordering::SeqCst) + ms
    }
}

fn rows(names: std::ops::Range<i64>, at: i64) -> Vec<Row> {
    names.map(|i| (format!("__name__=m,pod=p{i}"), at, i as f64)).collect()
}

#[test]
fn churn_does_not_fill_the_memory() {
    let aging = Aging::new();
    let keep = |config: &mut StoreConfig| config.retention_ms = 5 * DAY;
    let store = aging.open(keep);
    let mut sizes = Vec::new();
    for day in 0..20i64 {
        let now = aging.pass(DAY);
        let first = day * PER_DAY;
        let outcome = write(&store, &rows(first..first + PER_DAY, now)).unwrap();
        assert_eq!(outcome.first_refusal, None);
        store.compact().unwrap();
        store.expire().unwrap();
        let statistics = store.statistics();
        sizes.push(statistics.index_bytes + statistics.head_bytes + statistics.known_bytes);
        assert!(statistics.series as i64 <= 7 * PER_DAY, "{}", statistics.series);
    }
    let (early, late) = (sizes[7], sizes[19]);
    assert!(late < early * 5 / 4, "{early} bytes, then {late}");
    let expected = everything(&store);
    drop(store);
    let store = aging.open(keep);
    assert_eq!(everything(&store), expected);
    assert!(store.statistics().series as i64 <= 7 * PER_DAY);
}

#[test]
fn a_forgotten_series_comes_again_as_one() {
    let aging = Aging::new();
    let mut store = aging.open(|_| {});
    let one = [vec![Matcher::equal("pod", "p1")]];
    for round in 0..6 {
        let now = aging.pass(60_000);
        write(&store, &rows(0..3, now)).unwrap();
        if round % 2 == 0 {
            store.compact().unwrap();
        }
        store.delete(&one, TimeRange::ALL).unwrap();
        store.clean_tombstones().unwrap();
        assert_eq!(
            store.label_values("pod", &[], TimeRange::ALL, usize::MAX).unwrap(),
            ["p0", "p2"]
        );
        if round % 3 == 1 {
            drop(store);
            store = aging.open(|_| {});
        }
        write(&store, &rows(1..2, now)).unwrap();
        if round % 3 == 2 {
            drop(store);
            store = aging.open(|_| {});
        }
        assert_eq!(store.select(&one[0]).unwrap().len(), 1, "round {round}");
        assert_eq!(everything(&store).keys().filter(|(l, _)| l.ends_with("p1")).count(), 1);
    }
}

#[test]
fn writes_go_on_while_series_are_forgotten() {
    let aging = Aging::new();
    let store = aging.open(|_| {});
    let written = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3i64)
            .map(|writer| {
                let (store, aging) = (&store, &aging);
                scope.spawn(move || {
                    let mut rows_written = Vec::new();
                    for i in 0..150i64 {
                        let now = aging.pass(1000);
                        let first = writer * 1000 + i % 50;
                        let rows = rows(first..first + 3, now);
                        assert_eq!(write(store, &rows).unwrap().first_refusal, None);
                        rows_written.extend(rows);
                    }
                    rows_written
                })
            })
            .collect();
        for i in 0..40 {
            store.delete(&[vec![Matcher::equal("pod", "none")]], TimeRange::ALL).unwrap();
            // Everything but the newest second, so that series go while others write them.
            let range = TimeRange::new(0, NOW - 1);
            store.delete(&[vec![Matcher::equal("__name__", "m")]], range).unwrap();
            if i % 4 == 0 { store.compact().unwrap() } else { store.clean_tombstones().unwrap() }
        }
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
    });
    let found = everything(&store);
    for (labels, at, value) in written {
        assert_eq!(found.get(&(labels, at)), Some(&value.to_bits()));
    }
    let expected = found;
    drop(store);
    assert_eq!(everything(&aging.open(|_| {})), expected);
}

#[test]
fn the_oldest_files_go_when_all_are_too_large() {
    let aging = Aging::new();
    let store = aging.open(|_| {});
    for _ in 0..10 {
        let now = aging.pass(DAY);
        let rows: Vec<Row> = (0..2000)
            .map(|i| (format!("__name__=m,i={}", i % 10), now - i * 1000, (i as f64).sin()))
            .collect();
        write(&store, &rows).unwrap();
        store.compact().unwrap();
    }
    let all = store.statistics();
    drop(store);
    let max = all.chunk_file_bytes / 2;
    let store = aging.open(|config| config.retention_bytes = Some(max));
    store.expire().unwrap();
    let kept = store.statistics();
    assert!(kept.chunk_file_bytes <= max && kept.chunk_file_bytes > 0, "{kept:?}");
    assert_eq!(kept.range.unwrap().end, all.range.unwrap().end);
    assert!(kept.range.unwrap().start > all.range.unwrap().start);
}

#[test]
fn what_has_only_samples_that_are_refused_is_no_series() {
    let aging = Aging::new();
    let store = aging.open(|_| {});
    for at in [NOW - 30 * DAY, NOW + DAY] {
        let outcome = write(&store, &rows(0..10, at)).unwrap();
        assert_eq!((outcome.accepted.total(), outcome.refused.total()), (0, 10));
    }
    assert_eq!(store.statistics().series, 0);
    let all = [vec![Matcher::equal("none", "")]];
    assert_eq!(store.series(&all, TimeRange::ALL, 100).unwrap().0, []);
    write(&store, &rows(3..4, NOW)).unwrap();
    assert_eq!(write(&store, &rows(0..10, NOW - 30 * DAY)).unwrap().refused.total(), 10);
    assert_eq!(store.statistics().series, 1);
}

#[test]
fn a_series_that_a_merge_leaves_nothing_of_goes_too() {
    let aging = Aging::new();
    let store = aging.open(|config| {
        config.retention_ms = DAY;
        config.shards = 1;
    });
    let window = NOW / (DAY / 12) * (DAY / 12);
    write(&store, &rows(1..2, window)).unwrap();
    write(&store, &rows(2..3, window + 2000)).unwrap();
    store.snapshot("flushed", true).unwrap();
    aging.pass(window + 1000 + DAY - NOW);
    write(&store, &rows(2..3, window + 3000)).unwrap();
    store.snapshot("flushed", true).unwrap();
    let started = Instant::now();
    while store.statistics().series > 1 {
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", store.statistics());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(everything(&store).len(), 2);
}
