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
pub(crate) struct Reach {
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

/// Columns of times whose places are remembered at most, and the bytes they may take together, about:
/// what fits into the caches of one core.
const REMEMBERED_MAX: usize = 64;
const REMEMBERED_SIZE: usize = 1 << 20;
/// What a step takes, with what kernels remember of it.
const STEP_SIZE: usize = 64;
/// With more samples a step than this, to compare times costs as much as to find places.
const SAMPLES_PER_STEP_MAX: usize = 8;

/// The windows of all steps over one series; reused from series to series.
#[derive(Debug)]
pub(crate) struct Windows {
    grid: Grid,
    reach: Reach,
    remembered: Vec<Places>,
    /// Of them, the one of the present series.
    current: usize,
    /// The one to be forgotten next.
    oldest: usize,
    /// Of all of them, in bytes.
    size: usize,
}

/// Where the windows of all steps lie in series that have samples at the same times.
#[derive(Debug, Default)]
struct Places {
    /// Empty if they are not to be remembered.
    times: Vec<i64>,
    places: Vec<Range<usize>>,
    /// Of all windows together.
    reads: Reads,
    /// How many times this was found anew.
    edition: u64,
}

impl Windows {
    pub fn new(grid: Grid, reach: Reach) -> Self {
        Self { grid, reach, remembered: Vec::new(), current: 0, oldest: 0, size: 0 }
    }

    pub fn len(&self) -> usize {
        self.grid.len
    }

    /// The range's length.
    pub fn seconds(&self) -> f64 {
        self.reach.range as f64 / 1000.0
    }

    /// What a kernel has found for one key holds as long as the key is the same: a slot, of few, and
    /// its edition.
    pub fn key(&self) -> (usize, u64) {
        (self.current, self.remembered[self.current].edition)
    }

    pub fn times(&self, step: usize) -> Times {
        let time = self.grid.time(step);
        let end = self.reach.shift.apply(time);
        let start = end.saturating_sub(self.reach.range);
        let from = start.saturating_sub(self.reach.before);
        Times { step: time, start, end, from, to: end.saturating_add(self.reach.after) }
    }

    /// The samples in each step's window, of the series whose times were sought last.
    pub fn places(&self) -> &[Range<usize>] {
        &self.remembered[self.current].places
    }

    /// Finds the places of a series' samples.
    pub fn find(&mut self, times: &[i64]) {
        if times.is_empty() || times.len() > SAMPLES_PER_STEP_MAX * self.len() {
            return self.find_once(times);
        }
        let is_of = |one: &Places| one.is_of(times);
        if self.remembered.get(self.current).is_some_and(is_of) {
            return;
        }
        if let Some(known) = self.remembered.iter().position(is_of) {
            self.current = known;
            return;
        }
        self.current = self.vacant(times.len());
        self.find_anew(times);
        self.remembered[self.current].times.extend_from_slice(times);
    }

    /// The same without remembering it.
    fn find_once(&mut self, times: &[i64]) {
        self.current = 0;
        if self.remembered.is_empty() {
            self.remembered.push(Places::default());
        }
        self.find_anew(times);
    }

    fn find_anew(&mut self, times: &[i64]) {
        let mut all = std::mem::take(&mut self.remembered[self.current]);
        let lag = self.lag().unwrap_or(usize::MAX);
        let (mut slice, mut fresh) = (Slice::default(), 0);
        all.places.clear();
        all.places.reserve(self.len());
        for step in 0..self.len() {
            let window = self.times(step);
            let seen = slice.to.at;
            let end = slice.to.advance(times, |t| *t <= window.to);
            let start = match step.checked_sub(lag) {
                Some(earlier) => all.places[earlier].end,
                None => slice.from.advance(&times[..end], |t| *t <= window.from),
            };
            fresh += end - start.max(seen);
            all.places.push(start..end);
        }
        all.reads.read = fresh as u64;
        all.reads.total = all.places.iter().map(|place| place.len() as u64).sum();
        all.times.clear();
        all.edition += 1;
        self.remembered[self.current] = all;
    }

    /// How many steps before a window the one is that ends where it begins, if there is such a one.
    fn lag(&self) -> Option<usize> {
        let Reach { shift, range, before, after } = self.reach;
        let whole = range.checked_add(before)?.checked_add(after)?;
        // What is cut off at the ends of time does not move with the steps.
        shift.apply(self.grid.start).checked_sub(whole)?;
        shift.apply(self.grid.last()).checked_add(after)?;
        let moves = shift.at.is_none() && whole > 0 && whole % self.grid.step == 0;
        moves.then(|| usize::try_from(whole / self.grid.step).ok()).flatten()
    }

    /// A slot for so many times.
    fn vacant(&mut self, times: usize) -> usize {
        let is_full = self.size >= REMEMBERED_SIZE || self.remembered.len() >= REMEMBERED_MAX;
        if !is_full || self.remembered.is_empty() {
            self.size += STEP_SIZE * self.len() + size_of::<i64>() * times;
            self.remembered.push(Places::default());
            return self.remembered.len() - 1;
        }
        let slot = self.oldest;
        self.oldest = (self.oldest + 1) % self.remembered.len();
        slot
    }

    /// Counts the samples of the series in all windows.
    pub fn count(&self, reads: &mut Reads) {
        let all = &self.remembered[self.current];
        if !reads.is_by_step() {
            return reads.merge(&all.reads);
        }
        let mut seen = 0;
        for (step, place) in all.places.iter().enumerate() {
            reads.add(step, place.len(), place.end - place.start.max(seen));
            seen = place.end;
        }
    }
}

impl Places {
    /// Are these the times? Most others differ at once.
    fn is_of(&self, times: &[i64]) -> bool {
        self.times.first() == times.first() && self.times == times
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
