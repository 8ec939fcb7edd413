//! `rate`, `increase` and `delta`: the difference over a window, extrapolated to its ends.
//!
//! Invariant: counter resets are found once per series; a window then costs only its own resets.

use crate::QueryError;
use crate::eval::range::counter_column::Met;
use crate::eval::range::histogram_change::{self, add_histogram};
use crate::eval::range::start_time::{is_reset, overlaps};
use crate::eval::range::track::Track;
use crate::eval::range::window::{Kernel, Outcome, Remarks, Results, Window};
use crate::eval::range::windows::Windows;

use metricstor_model::FloatHistogram;

/// A change over a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Per second, of a counter.
    Rate,
    /// Of a counter.
    Increase,
    /// Of a gauge.
    Delta,
}

impl Change {
    pub fn is_counter(self) -> bool {
        self != Self::Delta
    }

    pub fn is_rate(self) -> bool {
        self == Self::Rate
    }
}

/// The change between the first and the last sample, extrapolated.
#[derive(Debug)]
pub(crate) struct Extrapolated {
    change: Change,
    /// Places of the floats before which the counter was reset, ascending.
    resets: Vec<usize>,
    /// The first of `resets` that can still lie inside a window.
    due: usize,
    met: Met,
}

impl Extrapolated {
    pub fn new(change: Change) -> Self {
        Self { change, resets: Vec::new(), due: 0, met: Met::default() }
    }

    /// What the resets inside the window have taken away is added to `change`, reset by reset.
    fn corrected(&mut self, mut change: f64, w: &Window<'_>) -> f64 {
        while self.resets.get(self.due).is_some_and(|at| *at <= w.first) {
            self.due += 1;
        }
        let end = w.first + w.values.len();
        for &at in self.resets[self.due..].iter().take_while(|at| **at < end) {
            change += w.values[at - 1 - w.first];
        }
        change
    }

    fn warn_of_overlaps(w: &Window<'_>, remarks: &mut Remarks<'_>) {
        if w.starts.is_empty() {
            return;
        }
        let pairs = w.starts.windows(2).zip(w.times);
        if pairs.into_iter().any(|(starts, time)| overlaps(starts[0], *time, starts[1])) {
            remarks.notes.start_time_overlap(&(remarks.name)(), remarks.span);
        }
    }

    fn floats(&mut self, w: &Window<'_>, remarks: &mut Remarks<'_>) -> Outcome {
        let n = w.values.len();
        let mut change = w.values[n - 1] - w.values[0];
        if self.change.is_counter() {
            change = self.corrected(change, w);
            Self::warn_of_overlaps(w, remarks);
        }
        let counts = Counts {
            first_time: w.times[0],
            last_time: w.times[n - 1],
            samples: n,
            first: w.values[0],
            change,
            start: w.starts.first().copied(),
        };
        let Some(factor) = self.extrapolation(&counts, w) else { return Outcome::Nothing };
        if factor.from_zero {
            change += w.values[0];
        }
        Outcome::Float(change * factor.value)
    }

    fn histograms(&mut self, w: &Window<'_>, remarks: &mut Remarks<'_>) -> Outcome {
        let n = w.histograms.len();
        let mut change: Option<FloatHistogram> = None;
        if n > 1 {
            change = histogram_change::difference(w, self.change.is_counter(), remarks);
            if change.is_none() {
                return Outcome::Nothing;
            }
        }
        let (first_time, first) = &w.histograms[0];
        let counts = Counts {
            first_time: *first_time,
            last_time: w.histograms[n - 1].0,
            samples: n,
            first: first.count,
            change: change.as_ref().map_or(0.0, |change| change.count),
            start: w.histogram_starts.first().copied(),
        };
        let Some(factor) = self.extrapolation(&counts, w) else { return Outcome::Nothing };
        if factor.from_zero {
            match &mut change {
                None => change = Some((**first).clone()),
                Some(change) => {
                    if !add_histogram(change, first, remarks) {
                        return Outcome::Nothing;
                    }
                }
            }
        }
        match change {
            None => Outcome::Nothing,
            Some(mut change) => {
                change.mul(factor.value);
                change.into()
            }
        }
    }

    /// What the change has to be multiplied by; `None` if one sample is not enough to tell.
    fn extrapolation(&self, counts: &Counts, w: &Window<'_>) -> Option<Factor> {
        let mut to_start = (counts.first_time - w.start) as f64 / 1000.0;
        let mut to_end = (w.end - counts.last_time) as f64 / 1000.0;
        let mut sampled = (counts.last_time - counts.first_time) as f64 / 1000.0;
        let intervals = counts.samples - 1;
        let average = if intervals > 0 { sampled / intervals as f64 } else { 0.0 };
        let threshold = average * 1.1;
        let begun = counts.start.filter(|start| {
            let inside = *start != 0 && *start > w.start && *start < counts.first_time;
            self.change.is_counter() && inside
        });
        if let Some(start) = begun {
            // The counter is known to have been zero then: nothing to extrapolate on the left.
            to_start = 0.0;
            sampled = (counts.last_time - start) as f64 / 1000.0;
        } else if intervals == 0 {
            return None;
        } else {
            if to_start >= threshold {
                to_start = average / 2.0;
            }
            if self.change.is_counter() && counts.change > 0.0 && counts.first >= 0.0 {
                // A counter is never negative: it cannot have begun before it was zero.
                to_start = to_start.min(sampled * (counts.first / counts.change));
            }
        }
        if to_end >= threshold {
            to_end = average / 2.0;
        }
        let mut value = 1.0;
        if sampled != 0.0 {
            value = (sampled + to_start + to_end) / sampled;
        }
        if self.change.is_rate() {
            value /= w.seconds;
        }
        Some(Factor { value, from_zero: begun.is_some() })
    }
}

/// What extrapolation depends on, for floats and for histograms alike.
struct Counts {
    first_time: i64,
    last_time: i64,
    samples: usize,
    first: f64,
    change: f64,
    /// The start timestamp of the first sample.
    start: Option<i64>,
}

struct Factor {
    value: f64,
    /// The first sample counts in full: the counter started inside the window.
    from_zero: bool,
}

/// Appends the places of the values that are below the one before them.
fn push_falls(values: &[f64], places: &mut Vec<usize>) {
    // Counters hardly ever fall: runs without a fall are passed over at once.
    const RUN: usize = 128;
    let Some(after) = values.get(1..) else { return };
    for (run, (before, after)) in values.chunks(RUN).zip(after.chunks(RUN)).enumerate() {
        let fell = |(before, after): (&f64, &f64)| after < before;
        let falls = before.iter().zip(after).map(fell);
        if falls.clone().fold(false, |any, fell| any | fell) {
            let places_of = falls.enumerate().filter(|(_, fell)| *fell);
            places.extend(places_of.map(|(i, _)| run * RUN + i + 1));
        }
    }
}

impl Kernel for Extrapolated {
    fn begin(&mut self, track: &Track) {
        self.resets.clear();
        self.due = 0;
        if !self.change.is_counter() {
            return;
        }
        let fell = |i: &usize| track.values[*i] < track.values[*i - 1];
        if track.starts.is_empty() {
            push_falls(&track.values, &mut self.resets);
        } else {
            let restarted = |i: &usize| {
                let (i, before) = (*i, *i - 1);
                let sample = |i: usize| (track.starts[i], track.times[i]);
                is_reset(sample(before), sample(i))
            };
            self.resets.extend((1..track.values.len()).filter(|i| fell(i) || restarted(i)));
        }
    }

    fn column(&mut self, track: &Track, windows: &Windows, results: &mut Results) -> bool {
        if !track.starts.is_empty() {
            return false;
        }
        let cells = &mut results.cells;
        results.any = self.met.change(self.change, track, &self.resets, windows, cells);
        true
    }

    fn apply(&mut self, w: &Window<'_>, remarks: &mut Remarks<'_>) -> Result<Outcome, QueryError> {
        if w.is_mixed() {
            remarks.notes.mixed_floats_histograms(&(remarks.name)(), remarks.span);
            return Ok(Outcome::Nothing);
        }
        Ok(if w.histograms.is_empty() {
            self.floats(w, remarks)
        } else {
            self.histograms(w, remarks)
        })
    }
}
