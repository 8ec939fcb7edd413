//! A compact hash table from 64-bit hashes to numbers; what a number stands for is kept elsewhere.
//!
//! Open addressing in eight bytes a slot. The table is cut into parts that grow by a quarter, one at a
//! time and without asking for hashes again: no insertion ever waits for a million others to move.

/// Independent parts; each holds the hashes that share their top bits.
const PARTS: usize = 64;
/// A slot holds the low half of a hash and a number; no number is `u32::MAX`.
const EMPTY: u64 = u64::MAX;

pub(crate) struct Table {
    parts: Vec<Part>,
}

#[derive(Default, Clone)]
struct Part {
    slots: Vec<u64>,
    used: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self { parts: vec![Part::default(); PARTS] }
    }
}

impl Table {
    /// A table that so many numbers can be entered in before it grows; hashes fall evenly.
    pub fn with_room(numbers: usize) -> Self {
        // A few more, for no two parts get exactly as many.
        let slots = numbers / PARTS * 4 / 3;
        let part = || Part { slots: vec![EMPTY; slots], used: 0 };
        Self { parts: (0..PARTS).map(|_| part()).collect() }
    }

    /// The number entered under this hash for which `is_it` holds.
    #[inline]
    pub fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let part = &self.parts[part_of(hash)];
        let mut at = part.home(hash as u32);
        loop {
            let slot = *part.slots.get(at)?;
            if slot == EMPTY {
                return None;
            }
            if slot >> 32 == hash & 0xffff_ffff && is_it(slot as u32) {
                return Some(slot as u32);
            }
            at = part.next(at);
        }
    }

    /// Enters a number that is not there yet.
    pub fn insert(&mut self, hash: u64, number: u32) {
        debug_assert!(number != u32::MAX);
        let part = &mut self.parts[part_of(hash)];
        if (part.used + 1) * 5 > part.slots.len() * 4 {
            part.grow();
        }
        part.place(hash << 32 | u64::from(number));
    }

    pub fn remove(&mut self, hash: u64, number: u32) {
        let part = &mut self.parts[part_of(hash)];
        let slot = hash << 32 | u64::from(number);
        let mut at = part.home(hash as u32);
        while let Some(found) = part.slots.get(at).copied().filter(|found| *found != EMPTY) {
            if found == slot {
                part.close(at);
                return;
            }
            at = part.next(at);
        }
    }

    /// Bytes of memory held.
    pub fn size(&self) -> usize {
        let slots: usize = self.parts.iter().map(|part| part.slots.capacity()).sum();
        slots * 8 + PARTS * size_of::<Part>()
    }
}

#[inline]
fn part_of(hash: u64) -> usize {
    (hash >> 58) as usize
}

impl Part {
    /// Where a search begins: the half hash scaled to the number of slots.
    #[inline]
    fn home(&self, half: u32) -> usize {
        ((u64::from(half) * self.slots.len() as u64) >> 32) as usize
    }

    #[inline]
    fn next(&self, at: usize) -> usize {
        if at + 1 == self.slots.len() { 0 } else { at + 1 }
    }

    fn place(&mut self, slot: u64) {
        let mut at = self.home((slot >> 32) as u32);
        while self.slots[at] != EMPTY {
            at = self.next(at);
        }
        self.slots[at] = slot;
        self.used += 1;
    }

    fn grow(&mut self) {
        let len = (self.slots.len() + self.slots.len() / 4).max(8);
        let old = std::mem::replace(&mut self.slots, vec![EMPTY; len]);
        self.used = 0;
        old.into_iter().filter(|slot| *slot != EMPTY).for_each(|slot| self.place(slot));
    }

    /// Empties a slot and moves up those behind it that would no longer be found.
    fn close(&mut self, mut hole: usize) {
        let len = self.slots.len();
        let mut at = self.next(hole);
        while self.slots[at] != EMPTY {
            let home = self.home((self.slots[at] >> 32) as u32);
            if (at + len - home) % len >= (at + len - hole) % len {
                self.slots[hole] = self.slots[at];
                hole = at;
            }
            at = self.next(at);
        }
        self.slots[hole] = EMPTY;
        self.used -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Few distinct hashes, so that runs collide, wrap around and are closed again.
        #[test]
        fn it_answers_as_a_map(steps in prop::collection::vec((0u64..40, any::<bool>()), 0..400)) {
            let mut table = Table::default();
            let mut map = HashMap::new();
            let hash = |key: u64| ((key % 3) << 62) + (key % 7) * 0x2492_4924 + (key % 2);
            for (key, insert) in steps {
                let number = key as u32;
                if insert && map.insert(number, ()).is_none() {
                    table.insert(hash(key), number);
                } else if !insert && map.remove(&number).is_some() {
                    table.remove(hash(key), number);
                }
                for key in 0..40 {
                    let found = table.find(hash(key), |found| found == key as u32);
                    prop_assert_eq!(found.is_some(), map.contains_key(&(key as u32)));
                }
            }
        }
    }

    #[test]
    fn with_room_it_does_not_grow() {
        let mut table = Table::with_room(200_000);
        let size = table.size();
        for i in 0..200_000u64 {
            table.insert(i.wrapping_mul(0x9e37_79b9_7f4a_7c15), i as u32);
        }
        assert_eq!(table.size(), size);
        assert!(size < 200_000 * 12, "{size}");
        let mut table = Table::with_room(3);
        table.insert(7, 1);
        assert_eq!(table.find(7, |_| true), Some(1));
    }

    #[test]
    fn it_stays_small_as_it_grows() {
        let mut table = Table::default();
        for i in 0..200_000u64 {
            table.insert(i.wrapping_mul(0x9e37_79b9_7f4a_7c15), i as u32);
        }
        assert!(table.size() < 200_000 * 13, "{}", table.size());
    }
}
