//! A request taken apart by shard: references instead of labels, only samples that may be stored.

use std::ops::RangeInclusive;

use metricstor_model::{
    FloatHistogram, HistogramSample, Labels, LabelsFault, StoredExemplar, WriteRequest, WriteSeries,
};

use super::Shards;
use crate::batch::{Batch, Definition};
use crate::committer::Part;
use crate::entry::Change;
use crate::known::Place;
use crate::outcome::{Counts, RefusalReason, WriteOutcome};

/// A part is closed beyond this many samples, and beyond this many bytes of definitions, histograms and
/// exemplars, so that its log entry stays far below the log's own limit.
const PART_SAMPLES_MAX: usize = 50_000;
const PART_SIZE_MAX: usize = 4 << 20;

/// Characters of an exemplar's label names and values together, as OpenMetrics bounds them.
const EXEMPLAR_LENGTH_MAX: usize = 128;
/// Bytes that one takes in the log, about at most: four a character, and its numbers.
const EXEMPLAR_SIZE_MAX: usize = 4 * EXEMPLAR_LENGTH_MAX + 64;

pub(super) struct Assembly<'a> {
    request: &'a WriteRequest<'a>,
    shards: &'a Shards,
    accepted_times: RangeInclusive<i64>,
    open: Vec<Batch>,
    /// Bytes of the open batches' definitions, histograms and exemplars.
    sizes: Vec<usize>,
    parts: Vec<Part>,
    pub outcome: WriteOutcome,
}

impl<'a> Assembly<'a> {
    pub fn new(
        request: &'a WriteRequest<'a>,
        shards: &'a Shards,
        accepted_times: RangeInclusive<i64>,
    ) -> Self {
        // Shards get nearly equal parts; a quarter more saves growing the larger ones.
        let shards_count = shards.shards.len();
        let part = |all: usize| (all / shards_count * 5 / 4 + 8).min(PART_SAMPLES_MAX);
        let (runs, samples) = (part(request.series.len()), part(request.timestamps.len()));
        let open: Vec<Batch> = (0..shards_count).map(|_| Batch::with_room(runs, samples)).collect();
        let sizes = vec![0; open.len()];
        let outcome = WriteOutcome::default();
        Self { request, shards, accepted_times, open, sizes, parts: vec![], outcome }
    }

    /// Adds a known series' samples; its definition too while the log may not have it.
    #[inline]
    pub fn add(&mut self, place: Place, series: &WriteSeries<'_>) {
        let shard = &self.shards.shards[usize::from(place.shard)];
        if shard.needs_definition(place.series) {
            let labels = shard.index().labels(place.series);
            self.define(place, labels.iter());
        }
        self.add_samples(place, series);
    }

    /// Adds a new series with its definition.
    pub fn add_new(&mut self, place: Place, pairs: &[(&str, &str)], series: &WriteSeries<'_>) {
        self.define(place, pairs.iter().copied());
        self.add_samples(place, series);
    }

    /// May any sample of the series be stored? An exemplar alone makes no series.
    pub fn takes_any(&self, series: &WriteSeries<'_>) -> bool {
        let in_time = |timestamp: &i64| self.accepted_times.contains(timestamp);
        let histograms = &self.request.histograms[series.histograms.clone()];
        self.request.timestamps[series.samples.clone()].iter().any(in_time)
            || histograms.iter().any(|h| in_time(&h.timestamp) && h.validate().is_ok())
    }

    /// Refuses the samples of a series of which none may be stored, and drops its exemplars.
    pub fn refuse_all(&mut self, series: &WriteSeries<'_>) {
        for timestamp in &self.request.timestamps[series.samples.clone()] {
            self.refuse_time(*timestamp, Counts { samples: 1, histograms: 0 }, series);
        }
        for sample in &self.request.histograms[series.histograms.clone()] {
            self.refuse_histogram(sample, series);
        }
        self.outcome.dropped_exemplars += series.exemplars.len() as u64;
    }

    /// Counts series that came without samples.
    pub fn refuse_empty(&mut self, series: usize) {
        self.outcome.refuse_empty(series as u64);
    }

    /// Counts all samples of a series whose labels cannot be stored.
    pub fn refuse_labels(&mut self, fault: &LabelsFault, series: &WriteSeries<'_>) {
        let reason = RefusalReason::InvalidLabels;
        self.refuse_series(reason, series, || fault.to_string());
    }

    pub fn refuse_series(
        &mut self,
        reason: RefusalReason,
        series: &WriteSeries<'_>,
        detail: impl FnOnce() -> String,
    ) {
        let samples = series.samples.len() as u64;
        let histograms = series.histograms.len() as u64;
        self.outcome.refuse(Counts { samples, histograms }, reason, detail);
    }

    /// The finished parts, encoded.
    pub fn finish(mut self) -> (Vec<Part>, WriteOutcome) {
        for shard in 0..self.open.len() {
            self.close_part(shard);
        }
        (self.parts, self.outcome)
    }

    fn define<'p>(&mut self, place: Place, pairs: impl Iterator<Item = (&'p str, &'p str)>) {
        let shard = usize::from(place.shard);
        let labels: Vec<(String, String)> =
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let size: usize = labels.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
        self.sizes[shard] += size;
        self.open[shard].definitions.push(Definition { series: place.series, labels });
    }

    #[inline]
    fn add_samples(&mut self, place: Place, series: &WriteSeries<'_>) {
        let shard = usize::from(place.shard);
        for i in series.samples.clone() {
            let timestamp = self.request.timestamps[i];
            if !self.accepted_times.contains(&timestamp) {
                self.refuse_time(timestamp, Counts { samples: 1, histograms: 0 }, series);
                continue;
            }
            let batch = &mut self.open[shard];
            batch.timestamps.push(timestamp);
            batch.values.push(self.request.values[i].to_bits());
            batch.start_timestamps.extend(self.request.start_timestamps.get(i));
            if batch.timestamps.len() >= PART_SAMPLES_MAX {
                batch.end_run(place.series);
                self.close_part(shard);
            }
        }
        self.open[shard].end_run(place.series);
        for sample in &self.request.histograms[series.histograms.clone()] {
            if !self.refuse_histogram(sample, series) {
                self.sizes[shard] += histogram_size(&sample.histogram);
                self.open[shard].histograms.push((place.series, sample.stored()));
            }
            if self.sizes[shard] >= PART_SIZE_MAX {
                self.close_part(shard);
            }
        }
        if !series.exemplars.is_empty() {
            self.add_exemplars(place, series);
        }
        let full = self.open[shard].timestamps.len() >= PART_SAMPLES_MAX
            || self.sizes[shard] >= PART_SIZE_MAX;
        if full {
            self.close_part(shard);
        }
    }

    /// Adds the exemplars that may be stored; those that may not are dropped and counted, for no
    /// sender could do better with them.
    fn add_exemplars(&mut self, place: Place, series: &WriteSeries<'_>) {
        let mut pairs = Vec::new();
        for exemplar in &self.request.exemplars[series.exemplars.clone()] {
            pairs.clear();
            let decoded = (exemplar.labels.decode)(exemplar.labels.bytes, &mut pairs).is_ok();
            let length: usize =
                pairs.iter().map(|(n, v)| n.chars().count() + v.chars().count()).sum();
            let labels = Labels::from_pairs(pairs.iter().copied()).ok();
            let timestamp = exemplar.timestamp;
            let fits = length <= EXEMPLAR_LENGTH_MAX && self.accepted_times.contains(&timestamp);
            match labels.filter(|_| decoded && fits) {
                None => self.outcome.dropped_exemplars += 1,
                Some(labels) => {
                    self.outcome.accepted_exemplars += 1;
                    let exemplar = StoredExemplar { timestamp, value: exemplar.value, labels };
                    let shard = usize::from(place.shard);
                    self.open[shard].exemplars.push((place.series, exemplar));
                    self.sizes[shard] += EXEMPLAR_SIZE_MAX;
                    if self.sizes[shard] >= PART_SIZE_MAX {
                        self.close_part(shard);
                    }
                }
            }
        }
    }

    /// Refuses a histogram if it may not be stored.
    fn refuse_histogram(&mut self, sample: &HistogramSample, series: &WriteSeries<'_>) -> bool {
        let one = Counts { samples: 0, histograms: 1 };
        if !self.accepted_times.contains(&sample.timestamp) {
            self.refuse_time(sample.timestamp, one, series);
        } else if let Err(error) = sample.validate() {
            let reason = RefusalReason::InvalidHistogram;
            self.outcome.refuse(one, reason, || format!("{}: {error}", describe(series)));
        } else {
            return false;
        }
        true
    }

    #[cold]
    fn refuse_time(&mut self, timestamp: i64, one: Counts, series: &WriteSeries<'_>) {
        let oldest = *self.accepted_times.start();
        let newest = *self.accepted_times.end();
        if timestamp < oldest {
            self.outcome.refuse(one, RefusalReason::TooOld, || {
                let series = describe(series);
                format!(
                    "{series} at {timestamp}: older than the retention, which begins at {oldest}"
                )
            });
        } else {
            self.outcome.refuse(one, RefusalReason::TooFarAhead, || {
                let series = describe(series);
                format!("{series} at {timestamp}: further ahead than allowed, until {newest}")
            });
        }
    }

    fn close_part(&mut self, shard: usize) {
        let batch = std::mem::take(&mut self.open[shard]);
        self.sizes[shard] = 0;
        if !batch.is_empty() {
            let guess = 8 * batch.timestamps.len() + 64 * batch.definitions.len() + 64;
            let mut payload = Vec::with_capacity(guess);
            batch.encode(&mut payload);
            let change = Change::Write(batch);
            self.parts.push(Part { shard: shard as u16, change, payload });
        }
    }
}

/// At least the bytes that a histogram takes in the log.
fn histogram_size(h: &FloatHistogram) -> usize {
    let spans = h.positive_spans.len() + h.negative_spans.len();
    let numbers = h.positive_buckets.len() + h.negative_buckets.len() + h.custom_values.len();
    64 + 10 * spans + 8 * numbers
}

/// A series as messages name it.
pub(super) fn describe(series: &WriteSeries<'_>) -> String {
    let mut pairs = Vec::new();
    match series.labels.canonical(&mut pairs) {
        Ok(()) => match metricstor_model::Labels::from_pairs(pairs) {
            Ok(labels) => labels.to_string(),
            Err(error) => error.to_string(),
        },
        Err(fault) => fault.to_string(),
    }
}
