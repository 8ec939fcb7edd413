//! Series recognised by the bytes their sender writes: the short cut of ingestion.
//!
//! A sender repeats the same labels, in the same bytes and mostly in the same order, at every scrape.
//! So the bytes are hashed, and the entry after the last hit is tried before the table is asked.
//! It is a cache: everything in it can be found again by decoding the labels.

use xxhash_rust::const_xxh3::const_custom_default_secret;
use xxhash_rust::xxh3::xxh3_128_with_secret;

use crate::index::Table;

/// Entries that stand together: no entry ever moves, and adding one never waits for a million others.
const PAGE: usize = 4096;

/// What the hash of label bytes is keyed with. A server draws it at random, so that no sender can
/// find bytes that would be taken for another's series.
#[derive(Clone, PartialEq, Eq)]
pub struct HashSecret(pub [u8; 192]);

impl Default for HashSecret {
    /// The same everywhere: for tests.
    fn default() -> Self {
        Self(const_custom_default_secret(0))
    }
}

impl std::fmt::Debug for HashSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashSecret")
    }
}

/// Where a series lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub shard: u16,
    pub series: u32,
}

/// 128 bits over the label bytes: as unlikely to collide as the series id itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key(u64, u64);

#[derive(Default)]
pub(crate) struct Known {
    /// In the order of arrival, so that a scrape's series stand side by side.
    pages: Vec<Vec<(Key, Place)>>,
    len: usize,
    /// Positions, counted over all pages.
    table: Table,
}

impl Key {
    #[inline]
    pub fn of(labels: &[u8], secret: &HashSecret) -> Self {
        let hash = xxh3_128_with_secret(labels, &secret.0);
        Self(hash as u64, (hash >> 64) as u64)
    }

    /// The key of the same bytes under a writer whose labels are stamped.
    #[inline]
    pub fn salted(self, (low, high): (u64, u64)) -> Self {
        Self(self.0 ^ low, self.1 ^ high)
    }

    fn hash(self) -> u64 {
        self.0
    }
}

impl Known {
    /// The place of a key; `guess` is where it probably stands, and becomes the position after it.
    #[inline]
    pub fn find(&self, key: Key, guess: &mut usize) -> Option<Place> {
        if let Some((expected, place)) = self.entry(*guess)
            && *expected == key
        {
            *guess += 1;
            return Some(*place);
        }
        let same = |at: u32| self.entry(at as usize).is_some_and(|(found, _)| *found == key);
        let at = self.table.find(key.hash(), same)? as usize;
        *guess = at + 1;
        self.entry(at).map(|(_, place)| *place)
    }

    #[inline]
    fn entry(&self, at: usize) -> Option<&(Key, Place)> {
        self.pages.get(at / PAGE)?.get(at % PAGE)
    }

    /// Remembers a key, forgetting everything first when `max` entries are held.
    pub fn insert(&mut self, key: Key, place: Place, max: usize) {
        if self.len >= max {
            self.clear();
        }
        let same = |at: u32| self.entry(at as usize).is_some_and(|(found, _)| *found == key);
        if self.table.find(key.hash(), same).is_some() {
            return;
        }
        self.table.insert(key.hash(), self.len as u32);
        self.len += 1;
        match self.pages.last_mut().filter(|page| page.len() < PAGE) {
            Some(page) => page.push((key, place)),
            None => {
                let mut page = Vec::with_capacity(PAGE);
                page.push((key, place));
                self.pages.push(page);
            }
        }
    }

    /// Forgets everything: after series were removed, places are no longer true.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Bytes of memory held.
    pub fn size(&self) -> usize {
        self.pages.len() * PAGE * size_of::<(Key, Place)>() + self.table.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(i: u32) -> Key {
        Key::of(&i.to_le_bytes(), &HashSecret::default())
    }

    #[test]
    fn series_are_found_in_any_order_and_guessed_in_the_first_one() {
        let mut known = Known::default();
        let place = |i: u32| Place { shard: (i % 4) as u16, series: i };
        for i in 0..10_000 {
            known.insert(key(i), place(i), 10_000);
            known.insert(key(i), place(i + 1), 10_001);
        }
        let mut guess = 0;
        for i in 0..10_000 {
            assert_eq!(known.find(key(i), &mut guess), Some(place(i)));
            assert_eq!(guess, i as usize + 1);
        }
        for i in (0..10_000).rev().step_by(3) {
            assert_eq!(known.find(key(i), &mut guess), Some(place(i)));
        }
        assert_eq!(known.find(key(50_000), &mut guess), None);
    }

    #[test]
    fn it_never_outgrows_its_limit() {
        let mut known = Known::default();
        (0..100).for_each(|i| known.insert(key(i), Place { shard: 0, series: i }, 10));
        assert!(known.len <= 10);
        assert!(known.find(key(99), &mut 0).is_some());
    }
}
