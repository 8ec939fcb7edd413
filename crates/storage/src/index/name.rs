//! A label's name: the pairs that begin with it, and their order by value once somebody asked for it.

use std::sync::{Arc, Mutex, PoisonError};

use roaring::RoaringBitmap;

use super::postings;

/// Names with more values are not put in order: that would hold up who adds series.
const SORTED_MAX: usize = 1 << 15;
/// This many values, and one for eight in order, may come before they are put in order too.
const LATE_MAX: usize = 64;

pub(super) struct Name {
    pub text: Box<str>,
    /// The numbers of its pairs, in the order in which they came.
    pub pairs: Vec<u32>,
    /// The series that have this label.
    pub series: RoaringBitmap,
    /// The first of `pairs`, by value.
    sorted: Mutex<Arc<[u32]>>,
}

impl Name {
    pub fn new(text: &str) -> Self {
        let sorted = Mutex::new(Arc::from([]));
        Self { text: text.into(), pairs: Vec::new(), series: RoaringBitmap::new(), sorted }
    }

    /// Forgets pairs.
    pub fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        self.pairs.retain(|pair| keep(*pair));
        self.pairs.shrink_to_fit();
        *self.sorted.get_mut().unwrap_or_else(PoisonError::into_inner) = Arc::from([]);
    }

    /// The pairs by value, and those that came too late to be among them.
    pub fn by_value<'t>(&self, value: impl Fn(u32) -> &'t str) -> (Arc<[u32]>, &[u32]) {
        let mut sorted = self.sorted.lock().unwrap_or_else(PoisonError::into_inner);
        let late = self.pairs.len() - sorted.len();
        if late > LATE_MAX + sorted.len() / 8 && self.pairs.len() <= SORTED_MAX {
            let mut pairs = [&sorted, &self.pairs[sorted.len()..]].concat();
            // Not unstable: the first of them are in order.
            pairs.sort_by(|a, b| value(*a).cmp(value(*b)));
            *sorted = pairs.into();
        }
        (Arc::clone(&sorted), &self.pairs[sorted.len()..])
    }

    /// Bytes of memory held, about.
    pub fn size(&self) -> usize {
        let sorted = self.sorted.lock().unwrap_or_else(PoisonError::into_inner).len();
        size_of::<Self>()
            + self.text.len()
            + (self.pairs.capacity() + sorted) * 4
            + postings::bitmap_size(&self.series)
    }
}
