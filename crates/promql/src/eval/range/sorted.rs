//! The values of a window in their order, kept while the window moves forward.
//!
//! Invariant: what is found is to the last bit what sorting the window anew would find. Where that
//! depends on the sort (zeros of both signs are equal), or on more than order, nothing is found.

use std::collections::VecDeque;

use crate::eval::quantile::Rank;

#[derive(Debug, Default)]
pub(crate) struct Sorted {
    /// The place of the window's first value in the series.
    first: usize,
    /// The keys of its values, by time and by size.
    by_time: VecDeque<i64>,
    by_size: Vec<i64>,
    /// The keys that go or come.
    moving: Vec<i64>,
}

impl Sorted {
    /// Bytes of memory that a sample of a window takes, at most.
    pub const SAMPLE_SIZE: usize = 3 * size_of::<i64>();

    /// Forgets everything, for another series.
    pub fn reset(&mut self) {
        self.first = 0;
        self.by_time.clear();
        self.by_size.clear();
    }

    /// Moves to a window of which `first` is the place of the first value in the series; windows never
    /// move back.
    pub fn advance(&mut self, first: usize, values: &[f64]) {
        let gone = (first - self.first).min(self.by_time.len());
        self.moving.clear();
        self.moving.extend(self.by_time.drain(..gone));
        if self.by_time.is_empty() {
            self.by_size.clear();
        } else {
            self.moving.sort_unstable();
            remove(&mut self.by_size, &self.moving);
        }
        self.moving.clear();
        self.moving.extend(values[self.by_time.len()..].iter().map(|value| key(*value)));
        self.by_time.extend(&self.moving);
        self.moving.sort_unstable();
        insert(&mut self.by_size, &self.moving);
        self.first = first;
    }

    /// The quantile `q` of a window with values.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let rank = match Rank::of(q, self.by_size.len()) {
            Ok(rank) => rank,
            Err(quantile) => return Some(quantile),
        };
        let (low, high) = (self.at(rank.lower), self.at(rank.upper));
        let sign_matters = (low == 0.0 || high == 0.0) && self.has_zeros_of_both_signs();
        (!sign_matters).then(|| rank.interpolate(low, high))
    }

    /// The median of the distances from the median, in a window with values.
    pub fn median_deviation(&self) -> Option<f64> {
        if self.at(0).is_nan() {
            return Some(f64::NAN);
        }
        let rank = Rank::of(0.5, self.by_size.len()).ok()?;
        let median = rank.interpolate(self.at(rank.lower), self.at(rank.upper));
        // The distance of an infinity from an infinity is not in order with the others.
        median.is_finite().then(|| {
            let mut nearest = Nearest::after(rank.lower, median, &self.by_size);
            let low = nearest.next();
            let high = if rank.upper > rank.lower { nearest.next() } else { low };
            rank.interpolate(low, high)
        })
    }

    fn at(&self, place: usize) -> f64 {
        value(self.by_size[place])
    }

    fn has_zeros_of_both_signs(&self) -> bool {
        [-0.0, 0.0].iter().all(|zero| self.by_size.binary_search(&key(*zero)).is_ok())
    }
}

/// The distances of ordered values from a point among them, from the nearest on.
struct Nearest<'a> {
    point: f64,
    below: &'a [i64],
    above: &'a [i64],
}

impl<'a> Nearest<'a> {
    /// Without the `count` nearest, which are fewer than all. Of both sides the nearest are wanted: how
    /// many of them are below is searched for by halving.
    fn after(count: usize, point: f64, keys: &'a [i64]) -> Self {
        let (below, above) = keys.split_at(keys.partition_point(|key| value(*key) <= point));
        let mut all = Self { point, below, above };
        let (mut least, mut most) = (count.saturating_sub(above.len()), count.min(below.len()));
        while least < most {
            let taken = usize::midpoint(least, most);
            if all.distance_below(taken) < all.distance_above(count - taken - 1) {
                least = taken + 1;
            } else {
                most = taken;
            }
        }
        all.below = &below[..below.len() - least];
        all.above = &above[count - least..];
        all
    }

    fn next(&mut self) -> f64 {
        let (below, above) = (self.distance_below(0), self.distance_above(0));
        if below < above {
            self.below = &self.below[..self.below.len() - 1];
            return below;
        }
        self.above = self.above.get(1..).unwrap_or(&[]);
        above
    }

    /// Of the value below that `nearer` others are nearer than; infinite without one.
    fn distance_below(&self, nearer: usize) -> f64 {
        let place = self.below.len().checked_sub(nearer + 1);
        self.distance(place.map(|place| self.below[place]))
    }

    fn distance_above(&self, nearer: usize) -> f64 {
        self.distance(self.above.get(nearer).copied())
    }

    fn distance(&self, key: Option<i64>) -> f64 {
        key.map_or(f64::INFINITY, |key| (value(key) - self.point).abs())
    }
}

/// Orders as numbers do, -0 before 0 and NaN, of which there is one, before all.
fn key(value: f64) -> i64 {
    if value.is_nan() { i64::MIN } else { mirrored(value.to_bits() as i64) }
}

fn value(key: i64) -> f64 {
    f64::from_bits(mirrored(key) as u64)
}

/// The larger the bits of a negative number, the smaller it is. Undoes itself.
fn mirrored(bits: i64) -> i64 {
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

/// Removes each of the ordered `gone`, which are all there, from the ordered keys.
fn remove(keys: &mut Vec<i64>, gone: &[i64]) {
    let (mut read, mut write) = (0, 0);
    for key in gone {
        let at = read + keys[read..].partition_point(|other| other < key);
        keys.copy_within(read..at, write);
        write += at - read;
        read = at + 1;
    }
    keys.copy_within(read.., write);
    keys.truncate(keys.len() - gone.len());
}

/// Inserts the ordered `new` into the ordered keys.
fn insert(keys: &mut Vec<i64>, new: &[i64]) {
    let mut end = keys.len();
    keys.resize(end + new.len(), 0);
    for (before, key) in new.iter().enumerate().rev() {
        let at = keys[..end].partition_point(|other| other <= key);
        keys.copy_within(at..end, at + before + 1);
        keys[at + before] = *key;
        end = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_as_numbers_do_and_give_them_back() {
        let ascending =
            [f64::NEG_INFINITY, f64::MIN, -1.0, -5e-324, -0.0, 0.0, 5e-324, f64::INFINITY];
        assert!(ascending.is_sorted_by(|a, b| key(*a) < key(*b)));
        assert!(ascending.iter().all(|v| value(key(*v)).to_bits() == v.to_bits()));
        for nan in [f64::NAN, -f64::NAN] {
            assert!(key(nan) < key(f64::NEG_INFINITY) && value(key(nan)).is_nan());
        }
    }

    #[test]
    fn what_is_kept_is_the_window_in_order_wherever_it_moves() {
        let values: Vec<f64> = (0..100).map(|i| f64::from(i * 37 % 101)).collect();
        let mut sorted = Sorted::default();
        for (first, end) in [(0, 10), (3, 10), (3, 12), (11, 40), (60, 61), (60, 100)] {
            sorted.advance(first, &values[first..end]);
            let mut expected: Vec<i64> = values[first..end].iter().map(|v| key(*v)).collect();
            expected.sort_unstable();
            assert_eq!(sorted.by_size, expected, "{first}..{end}");
        }
    }
}
