//! Where the windows of all steps lie, in time and in a series' samples.
//!
//! Invariant: windows are open on the left and closed on the right; their ends only ever move
//! forward, so that all windows of a series together cost as much as its samples. Series that were
//! scraped together have the same times: the places found for one hold for the next.

use std::ops::Range;

use crate::eval::forward::Forward;
use crate::eval::grid::{Grid, Shift};
use crate::eval::samples::Reads;

/// Which window belongs to a step. Milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub shift: Shift,
    pub range: i64,
    /// How much farther than the range itself extended selectors look.
    pub before: i64,
    pub after: i64,
}

/// The times of a window. Milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub step: i64,
    /// The range itself.
    pub start: i64,
    pub end: i64,
    /// The samples that are looked at lie inside `(from, to]`.
    pub from: i64,
    pub to: i64,
}

/// The windows of all steps over one series; reused from series to series.
#[derive(Debug)]
pub(crate) struct Windows {
    grid: Grid,
    extent: Extent,
    /// The times of the series that the places are of, and the places.
    of: Vec<i64>,
    places: Vec<Range<usize>>,
    /// Counts the changes of the places.
    edition: u64,
    /// Of all windows together.
    reads: Reads,
}

impl Windows {
    pub fn new(grid: Grid, extent: Extent) -> Self {
        let (of, places, reads) = (Vec::new(), Vec::new(), Reads::default());
        Self { grid, extent, of, places, edition: 0, reads }
    }

    pub fn len(&self) -> usize {
        self.grid.len
    }

    /// The range's length.
    pub fn seconds(&self) -> f64 {
        self.extent.range as f64 / 1000.0
    }

    /// What was found for one edition need not be found again.
    pub fn edition(&self) -> u64 {
        self.edition
    }

    pub fn times(&self, step: usize) -> Times {
        let time = self.grid.time(step);
        let end = self.extent.shift.apply(time);
        let start = end.saturating_sub(self.extent.range);
        let from = start.saturating_sub(self.extent.before);
        Times { step: time, start, end, from, to: end.saturating_add(self.extent.after) }
    }

    /// The samples in the step's window.
    pub fn place(&self, step: usize) -> Range<usize> {
        self.places[step].clone()
    }

    /// Finds the places of a series' samples.
    pub fn find(&mut self, times: &[i64]) {
        if self.edition > 0 && self.of == times {
            return;
        }
        self.of.clear();
        self.of.extend_from_slice(times);
        self.edition += 1;
        let mut places = std::mem::take(&mut self.places);
        places.clear();
        let (mut slice, mut fresh) = (Slice::default(), 0);
        places.extend((0..self.len()).map(|step| {
            let window = self.times(step);
            fresh += slice.advance(times, |t| *t, window.from, window.to);
            slice.range()
        }));
        self.places = places;
        self.reads.read = fresh as u64;
        self.reads.total = self.places.iter().map(|place| place.len() as u64).sum();
    }

    /// Counts the samples of the series in all windows.
    pub fn count(&self, reads: &mut Reads) {
        if !reads.is_by_step() {
            return reads.merge(&self.reads);
        }
        let mut seen = 0;
        for (step, place) in self.places.iter().enumerate() {
            reads.add(step, place.len(), place.end - place.start.max(seen));
            seen = place.end;
        }
    }
}

/// A part of a list that moves forward over it.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Slice {
    from: Forward,
    to: Forward,
}

impl Slice {
    /// Moves to what lies inside `(start, end]`; how many entries were not seen before.
    #[inline]
    pub fn advance<T>(
        &mut self,
        list: &[T],
        time: impl Fn(&T) -> i64,
        start: i64,
        end: i64,
    ) -> usize {
        let before = self.to.at;
        let to = self.to.advance(list, |entry| time(entry) <= end);
        let from = self.from.advance(&list[..to], |entry| time(entry) <= start);
        to - from.max(before)
    }

    pub fn range(&self) -> Range<usize> {
        self.from.at..self.to.at
    }
}
