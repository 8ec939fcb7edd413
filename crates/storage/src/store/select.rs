//! The walk of a selection: index → references per shard → samples on demand.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use metricstor_memory::Permit;
use metricstor_model::{
    Labels, METRIC_NAME, Matcher, Need, Pattern, Room, Samples, SelectError, SeriesSet,
    StoredExemplar, TimeRange,
};
use roaring::RoaringBitmap;

use super::{Inner, Store};
use crate::chunk_file::{SeriesKey, metric_hash};
use crate::index::Index;
use crate::shard::Shard;

/// With fewer series of a metric than this, the order of chunk files saves nothing.
const FEW_OF_A_METRIC: usize = 2;

/// Series whose labels are put together under one lock: new series wait for as many. Of more than are
/// wanted no more than this is held in memory, or twice what is wanted.
const LABELS_AT_ONCE: usize = 1 << 14;

/// Values of a label that are copied under one lock.
const VALUES_AT_ONCE: usize = 1 << 14;

/// The series that matched, read when asked for.
pub struct Selection {
    parts: Vec<Matched>,
    len: usize,
}

/// The matching series of one shard, in the order of chunk files where that helps.
struct Matched {
    shard: Arc<Shard>,
    series: Vec<u32>,
    /// Where the series of each metric end, and the metric's hash.
    metrics: Vec<(usize, u32)>,
    /// Position of the first one in the whole selection.
    start: usize,
}

impl Store {
    /// The series that satisfy all matchers; those without a sample in the range of a read give none.
    pub fn select(&self, matchers: &[Matcher]) -> Result<Arc<Selection>, SelectError> {
        Ok(Arc::new(self.inner.select(matchers)))
    }

    /// How many series satisfy all matchers, at most; takes a microsecond.
    pub fn at_most(&self, matchers: &[Matcher]) -> usize {
        let shards = self.inner.shards.shards.iter();
        shards.map(|shard| shard.index().at_most(matchers) as usize).sum()
    }

    /// How many values a label has, at most.
    pub fn values_at_most(&self, label: &str) -> usize {
        self.inner.shards.shards.iter().map(|shard| shard.index().values_at_most(label)).sum()
    }

    /// The labels of the series that satisfy all matchers of any of the `sets` and may have samples
    /// inside `range`: sorted, each once, at most `limit`; the flag says whether some were left off.
    pub fn series(
        &self,
        sets: &[Vec<Matcher>],
        range: TimeRange,
        limit: usize,
    ) -> Result<(Vec<Labels>, bool), SelectError> {
        let mut labels = Vec::new();
        for shard in &self.inner.shards.shards {
            let series: Vec<u32> = matching(shard, sets, range).iter().collect();
            for some in series.chunks(LABELS_AT_ONCE) {
                shard.index().labels_of(some, &mut labels);
                if labels.len() / 2 > limit.max(LABELS_AT_ONCE) {
                    labels.sort();
                    labels.truncate(limit.saturating_add(1));
                }
            }
        }
        // What was forgotten meanwhile has none.
        labels.retain(|labels| !labels.is_empty());
        // Not unstable: senders mostly define a target's series in order, so that there are long runs.
        labels.sort();
        let cut = labels.len() > limit;
        labels.truncate(limit);
        Ok((labels, cut))
    }

    /// Does any series carry this label?
    pub fn has_label(&self, name: &str) -> bool {
        self.inner.shards.shards.iter().any(|shard| shard.index().has_label(name))
    }

    /// The exemplars inside `range` of the series that satisfy all matchers of any of the `sets`, in
    /// the order of labels and times.
    ///
    /// # Errors
    /// `LimitExceeded` when there are more than `limit`.
    pub fn exemplars(
        &self,
        sets: &[Vec<Matcher>],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<(Labels, Vec<StoredExemplar>)>, SelectError> {
        let mut all = Vec::new();
        let mut count = 0;
        for shard in &self.inner.shards.shards {
            let mut wanted = RoaringBitmap::new();
            for matchers in sets {
                wanted |= shard.index().select(matchers);
            }
            for (series, column) in shard.exemplars(range, &wanted)? {
                count += column.len();
                if count > limit {
                    let detail = format!("more than {limit} exemplars match");
                    return Err(SelectError::LimitExceeded { limit: "exemplars", detail });
                }
                all.push((shard.index().labels(series), column));
            }
        }
        all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Ok(all)
    }

    /// All label names, or those of the matching series: sorted.
    pub fn label_names(
        &self,
        sets: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<Vec<String>, SelectError> {
        let mut names = Vec::new();
        for shard in &self.inner.shards.shards {
            let index = shard.index();
            if admits_all(&index, sets) {
                names.extend(index.label_names(None));
                continue;
            }
            drop(index);
            let series = matching(shard, sets, range);
            names.extend(shard.index().label_names(Some(&series)));
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// The values of a label, or those of the matching series: sorted, at most `limit`.
    ///
    /// # Errors
    /// `LimitExceeded` when the memory has no room for them.
    pub fn label_values(
        &self,
        name: &str,
        sets: &[Vec<Matcher>],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<String>, SelectError> {
        let mut values = Vec::new();
        let mut memory = self.inner.config.memory.permit();
        for shard in &self.inner.shards.shards {
            let is_whole = admits_all(&shard.index(), sets);
            let series = (!is_whole).then(|| matching(shard, sets, range));
            let index = shard.index();
            if index.values_at_most(name) <= VALUES_AT_ONCE {
                index.collect_label_values(name, series.as_ref(), &mut values);
            } else {
                drop(index);
                collect_many(shard, name, series.as_ref(), limit, &mut memory, &mut values)?;
            }
            values.truncate(limit);
        }
        Ok(values)
    }
}

/// Adds the values of a label that has many, a step at a time; `values` is sorted, each once.
fn collect_many(
    shard: &Shard,
    name: &str,
    of: Option<&RoaringBitmap>,
    limit: usize,
    memory: &mut Permit,
    values: &mut Vec<String>,
) -> Result<(), SelectError> {
    let Some(found) = shard.index().value_places(name, of) else { return Ok(()) };
    let size = |values: &[String]| values.iter().map(|v| v.len() + size_of::<String>()).sum();
    for some in found.places.chunks(VALUES_AT_ONCE) {
        let before = values.len();
        shard.index().collect_values_at(&found, some, of, values);
        memory.grow(size(&values[before..])).map_err(|exceeded| SelectError::LimitExceeded {
            limit: "memory.limit",
            detail: exceeded.to_string(),
        })?;
        if values.len() / 2 > limit.max(VALUES_AT_ONCE) {
            keep_first(values, limit);
            memory.set(size(values));
        }
    }
    keep_first(values, limit);
    memory.set(size(values));
    Ok(())
}

fn keep_first(values: &mut Vec<String>, limit: usize) {
    // Not unstable: there are long runs.
    values.sort();
    values.dedup();
    values.truncate(limit);
}

impl Inner {
    fn select(&self, matchers: &[Matcher]) -> Selection {
        let mut parts = Vec::new();
        let mut len = 0;
        for shard in &self.shards.shards {
            let series: Vec<u32> = shard.index().select(matchers).iter().collect();
            let start = len;
            len += series.len();
            parts.push(Matched::new(shard, series, matchers, start));
        }
        Selection { parts, len }
    }
}

impl Matched {
    fn new(shard: &Arc<Shard>, series: Vec<u32>, matchers: &[Matcher], start: usize) -> Self {
        let shard = Arc::clone(shard);
        if let Some(metric) = matchers.iter().find_map(one_metric) {
            let metrics = vec![(series.len(), metric_hash(metric))];
            return Self { shard, series, metrics, start };
        }
        let mut keys = shard.by_metric(&series);
        let same_metric = |a: &SeriesKey, b: &SeriesKey| a.metric == b.metric;
        if keys.chunk_by(same_metric).count() > keys.len() / FEW_OF_A_METRIC {
            // Nothing lies side by side; senders mostly define series in the order of answers.
            keys.sort_unstable_by_key(|key| key.series);
        }
        let mut metrics = Vec::new();
        for run in keys.chunk_by(same_metric) {
            let before = metrics.last().map_or(0, |(end, _)| *end);
            metrics.push((before + run.len(), run[0].metric));
        }
        let series = keys.iter().map(|key| key.series).collect();
        Self { shard, series, metrics, start }
    }

    fn key(&self, i: usize) -> SeriesKey {
        let run = self.metrics.partition_point(|(end, _)| *end <= i);
        SeriesKey { metric: self.metrics[run].1, series: self.series[i] }
    }
}

/// The only metric that the matcher lets through.
fn one_metric(matcher: &Matcher) -> Option<&str> {
    let is_one = matcher.name == METRIC_NAME && !matcher.is_negative();
    match matcher.pattern() {
        Pattern::One(metric) if is_one => Some(metric),
        _ => None,
    }
}

/// Is no series of the shard excluded, so that looking at each can be spared?
fn admits_all(index: &Index, sets: &[Vec<Matcher>]) -> bool {
    sets.is_empty() || sets.iter().any(|matchers| index.admits_all(matchers))
}

/// The series of a shard that satisfy any of the sets and may have samples inside `range`.
fn matching(shard: &Shard, sets: &[Vec<Matcher>], range: TimeRange) -> RoaringBitmap {
    let selected = sets.iter().map(|matchers| shard.index().select(matchers));
    let mut series = selected.reduce(|all, more| all | more).unwrap_or_default();
    shard.retain_holding(&mut series, range);
    series
}

impl Selection {
    fn part(&self, i: usize) -> &Matched {
        &self.parts[self.parts.partition_point(|part| part.start <= i) - 1]
    }

    fn at(&self, i: usize) -> (&Shard, SeriesKey) {
        let part = self.part(i);
        (&part.shard, part.key(i - part.start))
    }

    /// Hands over the references of these series, those that follow each other in one shard together and
    /// with the place of the first of them.
    fn by_shard(&self, series: &[usize], visit: &mut dyn FnMut(usize, &Shard, &[u32])) {
        let mut references = Vec::new();
        let mut first = 0;
        for run in series.chunk_by(|a, b| std::ptr::eq(self.part(*a), self.part(*b))) {
            let part = self.part(run[0]);
            references.clear();
            references.extend(run.iter().map(|i| part.series[i - part.start]));
            visit(first, &part.shard, &references);
            first += run.len();
        }
    }
}

impl SeriesSet for Selection {
    fn len(&self) -> usize {
        self.len
    }

    fn labels(&self, i: usize) -> Labels {
        let (shard, key) = self.at(i);
        shard.index().labels(key.series)
    }

    fn labels_of(&self, series: &[usize], out: &mut Vec<Labels>) {
        self.by_shard(series, &mut |_, shard, series| shard.index().labels_of(series, out));
    }

    fn visit_labels(
        &self,
        series: &[usize],
        named: Option<&[String]>,
        visit: &mut dyn FnMut(usize, &str, &str),
    ) {
        self.by_shard(series, &mut |first, shard, series| {
            let visit = &mut |place, name: &str, value: &str| visit(first + place, name, value);
            shard.index().visit_labels(series, named, visit);
        });
    }

    fn have_label(&self, name: &str) -> bool {
        self.parts.iter().any(|part| part.shard.index().have_label(name, &part.series))
    }

    fn read(&self, i: usize, range: TimeRange, out: &mut Samples) -> Result<(), SelectError> {
        let (shard, key) = self.at(i);
        shard.read(key, range, out)
    }

    fn read_each(
        &self,
        series: Range<usize>,
        range: TimeRange,
        need: Need,
        room: Room<'_>,
        out: &mut Samples,
        visit: &mut dyn FnMut(usize, &mut Samples) -> ControlFlow<()>,
    ) -> Result<(), SelectError> {
        let mut next = series.start;
        while next < series.end {
            let part = self.part(next);
            let end = series.end.min(part.start + part.series.len());
            let keys = (next..end).map(|i| part.key(i - part.start));
            let visit = &mut |samples: &mut Samples| {
                next += 1;
                visit(next - 1, samples)
            };
            if part.shard.read_each(keys, range, need, room, out, visit)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}
