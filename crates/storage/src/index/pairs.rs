//! Label pairs (name, value) as numbers, and the series that carry each of them.
//!
//! Invariant: a pair has a number as long as a series carries it; a freed number is given out again.

use metricstor_model::METRIC_NAME;
use roaring::RoaringBitmap;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::postings::{self, Postings};
use super::table::Table;
use super::texts::{Text, Texts};

#[derive(Default)]
pub(super) struct Pairs {
    pairs: Vec<Pair>,
    names: Vec<Name>,
    values: Texts,
    by_text: Table,
    /// Names by their text.
    by_name: Table,
    /// Numbers of pairs that no series carries any more.
    free: Vec<u32>,
}

struct Pair {
    value: Text,
    name: u32,
    series: Postings,
}

pub(super) struct Name {
    pub text: Box<str>,
    /// The numbers of its pairs, in no particular order.
    pub pairs: Vec<u32>,
    /// The series that have this label.
    pub series: RoaringBitmap,
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
        let name = self.intern_name(name);
        let pair = Pair { value: self.values.push(value), name, series: Postings::None };
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
        let name = Name { text: text.into(), pairs: vec![], series: RoaringBitmap::new() };
        self.names.push(name);
        self.by_name.insert(xxh3_64(text.as_bytes()), number);
        number
    }

    pub fn find_name(&self, text: &str) -> Option<u32> {
        let same = |name| *self.names[name as usize].text == *text;
        self.by_name.find(xxh3_64(text.as_bytes()), same)
    }

    #[inline]
    pub fn text(&self, pair: u32) -> (&str, &str) {
        let Pair { name, value, .. } = &self.pairs[pair as usize];
        (&self.names[*name as usize].text, self.values.get(*value))
    }

    /// The name's number of a pair.
    #[inline]
    pub fn name_of(&self, pair: u32) -> u32 {
        self.pairs[pair as usize].name
    }

    pub fn name(&self, name: u32) -> &Name {
        &self.names[name as usize]
    }

    /// The names that some series has.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.names.iter().filter(|name| !name.series.is_empty())
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
        let mut names: Vec<u32> = Vec::new();
        for &number in carried {
            let pair = &mut self.pairs[number as usize];
            pair.series.subtract(series);
            names.push(pair.name);
            if pair.series.is_empty() {
                let (name, value) = self.text(number);
                let hash = hash(name, value);
                self.by_text.remove(hash, number);
                self.free.push(number);
            }
        }
        names.sort_unstable();
        names.dedup();
        for name in names {
            let name = &mut self.names[name as usize];
            name.series -= series;
            name.series.optimize();
            name.pairs.retain(|pair| !self.pairs[*pair as usize].series.is_empty());
            name.pairs.shrink_to_fit();
        }
        if self.free.len() > self.pairs.len() / 2 {
            self.rewrite_texts();
        }
    }

    /// Leaves the texts of freed pairs behind.
    fn rewrite_texts(&mut self) {
        let mut values = Texts::default();
        let empty = values.push("");
        for pair in &mut self.pairs {
            let free = matches!(pair.series, Postings::None);
            pair.value = if free { empty } else { values.push(self.values.get(pair.value)) };
        }
        self.values = values;
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

    /// Bytes of memory held, about.
    pub fn size(&self) -> usize {
        let name = |name: &Name| {
            size_of::<Name>()
                + name.text.len()
                + name.pairs.capacity() * 4
                + postings::bitmap_size(&name.series)
        };
        self.values.size()
            + self.by_text.size()
            + self.by_name.size()
            + self.free.capacity() * 4
            + self.pairs.capacity() * size_of::<Pair>()
            + self.pairs.iter().map(|pair| pair.series.heap_size()).sum::<usize>()
            + self.names.iter().map(name).sum::<usize>()
    }
}

fn hash(name: &str, value: &str) -> u64 {
    xxh3_64_with_seed(value.as_bytes(), xxh3_64(name.as_bytes()))
}
