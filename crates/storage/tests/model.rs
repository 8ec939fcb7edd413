//! The whole engine against a map: whatever was written, deleted, flushed, merged, forgotten or opened
//! again, selections, lists of labels and samples are those of the map.
//!
//! Seeded: `METRICSTOR_MODEL=FIRST..LAST cargo test -p metricstor-storage --test model` runs other seeds,
//! or more of them.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, mpsc};

use metricstor_model::{
    EncodedLabels, FloatHistogram, HistogramSample, Labels, Matcher, Need, Samples, SeriesSet,
    TimeRange, WriteRequest, WriteSeries,
};
use metricstor_storage::files::Disk;
use metricstor_storage::{Store, StoreConfig, WriteOutcome};

#[path = "model/map.rs"]
mod map;
#[path = "model/random.rs"]
mod random;
mod support;

use map::{Column, Map, Row, Value, column, digest, value_of};
use random::{LABELS, Random};
use support::{NOW, decode};

const HOUR: i64 = 3_600_000;

struct Run {
    dir: tempfile::TempDir,
    random: Random,
    now: Arc<AtomicI64>,
    map: Map,
    /// A tenth of it is the most that a file spans.
    retention: i64,
    samples_read: usize,
    left_out: usize,
}

impl Run {
    fn new(seed: u64) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            random: Random::new(seed),
            now: Arc::new(AtomicI64::new(NOW)),
            map: Map::default(),
            retention: if seed.is_multiple_of(2) { 30 * HOUR } else { 8_000 * HOUR },
            samples_read: 0,
            left_out: 0,
        }
    }

    fn open(&self, dir: &Path) -> Store {
        let config = StoreConfig {
            retention_ms: self.retention,
            shards: 2,
            log_segment_bytes: 64 << 10,
            ..StoreConfig::new(dir)
        };
        let now = self.now.clone();
        let clock = Arc::new(move || now.load(Ordering::SeqCst));
        Store::open(config, Arc::new(Disk), clock).unwrap().0
    }

    fn oldest(&self) -> i64 {
        self.now.load(Ordering::SeqCst) - self.retention
    }

    fn act(&mut self, store: Store) -> Store {
        match self.random.below(24) {
            0..10 => {
                let rows = self.random.rows();
                self.write(&store, &rows);
            }
            // So that there are many values, and series to be forgotten.
            10 | 11 => {
                let rows = self.random.pods();
                self.write(&store, &rows);
            }
            12..15 => {
                let sets = vec![self.random.matchers(), self.random.matchers()];
                let range = self.random.range();
                store.delete(&sets, range).unwrap();
                self.map.delete(&sets, range);
            }
            15..18 => {
                store.compact().unwrap();
                self.check_nothing_else(&store);
            }
            18 => store.clean_tombstones().unwrap(),
            19 | 20 => {
                let name = store.snapshot("copy", true).unwrap();
                let copy = self.open(&self.dir.path().join("snapshots").join(name));
                self.check(&copy);
            }
            21 => {
                self.now.fetch_add(self.random.below(HOUR as u64) as i64, Ordering::SeqCst);
                store.expire().unwrap();
            }
            end => {
                if end == 22 {
                    store.close();
                }
                drop(store);
                return self.open(self.dir.path());
            }
        }
        store
    }

    fn write(&mut self, store: &Store, rows: &[Row]) {
        let mut request = WriteRequest::default();
        for (labels, timestamp, value) in rows {
            let (timestamp, samples) = (*timestamp, request.timestamps.len());
            let histograms = request.histograms.len();
            match *value {
                Value::Float(bits) => {
                    request.timestamps.push(timestamp);
                    request.values.push(f64::from_bits(bits));
                }
                Value::Histogram(count) => {
                    let (count, zero_count) = (count as f64, count as f64);
                    let histogram = FloatHistogram { count, zero_count, ..Default::default() };
                    request.histograms.push(HistogramSample {
                        timestamp,
                        histogram,
                        ..Default::default()
                    });
                }
            }
            request.series.push(WriteSeries {
                labels: EncodedLabels { bytes: labels.as_bytes(), decode },
                samples: samples..request.timestamps.len(),
                histograms: histograms..request.histograms.len(),
                exemplars: 0..0,
            });
        }
        let (answer, answered) = mpsc::channel();
        store.write(&request, Box::new(move |result| answer.send(result).unwrap()));
        let told: WriteOutcome = answered.recv().unwrap().unwrap();
        let told = (told.accepted.total(), told.refused.total(), told.duplicates);
        assert_eq!(told, self.map.write(rows, self.oldest()));
    }

    fn check(&mut self, store: &Store) {
        for _ in 0..3 {
            let sets = vec![self.random.matchers(), self.random.matchers()];
            let name = self.random.one_of(&LABELS);
            let mut range = self.random.range();
            // What is older may be there still or not.
            range.start = range.start.max(self.oldest());
            self.check_samples(store, &sets[0], range);
            let some = self.map.inside(&sets, range).into_keys().collect();
            let known = self.map.known(&sets);
            let found = store.series(&sets, range, usize::MAX).unwrap().0;
            between(&some, found.iter().map(text), &known);
            let found = store.label_names(&sets, range).unwrap();
            assert!(found.is_sorted(), "{found:?}");
            between(&names(&some), found.into_iter(), &names(&known));
            let found = store.label_values(name, &sets, range, usize::MAX).unwrap();
            assert!(found.is_sorted(), "{found:?}");
            between(&values(name, &some), found.into_iter(), &values(name, &known));
        }
    }

    fn check_samples(&mut self, store: &Store, matchers: &[Matcher], range: TimeRange) {
        let set = store.select(matchers).unwrap();
        assert!(store.at_most(matchers) >= set.len(), "{matchers:?}");
        let labels: Vec<String> = (0..set.len()).map(|i| text(&set.labels(i))).collect();
        let sets = [matchers.to_vec()];
        let expected = self.map.inside(&sets, range);
        let some = expected.keys().copied().collect();
        between(&some, labels.iter().cloned(), &self.map.known(&sets));
        let (greater, less): (fn(&f64, &f64) -> bool, _) = (f64::gt, f64::lt);
        for need in [Need::Every, Need::Greatest, Need::Least, Need::One] {
            let better = if need == Need::Least { less } else { greater };
            let visit = &mut |i: usize, samples: &mut Samples| {
                let what = format!("{need:?} of {} in {range:?}", labels[i]);
                let (found, nothing) = (column(samples), Column::new());
                let expected = expected.get(&*labels[i]).unwrap_or(&nothing);
                assert!(need != Need::Every || found == *expected, "{what}: {found:?}");
                assert_eq!(samples.len() + samples.left_out, expected.len(), "{what}");
                let (found, expected) = (digest(&found, better), digest(expected, better));
                assert!(need == Need::One || found.0 == expected.0, "{what}");
                assert_eq!(found.1, expected.1, "{what}");
                self.samples_read += samples.len();
                self.left_out += samples.left_out;
                ControlFlow::Continue(())
            };
            set.read_each(0..set.len(), range, need, &mut |_| true, &mut Samples::default(), visit)
                .unwrap();
        }
    }

    /// After a compaction there is nothing but what has samples, until some are too old.
    fn check_nothing_else(&self, store: &Store) {
        if self.oldest() > NOW - self.retention {
            return;
        }
        let all = [vec![Matcher::equal("none", "")]];
        let some: BTreeSet<&str> = self.map.inside(&all, TimeRange::ALL).into_keys().collect();
        let found = store.series(&all, TimeRange::ALL, usize::MAX).unwrap().0;
        between(&some, found.iter().map(text), &some);
        assert_eq!(store.statistics().series, some.len());
        let pods = values("pod", &some);
        between(
            &pods,
            store.label_values("pod", &[], TimeRange::ALL, usize::MAX).unwrap().into_iter(),
            &pods,
        );
        let names = names(&some);
        between(&names, store.label_names(&[], TimeRange::ALL).unwrap().into_iter(), &names);
    }
}

fn text(labels: &Labels) -> String {
    labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
}

/// The names that some of these series have.
fn names(all: &BTreeSet<&str>) -> BTreeSet<&'static str> {
    let carries = |name: &&str| all.iter().any(|labels| !value_of(labels, name).is_empty());
    LABELS.into_iter().filter(carries).collect()
}

/// The values that these series have of a label.
fn values<'t>(name: &str, all: &BTreeSet<&'t str>) -> BTreeSet<&'t str> {
    let values = all.iter().map(|labels| value_of(labels, name));
    values.filter(|value| !value.is_empty()).collect()
}

/// Each once, at least these, and no others than those.
fn between(these: &BTreeSet<&str>, found: impl Iterator<Item = String>, those: &BTreeSet<&str>) {
    let found: Vec<String> = found.collect();
    let set: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(set.len(), found.len(), "{found:?}");
    assert!(these.is_subset(&set), "lacking: {:?}", these.difference(&set));
    assert!(set.is_subset(those), "too many: {:?}", set.difference(those));
}

#[test]
fn the_store_is_what_a_map_would_be() {
    let range = std::env::var("METRICSTOR_MODEL").unwrap_or("0..6".into());
    let (first, last) = range.split_once("..").expect("FIRST..LAST");
    let (mut read, mut left_out) = (0, 0);
    for seed in first.parse().unwrap()..last.parse::<u64>().unwrap() {
        println!("seed {seed}");
        let mut run = Run::new(seed);
        let mut store = run.open(run.dir.path());
        for _ in 0..40 {
            store = run.act(store);
            run.check(&store);
        }
        (read, left_out) = (read + run.samples_read, left_out + run.left_out);
    }
    println!("{read} samples read, {left_out} left out");
    assert!(read > 0 && left_out > 0);
}
