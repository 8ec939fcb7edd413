//! The heap in which the chosen samples of a group are kept.
//!
//! Invariant: it moves its entries exactly as Prometheus' heap does; which of several equal values
//! are chosen, and in which order they come out, depends on that.

use std::sync::Arc;

use metricstor_model::FloatHistogram;

/// A sample that may be chosen.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// 0 for a histogram.
    pub value: f64,
    pub histogram: Option<Arc<FloatHistogram>>,
    /// The series' number.
    pub series: usize,
}

/// The entry that would be given up first is on top.
#[derive(Debug, Clone, Default)]
pub(super) struct Heap {
    entries: Vec<Entry>,
}

/// Which values are given up first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    SmallestFirst,
    LargestFirst,
}

impl Order {
    /// Is `a` given up before `b`? NaN before everything, itself included.
    fn before(self, a: f64, b: f64) -> bool {
        a.is_nan()
            || match self {
                Self::SmallestFirst => a < b,
                Self::LargestFirst => a > b,
            }
    }
}

impl Heap {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn push(&mut self, entry: Entry, order: Order) {
        self.entries.push(entry);
        self.up(self.entries.len() - 1, order);
    }

    /// Puts `entry` in the place of the first to be given up, if it is better than that one.
    pub fn challenge(&mut self, entry: Entry, order: Order) -> bool {
        let Some(top) = self.entries.first_mut() else { return false };
        let better = match order {
            Order::SmallestFirst => top.value < entry.value,
            Order::LargestFirst => top.value > entry.value,
        };
        let better = better || (top.value.is_nan() && !entry.value.is_nan());
        if better {
            *top = entry;
            self.down(0, order);
        }
        better
    }

    fn before(&self, a: usize, b: usize, order: Order) -> bool {
        order.before(self.entries[a].value, self.entries[b].value)
    }

    fn up(&mut self, mut at: usize, order: Order) {
        while at > 0 {
            let parent = (at - 1) / 2;
            if !self.before(at, parent, order) {
                break;
            }
            self.entries.swap(at, parent);
            at = parent;
        }
    }

    fn down(&mut self, mut at: usize, order: Order) {
        loop {
            let mut child = 2 * at + 1;
            if child >= self.entries.len() {
                break;
            }
            if child + 1 < self.entries.len() && self.before(child + 1, child, order) {
                child += 1;
            }
            if !self.before(child, at, order) {
                break;
            }
            self.entries.swap(at, child);
            at = child;
        }
    }

    /// The best first.
    pub fn sort(&mut self, order: Order) {
        // Small lists are sorted by insertion there, which settles the order of equal values.
        const INSERTION_MAX: usize = 12;
        if self.entries.len() > INSERTION_MAX {
            self.entries.sort_by(|a, b| {
                let by_value = match order {
                    Order::SmallestFirst => b.value.partial_cmp(&a.value),
                    Order::LargestFirst => a.value.partial_cmp(&b.value),
                };
                by_value.unwrap_or_else(|| a.value.is_nan().cmp(&b.value.is_nan()))
            });
            return;
        }
        for i in 1..self.entries.len() {
            let mut j = i;
            while j > 0 && self.before(j - 1, j, order) {
                self.entries.swap(j - 1, j);
                j -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(values: &[f64], k: usize, order: Order) -> Vec<f64> {
        let mut heap = Heap::default();
        for (series, &value) in values.iter().enumerate() {
            let entry = Entry { value, histogram: None, series };
            if heap.len() < k {
                heap.push(entry, order);
            } else {
                heap.challenge(entry, order);
            }
        }
        heap.sort(order);
        heap.entries.iter().map(|entry| entry.value).collect()
    }

    #[test]
    fn the_best_are_kept_and_come_first() {
        let values = [3.0, 9.0, 1.0, 7.0, 7.0, 2.0];
        assert_eq!(chosen(&values, 3, Order::SmallestFirst), [9.0, 7.0, 7.0]);
        assert_eq!(chosen(&values, 2, Order::LargestFirst), [1.0, 2.0]);
    }

    #[test]
    fn nan_is_given_up_first() {
        let values = [f64::NAN, 1.0, f64::NAN, 2.0];
        assert_eq!(chosen(&values, 2, Order::SmallestFirst), [2.0, 1.0]);
        let three = chosen(&values, 3, Order::SmallestFirst);
        assert!(three[2].is_nan());
    }
}
