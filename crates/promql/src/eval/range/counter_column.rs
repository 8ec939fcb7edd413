//! `rate`, `increase` and `delta` of floats in all windows of a series at once.
//!
//! Invariant: every operation is the one that [`Extrapolated`](super::counter::Extrapolated) does on
//! one window, in the same order, so that results are equal to the last bit. What depends on times
//! alone is found once for all series that share them; what is left are loops without branches.

use crate::eval::frame::{ABSENT, float_cell};
use crate::eval::range::counter::Change;
use crate::eval::range::track::Track;
use crate::eval::range::windows::Windows;

/// The spans of series that were met, by slot of their windows.
#[derive(Debug, Default)]
pub(super) struct Met {
    spans: Vec<Spans>,
    /// Of a series: the first value of each window.
    values: Vec<f64>,
}

impl Met {
    /// All results of a series of floats. `resets` are the places before which a counter was reset.
    /// True if there is a result.
    pub fn change(
        &mut self,
        change: Change,
        track: &Track,
        resets: &[usize],
        windows: &Windows,
        cells: &mut [f64],
    ) -> bool {
        let (slot, edition) = windows.key();
        if self.spans.len() <= slot {
            self.spans.resize_with(slot + 1, Spans::default);
        }
        let spans = &mut self.spans[slot];
        if spans.edition != edition {
            spans.find(&track.times, windows);
            spans.edition = edition;
        }
        spans.differences(&track.values, cells, &mut self.values);
        spans.correct(resets, &track.values, cells);
        spans.extrapolate(change, windows.seconds(), &self.values, cells)
    }
}

/// What the times say about every window: of which samples the difference is taken, and how far it is
/// to be extrapolated. Windows of fewer than two samples have no meaningful entry.
#[derive(Debug, Default)]
struct Spans {
    /// Of the windows that this is about; 0 before there are any.
    edition: u64,
    first: Vec<usize>,
    last: Vec<usize>,
    /// In seconds: between the samples, and from them to the ends of the window.
    sampled: Vec<f64>,
    to_start: Vec<f64>,
    to_end: Vec<f64>,
    /// The steps whose windows have fewer than two samples.
    lone: Vec<usize>,
}

impl Spans {
    /// Looks at the windows of a series that has samples at these times.
    fn find(&mut self, times: &[i64], windows: &Windows) {
        self.lone.clear();
        let steps = windows.len();
        self.first.resize(steps, 0);
        self.last.resize(steps, 0);
        for all in [&mut self.sampled, &mut self.to_start, &mut self.to_end] {
            all.resize(steps, 0.0);
        }
        for (step, place) in windows.places().iter().enumerate() {
            if place.len() < 2 {
                self.lone.push(step);
                (self.first[step], self.last[step]) = (0, 0);
                continue;
            }
            let (first, last) = (place.start, place.end - 1);
            let window = windows.times(step);
            let sampled = (times[last] - times[first]) as f64 / 1000.0;
            let average = sampled / (last - first) as f64;
            let bounded =
                |seconds: f64| if seconds >= average * 1.1 { average / 2.0 } else { seconds };
            (self.first[step], self.last[step]) = (first, last);
            self.sampled[step] = sampled;
            self.to_start[step] = bounded((times[first] - window.start) as f64 / 1000.0);
            self.to_end[step] = bounded((window.end - times[last]) as f64 / 1000.0);
        }
    }

    /// Last value minus first value of each window, and the first values.
    fn differences(&self, values: &[f64], cells: &mut [f64], firsts: &mut Vec<f64>) {
        firsts.clear();
        firsts.extend(self.first.iter().map(|&at| values[at]));
        for ((cell, first), &to) in cells.iter_mut().zip(&*firsts).zip(&self.last) {
            *cell = values[to] - first;
        }
    }

    /// Adds what the resets inside each window have taken away, reset by reset.
    fn correct(&self, resets: &[usize], values: &[f64], cells: &mut [f64]) {
        if resets.is_empty() {
            return;
        }
        let mut due = 0;
        for (cell, (first, last)) in cells.iter_mut().zip(self.first.iter().zip(&self.last)) {
            while resets.get(due).is_some_and(|at| at <= first) {
                due += 1;
            }
            for &at in resets[due..].iter().take_while(|at| *at <= last) {
                *cell += values[at - 1];
            }
        }
    }

    /// Turns differences into results. True if there is one.
    fn extrapolate(&self, change: Change, seconds: f64, firsts: &[f64], cells: &mut [f64]) -> bool {
        let counter = change.is_counter();
        let steps = cells.len();
        let (sampled, to_start) = (&self.sampled[..steps], &self.to_start[..steps]);
        let (to_end, first) = (&self.to_end[..steps], &firsts[..steps]);
        for i in 0..steps {
            let mut start = to_start[i];
            let to_zero = start.min(sampled[i] * (first[i] / cells[i]));
            if counter && cells[i] > 0.0 && first[i] >= 0.0 {
                start = to_zero;
            }
            let whole = (sampled[i] + start + to_end[i]) / sampled[i];
            let mut factor = if sampled[i] != 0.0 { whole } else { 1.0 };
            if change.is_rate() {
                factor /= seconds;
            }
            cells[i] = float_cell(cells[i] * factor);
        }
        self.lone.iter().for_each(|&step| cells[step] = ABSENT);
        self.lone.len() < steps
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::QueryError;
    use crate::eval::grid::{Grid, Shift};
    use crate::eval::range::counter::{Change, Extrapolated};
    use crate::eval::range::track::Track;
    use crate::eval::range::trial::{applied, loaded};
    use crate::eval::range::window::{Kernel, Outcome, Remarks, Window};
    use crate::eval::range::windows::{Reach, Windows};
    use crate::eval::samples::Reads;

    /// Applies a kernel window by window.
    struct Single(Extrapolated);

    impl Kernel for Single {
        fn begin(&mut self, track: &Track) {
            self.0.begin(track);
        }

        fn apply(
            &mut self,
            w: &Window<'_>,
            remarks: &mut Remarks<'_>,
        ) -> Result<Outcome, QueryError> {
            self.0.apply(w, remarks)
        }
    }

    fn bits(
        kernel: &mut impl Kernel,
        windows: &mut Windows,
        track: &Track,
    ) -> (Vec<u64>, bool, Reads) {
        let (results, reads) = applied(kernel, windows, track);
        (results.cells.iter().map(|cell| cell.to_bits()).collect(), results.any, reads)
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            20 => 0.0..1e6,
            2 => Just(0.0),
            1 => -1e3..1e3,
            1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0]),
        ]
    }

    proptest! {
        #[test]
        fn all_windows_at_once_are_the_windows_one_by_one(
            gaps in prop::collection::vec(1i64..40_000, 1..120),
            series in prop::collection::vec(prop::collection::vec(value(), 120), 1..4),
            ascending in any::<bool>(),
            (start, step, steps) in (0i64..2_000_000, 1i64..90_000, 1usize..60),
            (range, even) in (1i64..300_000, any::<bool>()),
        ) {
            let range = if even { range / step * step + step } else { range };
            let end = start + step * (steps as i64 - 1);
            let grid = Grid::range(start, end, step, 1000).unwrap();
            let reach = Reach { shift: Shift::default(), range, before: 0, after: 0 };
            let mut shared = Windows::new(grid, reach);
            let walk = |at: &mut i64, gap: &i64| { *at += gap; Some(*at) };
            let times: Vec<i64> = gaps.iter().scan(0, walk).collect();
            for change in [Change::Rate, Change::Increase, Change::Delta] {
                let mut at_once = Extrapolated::new(change);
                let mut one_by_one = Single(Extrapolated::new(change));
                for (i, values) in series.iter().chain(&series).enumerate() {
                    let mut values = values[..times.len()].to_vec();
                    if ascending {
                        values.sort_by(f64::total_cmp);
                    }
                    // Of targets that are scraped in turns.
                    let shifted = times.iter().map(|time| time + 7 * (i as i64 % 3));
                    let track = loaded(&shifted.collect::<Vec<_>>(), values, &[]);
                    prop_assert_eq!(
                        bits(&mut at_once, &mut shared, &track),
                        bits(&mut one_by_one, &mut Windows::new(grid, reach), &track)
                    );
                }
            }
        }
    }
}
