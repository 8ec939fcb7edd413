//! Label pairs (name, value) as numbers, and the series that carry each of them.
//!
//! Invariant: a pair has a number as long as a series carries it; a freed number is given out again.

use std::sync::Arc;

use metricstor_model::{METRIC_NAME, PackedPair};
use roaring::RoaringBitmap;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::name::Name;
use super::postings::Postings;
use super::table::Table;
use super::texts::{Place, Texts};

/// With so many values that came late, and more than are in order, it is as well to look at all.
const LATE_MAX: usize = 256;

/// Texts are rewritten for no smaller part of the numbers than this.
const STALE_PART: usize = 8;

#[derive(Default)]
pub(super) struct Pairs {
    pairs: Vec<Pair>,
    names: Vec<Name>,
    texts: Texts,
    by_text: Table,
    /// Names by their text.
    by_name: Table,
    /// Numbers of pairs that no series carries any more.
    free: Vec<u32>,
    /// Texts of freed pairs, also of those whose numbers were given out again.
    stale: usize,
}

struct Pair {
    text: Place,
    name: u32,
    series: Postings,
}

impl Pairs {
    /// The number of a pair, made if it has none. Give it a series before anything is removed.
    pub fn intern(&mut self, name: &str, value: &str) -> u32 {
        let hash = hash(name, value);
        match self.find_hashed(hash, name, value) {
            Some(pair) => pair,
            None => self.add(hash, name, value),
        }
    }

    pub fn find(&self, name: &str, value: &str) -> Option<u32> {
        self.find_hashed(hash(name, value), name, value)
    }

    fn find_hashed(&self, hash: u64, name: &str, value: &str) -> Option<u32> {
        self.by_text.find(hash, |pair| self.text(pair) == (name, value))
    }

    fn add(&mut self, hash: u64, name: &str, value: &str) -> u32 {
        let text = self.texts.push(name, value);
        let name = self.intern_name(name);
        let pair = Pair { text, name, series: Postings::None };
        let number = match self.free.pop() {
            Some(number) => {
                self.pairs[number as usize] = pair;
                number
            }
            None => {
                self.pairs.push(pair);
                self.pairs.len() as u32 - 1
            }
        };
        self.names[name as usize].pairs.push(number);
        self.by_text.insert(hash, number);
        number
    }

    fn intern_name(&mut self, text: &str) -> u32 {
        if let Some(name) = self.find_name(text) {
            return name;
        }
        let number = self.names.len() as u32;
        self.names.push(Name::new(text));
        self.by_name.insert(xxh3_64(text.as_bytes()), number);
        number
    }

    pub fn find_name(&self, text: &str) -> Option<u32> {
        let same = |name| *self.names[name as usize].text == *text;
        self.by_name.find(xxh3_64(text.as_bytes()), same)
    }

    #[inline]
    pub fn packed(&self, pair: u32) -> PackedPair<'_> {
        self.at(self.place(pair))
    }

    /// Where a pair's texts stand.
    #[inline]
    pub fn place(&self, pair: u32) -> Place {
        self.pairs[pair as usize].text
    }

    #[inline]
    pub fn at(&self, place: Place) -> PackedPair<'_> {
        self.texts.get(place)
    }

    /// Name and value.
    #[inline]
    pub fn text(&self, pair: u32) -> (&str, &str) {
        self.packed(pair).texts()
    }

    /// The name's number of a pair.
    #[inline]
    pub fn name_of(&self, pair: u32) -> u32 {
        self.pairs[pair as usize].name
    }

    pub fn name(&self, name: u32) -> &Name {
        &self.names[name as usize]
    }

    /// The pairs of a name by value, and those that came too late to be among them.
    pub fn by_value(&self, name: u32) -> (Arc<[u32]>, &[u32]) {
        self.names[name as usize].by_value(|pair| self.text(pair).1)
    }

    /// The pairs of a name whose values begin with `prefix`, if they are at most `max` and few came
    /// too late to be in order.
    pub fn with_prefix(&self, name: u32, prefix: &str, max: usize) -> Option<Vec<u32>> {
        let (sorted, late) = self.by_value(name);
        let begins = |pair: &u32| self.text(*pair).1.starts_with(prefix);
        let first = sorted.partition_point(|pair| self.text(*pair).1 < prefix);
        let count = sorted[first..].partition_point(begins);
        if count > max || late.len() > LATE_MAX.max(sorted.len()) {
            return None;
        }
        let late = late.iter().filter(|pair| begins(pair));
        Some(sorted[first..first + count].iter().chain(late).copied().collect())
    }

    /// All numbers of pairs are less than this.
    pub fn count(&self) -> u32 {
        self.pairs.len() as u32
    }

    /// The names that some series has, and their numbers.
    pub fn names(&self) -> impl Iterator<Item = (usize, &Name)> {
        self.names.iter().enumerate().filter(|(_, name)| !name.series.is_empty())
    }

    /// All numbers of names are less than this.
    pub fn name_count(&self) -> usize {
        self.names.len()
    }

    pub fn series(&self, pair: u32) -> &Postings {
        &self.pairs[pair as usize].series
    }

    /// Notes that a series carries a pair.
    #[inline]
    pub fn carry(&mut self, pair: u32, series: u32) {
        let pair = &mut self.pairs[pair as usize];
        pair.series.insert(series);
        self.names[pair.name as usize].series.insert(series);
    }

    /// Forgets series; `carried` are all the pairs that any of them carries, each once.
    pub fn remove(&mut self, series: &RoaringBitmap, carried: &[u32]) {
        let (mut names, mut poorer) = (Vec::new(), Vec::new());
        for &number in carried {
            let pair = &mut self.pairs[number as usize];
            pair.series.subtract(series);
            let of = pair.name;
            names.push(of);
            if pair.series.is_empty() {
                poorer.push(of);
                let (name, value) = self.text(number);
                let hash = hash(name, value);
                self.by_text.remove(hash, number);
                self.free.push(number);
                self.stale += 1;
            }
        }
        for name in distinct(names) {
            let name = &mut self.names[name as usize];
            name.series -= series;
            name.series.optimize();
        }
        // All values are looked at, and their order is lost: only where one went.
        for name in distinct(poorer) {
            let name = &mut self.names[name as usize];
            name.retain(|pair| !self.pairs[pair as usize].series.is_empty());
        }
        let living = self.pairs.len() - self.free.len();
        // Every number is looked at: not for a few texts.
        if self.stale > living.max(self.pairs.len() / STALE_PART) {
            self.rewrite_texts();
        }
    }

    /// Leaves the texts of freed pairs behind.
    fn rewrite_texts(&mut self) {
        let mut texts = Texts::default();
        let empty = texts.push("", "");
        for pair in &mut self.pairs {
            let (name, value) = self.texts.get(pair.text).texts();
            pair.text = if pair.series.is_empty() { empty } else { texts.push(name, value) };
        }
        (self.texts, self.stale) = (texts, 0);
    }

    /// Makes everything as small as it can be.
    pub fn shrink(&mut self) {
        self.pairs.iter_mut().for_each(|pair| pair.series.optimize());
        for name in &mut self.names {
            name.series.optimize();
            name.pairs.shrink_to_fit();
        }
        self.pairs.shrink_to_fit();
    }

    /// The metric name's number, once there is one.
    pub fn metric_name(&self) -> Option<u32> {
        self.find_name(METRIC_NAME)
    }

    /// Bytes of the pairs, the series that have them excepted; takes no time.
    pub fn own_size(&self) -> usize {
        self.texts.bytes() + self.pairs.len() * size_of::<Pair>()
    }

    /// Bytes of memory held, about.
    pub fn size(&self) -> usize {
        self.texts.size()
            + self.by_text.size()
            + self.by_name.size()
            + self.free.capacity() * 4
            + self.pairs.capacity() * size_of::<Pair>()
            + self.pairs.iter().map(|pair| pair.series.heap_size()).sum::<usize>()
            + self.names.iter().map(Name::size).sum::<usize>()
    }
}

fn distinct(mut numbers: Vec<u32>) -> Vec<u32> {
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

fn hash(name: &str, value: &str) -> u64 {
    xxh3_64_with_seed(value.as_bytes(), xxh3_64(name.as_bytes()))
}
