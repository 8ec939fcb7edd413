//! The buckets on one side of zero: spans say where they stand, a column holds their counts.
//!
//! Invariant: index arithmetic wraps and counts end the iteration, so that unchecked spans from
//! outside give nonsense at worst, never a panic or an endless loop.

use super::Span;
use super::bounds::coarser_index;
use super::count::Count;

/// Owned buckets, built in ascending order of their index.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Side<T> {
    pub spans: Vec<Span>,
    pub counts: Vec<T>,
}

impl<T: Count> Side<T> {
    pub fn cells(&self) -> Cells<'_, T> {
        Cells::new(&self.spans, &self.counts)
    }

    /// The same buckets at a coarser schema.
    pub fn coarser(&self, from: i32, to: i32) -> Self {
        Coarser { cells: self.cells().peekable(), from, to }.collect()
    }

    /// The buckets of both, each at its place; `other` is added to `self`.
    pub fn merged(&self, other: impl Iterator<Item = (i32, T)>) -> Self {
        let mut merged = Builder::default();
        let mut own = self.cells().peekable();
        for (index, count) in other {
            while let Some((i, c)) = own.next_if(|(i, _)| *i < index) {
                merged.push(i, c);
            }
            match own.next_if(|(i, _)| *i == index) {
                Some((_, c)) => merged.push(index, c.plus(count)),
                None => merged.push(index, count),
            }
        }
        own.for_each(|(i, c)| merged.push(i, c));
        merged.side
    }

    /// Without empty buckets, the spans no longer than needed.
    pub fn compact(&mut self) {
        let tidy = self.spans.iter().skip(1).all(|span| span.offset != 0)
            && self.spans.iter().all(|span| span.length != 0)
            && self.counts.iter().all(|count| !count.is_zero());
        if !tidy {
            *self = self.cells().filter(|(_, count)| !count.is_zero()).collect();
        }
    }
}

impl<T: Count> FromIterator<(i32, T)> for Side<T> {
    fn from_iter<I: IntoIterator<Item = (i32, T)>>(cells: I) -> Self {
        let mut builder = Builder::default();
        cells.into_iter().for_each(|(index, count)| builder.push(index, count));
        builder.side
    }
}

#[derive(Default)]
struct Builder<T> {
    side: Side<T>,
    /// The index after the last bucket.
    next: i32,
}

impl<T: Count> Builder<T> {
    fn push(&mut self, index: i32, count: T) {
        match self.side.spans.last_mut() {
            Some(span) if index == self.next => span.length += 1,
            _ => {
                let offset = index.wrapping_sub(self.next);
                self.side.spans.push(Span { offset, length: 1 });
            }
        }
        self.side.counts.push(count);
        self.next = index.wrapping_add(1);
    }
}

/// (index, count) of each bucket, empty ones included, from either end.
#[derive(Debug, Clone)]
pub(super) struct Cells<'a, T> {
    /// The spans neither end has entered.
    spans: &'a [Span],
    counts: &'a [T],
    front: Run,
    back: Run,
    /// The index after the last bucket of `spans`.
    end: i32,
}

/// Consecutive buckets still to be visited.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    start: i32,
    length: u32,
}

impl<'a, T: Count> Cells<'a, T> {
    pub fn new(spans: &'a [Span], counts: &'a [T]) -> Self {
        let end = spans
            .iter()
            .fold(0i32, |end, span| end.wrapping_add(span.offset).wrapping_add(span.length as i32));
        Self { spans, counts, front: Run::default(), back: Run::default(), end }
    }
}

impl<T: Count> Iterator for Cells<'_, T> {
    type Item = (i32, T);

    fn next(&mut self) -> Option<Self::Item> {
        let (count, rest) = self.counts.split_first()?;
        while self.front.length == 0 {
            if let Some((span, rest)) = self.spans.split_first() {
                let start = self.front.start.wrapping_add(span.offset);
                self.front = Run { start, length: span.length };
                self.spans = rest;
            } else {
                self.front = std::mem::take(&mut self.back);
                if self.front.length == 0 {
                    return None;
                }
            }
        }
        let index = self.front.start;
        self.front = Run { start: index.wrapping_add(1), length: self.front.length - 1 };
        self.counts = rest;
        Some((index, *count))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.counts.len()))
    }
}

impl<T: Count> DoubleEndedIterator for Cells<'_, T> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let (count, rest) = self.counts.split_last()?;
        while self.back.length == 0 {
            if let Some((span, rest)) = self.spans.split_last() {
                let start = self.end.wrapping_sub(span.length as i32);
                self.back = Run { start, length: span.length };
                self.end = start.wrapping_sub(span.offset);
                self.spans = rest;
            } else {
                self.back = self.front;
                self.front.length = 0;
                if self.back.length == 0 {
                    return None;
                }
            }
        }
        self.back.length -= 1;
        self.counts = rest;
        Some((self.back.start.wrapping_add(self.back.length as i32), *count))
    }
}

/// Merges the buckets that fall into one bucket of a coarser schema.
pub(super) struct Coarser<I: Iterator> {
    pub cells: std::iter::Peekable<I>,
    pub from: i32,
    pub to: i32,
}

impl<T: Count, I: Iterator<Item = (i32, T)>> Iterator for Coarser<I> {
    type Item = (i32, T);

    fn next(&mut self) -> Option<Self::Item> {
        let (index, mut count) = self.cells.next()?;
        if self.from == self.to {
            return Some((index, count));
        }
        let target = coarser_index(index, self.from, self.to);
        let (from, to) = (self.from, self.to);
        while let Some((_, more)) =
            self.cells.next_if(|(i, _)| coarser_index(*i, from, to) == target)
        {
            count = count.plus(more);
        }
        Some((target, count))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sides() -> impl Strategy<Value = Side<f64>> {
        let span = (0i32..4, 0u32..4).prop_map(|(offset, length)| Span { offset, length });
        (proptest::collection::vec(span, 0..6), -9i32..9, any::<u64>()).prop_map(
            |(mut spans, first, seed)| {
                if let Some(span) = spans.first_mut() {
                    span.offset = first;
                }
                let n = spans.iter().map(|span| span.length).sum::<u32>();
                let counts = (0..n).map(|i| (seed >> (i % 60) & 3) as f64).collect();
                Side { spans, counts }
            },
        )
    }

    proptest! {
        #[test]
        fn cells_are_the_same_from_both_ends(side in sides(), turns in any::<u64>()) {
            let forward: Vec<_> = side.cells().collect();
            let mut backward: Vec<_> = side.cells().rev().collect();
            backward.reverse();
            prop_assert_eq!(&forward, &backward);
            let (mut front, mut back, mut cells) = (vec![], vec![], side.cells());
            for turn in 0.. {
                let from_front = turns >> (turn % 64) & 1 == 1;
                let next = if from_front { cells.next() } else { cells.next_back() };
                match next {
                    Some(cell) if from_front => front.push(cell),
                    Some(cell) => back.push(cell),
                    None => break,
                }
            }
            front.extend(back.into_iter().rev());
            prop_assert_eq!(forward, front);
        }

        #[test]
        fn compacting_keeps_what_is_not_empty(side in sides()) {
            let filled = |s: &Side<f64>| s.cells().filter(|c| c.1 != 0.0).collect::<Vec<_>>();
            let mut compact = side.clone();
            compact.compact();
            prop_assert_eq!(filled(&side), filled(&compact));
            prop_assert_eq!(compact.counts.len(), filled(&side).len());
            prop_assert!(compact.spans.iter().skip(1).all(|span| span.offset > 0));
        }

        #[test]
        fn merging_adds_bucket_by_bucket(a in sides(), b in sides()) {
            let mut expected = std::collections::BTreeMap::new();
            for (index, count) in a.cells().chain(b.cells()) {
                *expected.entry(index).or_insert(0.0) += count;
            }
            let merged = a.merged(b.cells());
            prop_assert_eq!(merged.cells().collect::<Vec<_>>(), Vec::from_iter(expected));
        }

        #[test]
        fn spans_without_checks_do_no_harm(
            spans in proptest::collection::vec((any::<i32>(), any::<u32>()), 0..8),
            n in 0usize..20,
        ) {
            let spans = spans.into_iter().map(|(offset, length)| Span { offset, length }).collect();
            let side = Side { spans, counts: vec![1.0; n] };
            prop_assert!(side.cells().count() <= n);
            prop_assert!(side.cells().rev().count() <= n);
            prop_assert!(side.merged(side.cells()).counts.len() <= 2 * n);
            prop_assert!(side.coarser(8, -4).counts.len() <= n);
        }
    }
}
