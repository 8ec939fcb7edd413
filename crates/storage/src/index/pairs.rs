//! Label pairs (name, value), numbered in the order of arrival, and the pairs of each name.

use std::collections::BTreeMap;

use hashbrown::HashTable;

use super::symbols::Symbols;

#[derive(Default)]
pub(super) struct Pairs {
    symbols: Symbols,
    /// By pair: the symbols of name and value.
    pairs: Vec<(u32, u32)>,
    table: HashTable<u32>,
    /// By name symbol: its pairs.
    by_name: BTreeMap<u32, Vec<u32>>,
}

impl Pairs {
    pub fn intern(&mut self, name: &str, value: &str) -> u32 {
        let key = (self.symbols.intern(name), self.symbols.intern(value));
        if let Some(pair) = self.table.find(hash(key), |pair| self.pairs[*pair as usize] == key) {
            return *pair;
        }
        let pair = self.pairs.len() as u32;
        self.pairs.push(key);
        let pairs = &self.pairs;
        self.table.insert_unique(hash(key), pair, |pair| hash(pairs[*pair as usize]));
        self.by_name.entry(key.0).or_default().push(pair);
        pair
    }

    pub fn find(&self, name: &str, value: &str) -> Option<u32> {
        let key = (self.symbols.find(name)?, self.symbols.find(value)?);
        self.table.find(hash(key), |pair| self.pairs[*pair as usize] == key).copied()
    }

    pub fn find_symbol(&self, text: &str) -> Option<u32> {
        self.symbols.find(text)
    }

    pub fn symbol(&self, symbol: u32) -> &str {
        self.symbols.get(symbol)
    }

    /// The name's symbol of a pair.
    pub fn name(&self, pair: u32) -> u32 {
        self.pairs[pair as usize].0
    }

    pub fn text(&self, pair: u32) -> (&str, &str) {
        let (name, value) = self.pairs[pair as usize];
        (self.symbols.get(name), self.symbols.get(value))
    }

    /// The symbols that are label names.
    pub fn names(&self) -> impl Iterator<Item = u32> {
        self.by_name.keys().copied()
    }

    /// The pairs of a name.
    pub fn of_name(&self, name: u32) -> &[u32] {
        self.by_name.get(&name).map_or(&[], Vec::as_slice)
    }

    pub fn count(&self) -> u32 {
        self.pairs.len() as u32
    }

    pub fn size(&self) -> usize {
        self.symbols.size() + self.pairs.capacity() * (8 + 4) + self.table.capacity() * 5
    }
}

/// Symbols are small dense numbers: mix them so that the table spreads.
fn hash((name, value): (u32, u32)) -> u64 {
    let key = u64::from(name) << 32 | u64::from(value);
    let mixed = (key ^ key >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 32
}
