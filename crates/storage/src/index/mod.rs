//! The series index of a shard: labels ⇄ references, and which series carry which label.
//!
//! In memory and compact: texts once, label pairs as numbers, postings per pair. A reference is never
//! used twice. Measured figures stand in `formats/index.md`.

mod cardinality;
mod pairs;
mod postings;
mod select;
mod symbols;

use hashbrown::HashTable;
use metricstor_model::{Labels, METRIC_NAME, SeriesId};
use roaring::RoaringBitmap;

pub use cardinality::Cardinality;
use pairs::Pairs;
use postings::Postings;

/// See the module.
#[derive(Default)]
pub(crate) struct Index {
    pairs: Pairs,
    /// By pair: the series that carry it.
    postings: Vec<Postings>,
    /// By series: where its pairs begin in `series_pairs`, and how many they are.
    series: Vec<(u32, u16)>,
    series_pairs: Vec<u32>,
    /// By series.
    ids: Vec<SeriesId>,
    by_id: HashTable<u32>,
    all: RoaringBitmap,
}

impl Index {
    pub fn new() -> Self {
        Self::default()
    }

    /// The reference of a series.
    #[inline]
    pub fn get(&self, id: SeriesId) -> Option<u32> {
        self.by_id.find(hash(id), |series| self.ids[*series as usize] == id).copied()
    }

    /// Gives a series that is not there yet the next reference.
    pub fn create<'a>(
        &mut self,
        id: SeriesId,
        pairs: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> u32 {
        let series = self.next();
        self.insert(series, id, pairs);
        series
    }

    /// Adds a series under a reference given out earlier; does nothing if it is there.
    pub fn insert<'a>(
        &mut self,
        series: u32,
        id: SeriesId,
        pairs: impl Iterator<Item = (&'a str, &'a str)>,
    ) {
        if self.all.contains(series) {
            return;
        }
        let start = self.series_pairs.len() as u32;
        for (name, value) in pairs {
            let pair = self.pairs.intern(name, value);
            self.series_pairs.push(pair);
        }
        self.finish(series, id, start);
    }

    /// Adds a series by the numbers of its pairs; `false` if one of them is unknown.
    pub fn load_series(&mut self, series: u32, tenant: &str, pairs: &[u32]) -> bool {
        if pairs.iter().any(|pair| *pair >= self.pairs.count()) {
            return false;
        }
        let start = self.series_pairs.len() as u32;
        self.series_pairs.extend_from_slice(pairs);
        let id = SeriesId::of_pairs(tenant, pairs.iter().map(|pair| self.pairs.text(*pair)));
        self.finish(series, id, start);
        true
    }

    fn finish(&mut self, series: u32, id: SeriesId, start: u32) {
        let i = series as usize;
        if i >= self.series.len() {
            self.series.resize(i + 1, (0, 0));
            self.ids.resize(i + 1, SeriesId(0));
        }
        let count = self.series_pairs.len() - start as usize;
        self.series[i] = (start, count as u16);
        self.ids[i] = id;
        self.postings.resize_with(self.pairs.count() as usize, Postings::default);
        for pair in &self.series_pairs[start as usize..] {
            self.postings[*pair as usize].insert(series);
        }
        let ids = &self.ids;
        self.by_id.insert_unique(hash(id), series, |series| hash(ids[*series as usize]));
        self.all.insert(series);
    }

    /// The labels of a series; empty for a reference that is not in use.
    pub fn labels(&self, series: u32) -> Labels {
        Labels::from_canonical(self.pairs_of(series).iter().map(|pair| self.pairs.text(*pair)))
    }

    /// The numbers of a series' pairs, in label order.
    pub fn pairs_of(&self, series: u32) -> &[u32] {
        let (start, count) = self.series.get(series as usize).copied().unwrap_or_default();
        &self.series_pairs[start as usize..start as usize + usize::from(count)]
    }

    /// Name and value of a pair.
    pub fn pair(&self, pair: u32) -> (&str, &str) {
        self.pairs.text(pair)
    }

    /// Adds a pair with the next number.
    pub fn load_pair(&mut self, name: &str, value: &str) -> u32 {
        self.pairs.intern(name, value)
    }

    /// Pairs are numbered from 0 to this, without gaps.
    pub fn pair_count(&self) -> u32 {
        self.pairs.count()
    }

    /// The number of the series' metric name pair: equal for series of one metric.
    pub fn metric(&self, series: u32) -> u32 {
        let named = |pair: &&u32| self.pairs.text(**pair).0 == METRIC_NAME;
        self.pairs_of(series).iter().find(named).copied().unwrap_or(u32::MAX)
    }

    /// All label names, or those of the given series.
    pub fn label_names(&self, of: Option<&[u32]>) -> Vec<String> {
        match of {
            None => {
                let used = |name: &u32| self.pairs.of_name(*name).iter().any(|p| self.is_used(*p));
                let names = self.pairs.names().filter(used);
                names.map(|name| self.pairs.symbol(name).to_owned()).collect()
            }
            Some(series) => {
                let mut names: Vec<u32> = Vec::new();
                for series in series {
                    names.extend(self.pairs_of(*series).iter().map(|pair| self.pairs.name(*pair)));
                    if names.len() > 1 << 16 {
                        names.sort_unstable();
                        names.dedup();
                    }
                }
                names.sort_unstable();
                names.dedup();
                names.into_iter().map(|name| self.pairs.symbol(name).to_owned()).collect()
            }
        }
    }

    /// All values of a label, or those that the given series have; in no particular order.
    pub fn label_values(&self, name: &str, of: Option<&[u32]>) -> Vec<String> {
        let Some(name) = self.pairs.find_symbol(name) else { return vec![] };
        let mut pairs: Vec<u32> = match of {
            None => self.pairs.of_name(name).iter().copied().filter(|p| self.is_used(*p)).collect(),
            Some(series) => {
                let own = |series: &u32| {
                    self.pairs_of(*series).iter().copied().find(|p| self.pairs.name(*p) == name)
                };
                series.iter().filter_map(own).collect()
            }
        };
        pairs.sort_unstable();
        pairs.dedup();
        pairs.into_iter().map(|pair| self.pairs.text(pair).1.to_owned()).collect()
    }

    /// The number of series.
    pub fn len(&self) -> usize {
        self.all.len() as usize
    }

    /// The reference the next series gets.
    pub fn next(&self) -> u32 {
        self.series.len() as u32
    }

    /// Bytes of memory held, about.
    pub fn size(&self) -> usize {
        let per_series = size_of::<(u32, u16)>() + size_of::<SeriesId>() + 5;
        let postings: usize = self.postings.iter().map(Postings::size).sum();
        self.pairs.size()
            + postings
            + self.series.capacity() * per_series
            + self.series_pairs.capacity() * 4
    }

    fn is_used(&self, pair: u32) -> bool {
        self.postings.get(pair as usize).is_some_and(|postings| !postings.is_empty())
    }
}

fn hash(id: SeriesId) -> u64 {
    id.0 as u64
}

#[cfg(test)]
mod tests;
