//! The whole engine on a disk that loses power: what was acknowledged is there afterwards, and
//! nothing that was never sent.
//!
//! Seeded: `METRICSTOR_POWER_LOSS=FIRST..LAST cargo test -p metricstor-storage --test power_loss`
//! runs other seeds, or more of them.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::collections::BTreeMap;
use std::sync::Arc;

use metricstor_model::{Matcher, TimeRange};
use metricstor_storage::files::{Files, Simulated};
use metricstor_storage::{Recovery, StorageError, Store};

mod support;
use support::{NOW, Row, everything, open_with, write};

/// Small and seeded, so that a failing seed fails again.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % n
    }
}

type Model = BTreeMap<(String, i64), u64>;

struct Run {
    dir: tempfile::TempDir,
    disk: Simulated,
    random: Random,
    acknowledged: Model,
    attempted: Model,
    /// What was deleted may come again with another value: how often each sample was.
    deleted: BTreeMap<(String, i64), u64>,
    deletions: u32,
    crashes: u32,
}

impl Run {
    fn new(seed: u64) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            disk: Simulated::new(),
            random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            acknowledged: Model::new(),
            attempted: Model::new(),
            deleted: BTreeMap::new(),
            deletions: 0,
            crashes: 0,
        }
    }

    fn open(&self) -> Result<(Store, Recovery), StorageError> {
        let files: Arc<dyn Files> = Arc::new(self.disk.clone());
        open_with(self.dir.path(), files, NOW, |config| {
            config.shards = 2;
            config.log_segment_bytes = 64 << 10;
        })
    }

    /// One life of the process, ended by a power cut at a random operation.
    fn live_and_crash(&mut self) {
        let spared = self.random.below(120);
        self.disk.cut_power_after(spared);
        if let Ok((store, _)) = self.open() {
            for _ in 0..self.random.below(30) {
                self.act(&store);
            }
        }
        self.disk.crash(self.random.below(u64::MAX));
        self.crashes += 1;
    }

    fn act(&mut self, store: &Store) {
        match self.random.below(12) {
            // A failure is the power cut; the next life shows what it left.
            0 | 1 => {
                let _ = store.compact();
                return;
            }
            2 => {
                let _ = store.clean_tombstones();
                return;
            }
            3 | 4 => return self.delete(store),
            _ => {}
        }
        let rows: Vec<Row> = (0..1 + self.random.below(40)).map(|_| self.row()).collect();
        let named = |(labels, t, value): &Row| ((labels.clone(), *t), value.to_bits());
        self.attempted.extend(rows.iter().map(named));
        if let Ok(outcome) = write(store, &rows) {
            assert_eq!(outcome.first_refusal, None);
            self.acknowledged.extend(rows.iter().map(named));
        }
    }

    /// Deletes a range of time of one metric or one series.
    fn delete(&mut self, store: &Store) {
        let series = self.random.below(30);
        let (name, value) = match self.random.below(3) {
            0 => ("__name__", format!("m{}", series % 3)),
            _ => ("s", series.to_string()),
        };
        let start = NOW - self.random.below(400) as i64 * 15_000;
        let range = TimeRange::new(start, start + self.random.below(100) as i64 * 15_000);
        let named = format!("{name}={value}");
        let hit = |(labels, t): &(String, i64)| {
            range.contains(*t) && labels.split(',').any(|label| label == named)
        };
        let done = store.delete(&[vec![Matcher::equal(name, &value)]], range).is_ok();
        // Without an answer the samples may be there or not.
        self.acknowledged.retain(|key, _| !hit(key));
        if done {
            let gone: Vec<_> = self.attempted.keys().filter(|key| hit(key)).cloned().collect();
            for key in gone {
                self.attempted.remove(&key);
                *self.deleted.entry(key).or_default() += 1;
            }
            self.deletions += 1;
        }
    }

    /// A sample whose value follows from series and time, so that repeats are retries.
    fn row(&mut self) -> Row {
        let series = self.random.below(30);
        let step = self.random.below(400) as i64;
        let (labels, timestamp) =
            (format!("__name__=m{},s={series}", series % 3), NOW - step * 15_000);
        let deleted = self.deleted.get(&(labels.clone(), timestamp)).copied().unwrap_or(0);
        let value = series as f64 * 1000.0 + step as f64 / 7.0 + deleted as f64 * 1e6;
        (labels, timestamp, value)
    }

    fn check(&mut self, seed: u64) {
        let (store, _) = self.open().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let found = everything(&store);
        for (key, bits) in &self.acknowledged {
            assert_eq!(found.get(key), Some(bits), "seed {seed}: lost {key:?}");
        }
        for (key, bits) in &found {
            assert_eq!(self.attempted.get(key), Some(bits), "seed {seed}: invented {key:?}");
        }
        // What an unanswered write left behind is as good as acknowledged from here on.
        self.acknowledged = found;
    }
}

#[test]
fn acknowledged_samples_survive_power_cuts_at_any_point() {
    let range = std::env::var("METRICSTOR_POWER_LOSS").unwrap_or("0..40".into());
    let (first, last) = range.split_once("..").expect("FIRST..LAST");
    let (first, last): (u64, u64) = (first.parse().unwrap(), last.parse().unwrap());
    let (mut crashes, mut deletions, mut acknowledged) = (0, 0, 0);
    for seed in first..last {
        let mut run = Run::new(seed);
        for _ in 0..6 {
            run.live_and_crash();
            run.check(seed);
        }
        crashes += run.crashes;
        deletions += run.deletions;
        acknowledged += run.acknowledged.len();
    }
    println!("{crashes} power cuts, {deletions} deletions, {acknowledged} samples, none lost");
    assert!(acknowledged > 0 && deletions > 0);
}
