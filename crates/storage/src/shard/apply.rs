//! Durable entries enter the head, in log order: the shard's state machine.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};

use metricstor_model::{Samples, TimeRange};

use super::{FileSet, Live, Shard};
use crate::batch::Batch;
use crate::head::{History, Verdict};
use crate::index::Index;
use crate::outcome::{Counts, RefusalReason, WriteOutcome};
use crate::tombstone::Tombstone;

/// Samples applied under one lock, and the rest of their run: reads and flushes wait for as many, and
/// a late one may have to be compared with a file. Between two steps a flush may freeze a part of the
/// entry; it is not applied yet, so the log keeps it, and a replay finds that part as duplicates.
const APPLIED_AT_ONCE: usize = 1024;

/// The chunk files as the head looks into them for late samples.
struct Past<'a> {
    files: &'a FileSet,
    index: &'a RwLock<Index>,
}

impl History for Past<'_> {
    fn end(&self) -> i64 {
        self.files.range().map_or(i64::MIN, |range| range.end)
    }

    fn read(&self, series: u32, range: TimeRange, out: &mut Samples) {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let key = index.key(series);
        drop(index);
        if let Err(error) = self.files.read(key, range, out) {
            tracing::error!(series, %error, "a late sample could not be compared with stored ones");
            out.clear();
        }
    }
}

impl Shard {
    /// Applies one entry. `now` is when it arrived, or when it is replayed.
    pub fn apply(&self, batch: &Batch, log_index: u64, now: i64, outcome: &mut WriteOutcome) {
        self.apply_definitions(batch, &mut self.live_mut());
        let before = (outcome.accepted, outcome.duplicates, outcome.refused);
        self.apply_samples(batch, outcome);
        self.apply_histograms(batch, outcome);
        let mut live = self.live_mut();
        for (series, exemplar) in &batch.exemplars {
            let kept = live.head.add_exemplar(*series, exemplar.clone(), self.exemplars_max);
            if kept { &self.metrics.exemplars } else { &self.metrics.exemplars_dropped }.add(1);
        }
        live.applied = log_index;
        live.logged_samples += (batch.timestamps.len() + batch.histograms.len()) as u64;
        live.head_since.get_or_insert(now);
        self.count(before, outcome);
    }

    fn apply_samples(&self, batch: &Batch, outcome: &mut WriteOutcome) {
        let one = Counts { samples: 1, histograms: 0 };
        let mut start = 0;
        let mut runs = batch.runs.iter();
        let told = batch.has_starts();
        while runs.len() > 0 {
            let mut live = self.live_mut();
            let files = live.files.clone();
            let past = Past { files: &files, index: &self.index };
            let starts = told || live.head.has_starts();
            let step = start + APPLIED_AT_ONCE;
            while start < step
                && let Some((series, end)) = runs.next()
            {
                for i in start..*end as usize {
                    let (timestamp, bits) = (batch.timestamps[i], batch.values[i]);
                    let verdict = live.head.append(*series, timestamp, bits, &past);
                    if starts && verdict == Verdict::Accepted {
                        live.head.note_start(*series, timestamp, batch.start(i));
                    }
                    self.note(verdict, *series, timestamp, one, outcome);
                }
                start = *end as usize;
            }
        }
    }

    fn apply_histograms(&self, batch: &Batch, outcome: &mut WriteOutcome) {
        let one = Counts { samples: 0, histograms: 1 };
        for some in batch.histograms.chunks(APPLIED_AT_ONCE) {
            let mut live = self.live_mut();
            let files = live.files.clone();
            let past = Past { files: &files, index: &self.index };
            for (series, sample) in some {
                let (series, timestamp) = (*series, sample.timestamp);
                let histogram = sample.histogram.clone();
                let verdict = live.head.append_histogram(series, timestamp, histogram, &past);
                if verdict == Verdict::Accepted {
                    live.head.note_start(series, timestamp, sample.start_timestamp);
                }
                self.note(verdict, series, timestamp, one, outcome);
            }
        }
    }

    /// Applies a deletion: what earlier entries stored is hidden from here on.
    pub fn delete(&self, tombstone: &Tombstone, log_index: u64, now: i64) {
        let tombstone = Arc::new(Tombstone { position: log_index, ..tombstone.clone() });
        let mut live = self.live_mut();
        live.applied = log_index;
        // Without a sample, too: only a flush makes the log shorter.
        live.head_since.get_or_insert(now);
        if tombstone.series.is_empty() {
            return;
        }
        live.head.delete(&tombstone);
        // Also without a file: what is frozen becomes one.
        live.files = Arc::new(live.files.delete(tombstone.clone()));
        live.unpublished_tombstones.push(tombstone);
        self.metrics.deletions.add(1);
    }

    fn apply_definitions(&self, batch: &Batch, live: &mut Live) {
        for definition in &batch.definitions {
            if live.head.define(definition.series) {
                live.unpublished.push(definition.series);
            }
        }
        if !batch.definitions.is_empty() {
            self.defined_below.store(live.head.defined_below(), Ordering::Release);
        }
    }

    #[inline]
    fn note(
        &self,
        verdict: Verdict,
        series: u32,
        timestamp: i64,
        one: Counts,
        outcome: &mut WriteOutcome,
    ) {
        match verdict {
            Verdict::Accepted => outcome.accepted += one,
            Verdict::Duplicate => {
                outcome.accepted += one;
                outcome.duplicates += 1;
            }
            Verdict::Conflict => outcome.refuse(one, RefusalReason::ValueConflict, || {
                let labels = self.index().labels(series);
                format!("{labels} has another value at timestamp {timestamp}")
            }),
        }
    }

    fn count(&self, before: (Counts, u64, Counts), outcome: &WriteOutcome) {
        let (accepted, duplicates, refused) = before;
        let metrics = &self.metrics;
        metrics.samples_accepted.add(outcome.accepted.total() - accepted.total());
        metrics.samples_duplicate.add(outcome.duplicates - duplicates);
        let conflicts = outcome.refused.total() - refused.total();
        metrics.conflicts(conflicts);
    }
}
