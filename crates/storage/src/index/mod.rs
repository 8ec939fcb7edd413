//! The series index of a shard: labels ⇄ references, and which series carry which label.
//!
//! In memory and compact: texts once, label pairs as numbers, postings per pair. A reference is never
//! used twice. Measured figures stand in `formats/index.md`.

mod cardinality;
mod labels;
mod name;
mod pairs;
mod postings;
mod select;
mod series;
mod table;
mod texts;

use metricstor_model::{Labels, SeriesId};
use roaring::RoaringBitmap;

use crate::chunk_file::{SeriesKey, metric_hash};

pub use cardinality::Cardinality;
use pairs::Pairs;
pub(crate) use series::PairNumbers;
use series::Series;
pub(crate) use table::Table;

/// Series whose labels are looked up at once.
const AT_ONCE: usize = 16;

/// See the module.
#[derive(Default)]
pub(crate) struct Index {
    pairs: Pairs,
    series: Series,
    by_id: Table,
    all: RoaringBitmap,
    /// The pairs of the series that is being added.
    numbers: Vec<u32>,
}

impl Index {
    /// An index that so many series will be added to.
    pub fn with_room(series: usize) -> Self {
        Self { by_id: Table::with_room(series), ..Self::default() }
    }

    /// The reference of a series.
    #[inline]
    pub fn get(&self, id: SeriesId) -> Option<u32> {
        self.by_id.find(hash(id), |series| self.series.is(series, id))
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
        let mut numbers = std::mem::take(&mut self.numbers);
        numbers.clear();
        if !self.all.contains(series) {
            numbers.extend(pairs.map(|(name, value)| self.pairs.intern(name, value)));
            self.insert_numbered(series, id, &numbers);
        }
        self.numbers = numbers;
    }

    /// The number of a pair, for `insert_numbered`.
    pub fn intern(&mut self, name: &str, value: &str) -> u32 {
        self.pairs.intern(name, value)
    }

    /// Adds a series by the numbers of its pairs; does nothing if it is there.
    pub fn insert_numbered(&mut self, series: u32, id: SeriesId, pairs: &[u32]) {
        if self.all.contains(series) {
            return;
        }
        pairs.iter().for_each(|pair| self.pairs.carry(*pair, series));
        self.series.insert(series, id, pairs);
        self.by_id.insert(hash(id), series);
        self.all.insert(series);
    }

    /// Forgets series; their references are not used again.
    pub fn remove(&mut self, series: &RoaringBitmap) {
        let series = series & &self.all;
        let mut carried: Vec<u32> = Vec::new();
        for one in &series {
            carried.extend(self.series.pairs(one));
            if carried.len() > 1 << 20 {
                carried.sort_unstable();
                carried.dedup();
            }
            if let Some(id) = self.series.id(one) {
                self.by_id.remove(hash(id), one);
            }
        }
        carried.sort_unstable();
        carried.dedup();
        self.pairs.remove(&series, &carried);
        self.series.remove(series.iter());
        self.all -= &series;
        self.all.optimize();
    }

    /// Gives back what growing has reserved, and stores runs as runs: after a load.
    pub fn shrink(&mut self) {
        self.pairs.shrink();
        self.all.optimize();
    }

    /// The id of a series.
    pub fn id(&self, series: u32) -> Option<SeriesId> {
        self.series.id(series).filter(|_| self.all.contains(series))
    }

    /// The labels of a series; empty for a reference that is not in use.
    pub fn labels(&self, series: u32) -> Labels {
        Labels::from_packed(self.pairs_of(series).map(|pair| self.pairs.packed(pair)))
    }

    /// Appends the labels of several series; those of a reference that is not in use are empty.
    pub fn labels_of(&self, series: &[u32], out: &mut Vec<Labels>) {
        let place = |pair| Some(self.pairs.place(pair));
        self.for_each_pairs(series, place, |_, places| {
            out.push(Labels::from_packed(places.iter().map(|place| self.pairs.at(*place))));
        });
    }

    /// Hands over the labels of several series, by their place in `series` and sorted by name: all of
    /// them, or those that are `named`.
    pub fn visit_labels(
        &self,
        series: &[u32],
        named: Option<&[String]>,
        visit: &mut dyn FnMut(usize, &str, &str),
    ) {
        let find =
            |named: &[String]| named.iter().filter_map(|n| self.pairs.find_name(n)).collect();
        let named: Option<Vec<u32>> = named.map(find);
        let is_named =
            |pair| named.as_ref().is_none_or(|names| names.contains(&self.pairs.name_of(pair)));
        let place = |pair| is_named(pair).then(|| self.pairs.place(pair));
        self.for_each_pairs(series, place, |i, places| {
            for place in places {
                let (name, value) = self.pairs.at(*place).texts();
                visit(i, name, value);
            }
        });
    }

    /// Hands over what `wanted` makes of the pairs of each series. Each step is done for some of them
    /// before the next one, so that the memory they wait for is waited for together.
    fn for_each_pairs<T>(
        &self,
        series: &[u32],
        wanted: impl Fn(u32) -> Option<T>,
        mut visit: impl FnMut(usize, &[T]),
    ) {
        let mut made = Vec::new();
        for (chunk, some) in series.chunks(AT_ONCE).enumerate() {
            let mut pairs = [PairNumbers::default(); AT_ONCE];
            for (pairs, series) in pairs.iter_mut().zip(some) {
                *pairs = self.pairs_of(*series);
            }
            made.clear();
            let mut ends = [0; AT_ONCE];
            for (pairs, end) in pairs.into_iter().zip(&mut ends) {
                made.extend(pairs.filter_map(&wanted));
                *end = made.len();
            }
            let mut start = 0;
            for (i, end) in ends[..some.len()].iter().enumerate() {
                visit(chunk * AT_ONCE + i, &made[start..*end]);
                start = *end;
            }
        }
    }

    /// The pairs of a series, sorted by name.
    pub fn pairs(&self, series: u32) -> impl Iterator<Item = (&str, &str)> {
        self.pairs_of(series).map(|pair| self.pairs.text(pair))
    }

    /// The numbers of a series' pairs, in label order; good until a series is removed.
    pub fn pairs_of(&self, series: u32) -> PairNumbers<'_> {
        self.series.pairs(series)
    }

    /// The place of a series in chunk files.
    pub fn key(&self, series: u32) -> SeriesKey {
        self.key_by(self.pairs.metric_name(), series)
    }

    /// The places of series in chunk files.
    pub fn keys(&self, series: impl Iterator<Item = u32>) -> impl Iterator<Item = SeriesKey> {
        let name = self.pairs.metric_name();
        series.map(move |series| self.key_by(name, series))
    }

    /// `name` is the number of the metric name's label, if there is one.
    fn key_by(&self, name: Option<u32>, series: u32) -> SeriesKey {
        let pair = name.and_then(|name| self.pair_named(series, name));
        let metric = metric_hash(pair.map_or("", |pair| self.pairs.text(pair).1));
        SeriesKey { metric, series }
    }

    fn pair_named(&self, series: u32, name: u32) -> Option<u32> {
        self.pairs_of(series).find(|pair| self.pairs.name_of(*pair) == name)
    }

    /// The number of series.
    pub fn len(&self) -> usize {
        self.all.len() as usize
    }

    /// The reference the next series gets.
    pub fn next(&self) -> u32 {
        self.series.next()
    }

    /// References below this are never given out.
    pub fn skip_to(&mut self, next: u32) {
        self.series.skip_to(next);
    }

    /// All references.
    pub fn all(&self) -> &RoaringBitmap {
        &self.all
    }

    /// Bytes of all different labels; takes no time.
    pub fn labels_size(&self) -> usize {
        self.pairs.own_size()
    }

    /// Bytes of memory held, about.
    pub fn size(&self) -> usize {
        self.pairs.size()
            + self.series.size()
            + self.by_id.size()
            + postings::bitmap_size(&self.all)
    }
}

fn hash(id: SeriesId) -> u64 {
    id.0 as u64
}

#[cfg(test)]
mod tests;
