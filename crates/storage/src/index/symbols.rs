//! Texts, each once, in one arena; numbered in the order of arrival.

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

#[derive(Default)]
pub(super) struct Symbols {
    text: String,
    /// Where each symbol ends in `text`; it begins where its predecessor ends.
    ends: Vec<u32>,
    table: HashTable<u32>,
}

impl Symbols {
    pub fn intern(&mut self, text: &str) -> u32 {
        if let Some(symbol) = self.find(text) {
            return symbol;
        }
        let symbol = self.ends.len() as u32;
        self.text.push_str(text);
        self.ends.push(self.text.len() as u32);
        let (all, ends) = (&self.text, &self.ends);
        self.table.insert_unique(xxh3_64(text.as_bytes()), symbol, |symbol| {
            xxh3_64(get(all, ends, *symbol).as_bytes())
        });
        symbol
    }

    pub fn find(&self, text: &str) -> Option<u32> {
        let same = |symbol: &u32| self.get(*symbol) == text;
        self.table.find(xxh3_64(text.as_bytes()), same).copied()
    }

    pub fn get(&self, symbol: u32) -> &str {
        get(&self.text, &self.ends, symbol)
    }

    pub fn size(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * 4 + self.table.capacity() * 5
    }
}

fn get<'a>(text: &'a str, ends: &[u32], symbol: u32) -> &'a str {
    let i = symbol as usize;
    let start = if i == 0 { 0 } else { ends[i - 1] as usize };
    &text[start..ends[i] as usize]
}
