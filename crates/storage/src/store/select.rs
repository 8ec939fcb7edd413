//! The walk of a selection: index → references per shard → samples on demand.

use std::sync::Arc;

use hashbrown::HashSet;
use metricstor_model::{
    Labels, Matcher, Samples, SelectError, SeriesSet, StoredExemplar, TimeRange,
};
use roaring::RoaringBitmap;

use super::{Inner, Store};
use crate::index::Index;
use crate::shard::Shard;

/// The series that matched, read when asked for.
pub struct Selection {
    parts: Vec<Matched>,
    len: usize,
}

/// The matching series of one shard.
struct Matched {
    shard: Arc<Shard>,
    series: Vec<u32>,
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
            let series = matching(shard, sets, range);
            let index = shard.index();
            labels.extend(series.into_iter().map(|series| index.labels(series)));
        }
        labels.sort_unstable();
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
                wanted.extend(shard.index().select(matchers));
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

    /// All values of a label, or those of the matching series: sorted.
    pub fn label_values(
        &self,
        name: &str,
        sets: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<Vec<String>, SelectError> {
        let mut values = HashSet::new();
        for shard in &self.inner.shards.shards {
            let index = shard.index();
            if admits_all(&index, sets) {
                index.collect_label_values(name, None, &mut values);
                continue;
            }
            drop(index);
            let series = matching(shard, sets, range);
            shard.index().collect_label_values(name, Some(&series), &mut values);
        }
        let mut values: Vec<String> = values.into_iter().collect();
        values.sort_unstable();
        Ok(values)
    }
}

impl Inner {
    fn select(&self, matchers: &[Matcher]) -> Selection {
        let mut parts = Vec::new();
        let mut len = 0;
        for shard in &self.shards.shards {
            let series = shard.index().select(matchers);
            let start = len;
            len += series.len();
            parts.push(Matched { shard: shard.clone(), series, start });
        }
        Selection { parts, len }
    }
}

/// Is no series of the shard excluded, so that looking at each can be spared?
fn admits_all(index: &Index, sets: &[Vec<Matcher>]) -> bool {
    sets.is_empty() || sets.iter().any(|matchers| index.admits_all(matchers))
}

/// The series of a shard that satisfy any of the sets and may have samples inside `range`.
fn matching(shard: &Shard, sets: &[Vec<Matcher>], range: TimeRange) -> Vec<u32> {
    let mut series: Vec<u32> = Vec::new();
    for matchers in sets {
        series.extend(shard.index().select(matchers));
    }
    series.sort_unstable();
    series.dedup();
    series.retain(|series| shard.may_hold(*series, range));
    series
}

impl Selection {
    fn at(&self, i: usize) -> (&Shard, u32) {
        let part = &self.parts[self.parts.partition_point(|p| p.start <= i) - 1];
        (&part.shard, part.series[i - part.start])
    }
}

impl SeriesSet for Selection {
    fn len(&self) -> usize {
        self.len
    }

    fn labels(&self, i: usize) -> Labels {
        let (shard, series) = self.at(i);
        shard.index().labels(series)
    }

    fn visit_labels(&self, i: usize, visit: &mut dyn FnMut(&str, &str)) {
        let (shard, series) = self.at(i);
        shard.index().pairs(series).for_each(|(name, value)| visit(name, value));
    }

    fn read(&self, i: usize, range: TimeRange, out: &mut Samples) -> Result<(), SelectError> {
        let (shard, series) = self.at(i);
        shard.read(series, range, out)
    }
}
