//! `sum_over_time`, `avg_over_time` and their like: one number from all samples of a window.

use std::sync::Arc;

use metricstor_model::{HistogramMean, HistogramSum, Reconciled};

use crate::QueryError;
use crate::eval::annotations::Operation;
use crate::eval::kahan::{self, Kahan, Mean};
use crate::eval::range::sliding::{Fold, Sliding};
use crate::eval::range::track::{Point, Track};
use crate::eval::range::window::{Kernel, Outcome, Remarks, Window};

/// `count_over_time`
#[derive(Debug, Default)]
pub(crate) struct Count {
    /// Samples of the only window that are not in it.
    left_out: usize,
}

impl Kernel for Count {
    fn begin(&mut self, track: &Track) {
        self.left_out = track.left_out;
    }

    fn apply(&mut self, w: &Window<'_>, _: &mut Remarks<'_>) -> Result<Outcome, QueryError> {
        Ok(Outcome::Float((w.len() + self.left_out) as f64))
    }
}

/// `present_over_time`, and the first half of `absent_over_time`.
#[derive(Debug)]
pub(crate) struct Present;

impl Kernel for Present {
    fn apply(&mut self, _: &Window<'_>, _: &mut Remarks<'_>) -> Result<Outcome, QueryError> {
        Ok(Outcome::Float(1.0))
    }
}

/// Adds up floats.
#[derive(Debug)]
pub(super) struct Addition;

impl Fold for Addition {
    type Sample = f64;
    type State = Kahan;

    #[inline]
    fn of(&self, value: f64) -> Kahan {
        Kahan::of(value)
    }

    #[inline]
    fn join(&self, mut state: Kahan, later: Kahan) -> Kahan {
        state.merge(later);
        state
    }
}

/// The sums of windows.
#[derive(Debug)]
pub(crate) struct Sums {
    /// Present if windows overlap much.
    sliding: Option<Sliding<Addition>>,
    /// The sums of parts may overflow where that of the whole does not, or the other way round.
    may_overflow: bool,
}

impl Sums {
    pub fn new(sliding: bool) -> Self {
        Self { sliding: sliding.then(|| Sliding::new(Addition)), may_overflow: false }
    }

    pub fn sample_size(&self) -> usize {
        self.sliding.as_ref().map_or(0, Sliding::sample_size)
    }

    fn begin(&mut self, track: &Track) {
        self.sliding.iter_mut().for_each(Sliding::reset);
        self.may_overflow = self.sliding.is_some() && track.values.iter().any(kahan::is_large);
    }

    fn of(&mut self, w: &Window<'_>) -> Kahan {
        match &mut self.sliding {
            Some(sliding) if !self.may_overflow => {
                sliding.fold(w.first, w.values.len(), |place| w.values[place])
            }
            _ => kahan::sum(w.values),
        }
    }
}

/// `sum_over_time`
#[derive(Debug)]
pub(crate) struct Sum {
    pub sums: Sums,
}

impl Sum {
    fn floats(&mut self, w: &Window<'_>) -> f64 {
        let sum = self.sums.of(w);
        if sum.sum.is_infinite() { sum.sum } else { sum.value() }
    }
}

impl Kernel for Sum {
    fn begin(&mut self, track: &Track) {
        self.sums.begin(track);
    }

    fn apply(&mut self, w: &Window<'_>, remarks: &mut Remarks<'_>) -> Result<Outcome, QueryError> {
        if w.histograms.is_empty() {
            return Ok(Outcome::Float(self.floats(w)));
        }
        Ok(histograms(w, remarks, |points, remarks| {
            let mut sum = HistogramSum::new(&points[0].1);
            let fits = points[1..].iter().all(|(_, h)| sum.add(h).is_ok());
            fits.then(|| {
                remarks.reconciled(sum.reconciled());
                sum.finish()
            })
        }))
    }
}

/// `avg_over_time`
#[derive(Debug)]
pub(crate) struct Avg {
    pub sums: Sums,
}

impl Avg {
    fn floats(&mut self, w: &Window<'_>) -> f64 {
        let sum = self.sums.of(w);
        let count = w.values.len() as f64;
        if !sum.sum.is_infinite() && !sum.sum.is_nan() {
            return sum.sum / count + sum.rest / count;
        }
        let mut mean = Mean::of(w.values[0]);
        w.values[1..].iter().for_each(|value| mean.add(*value));
        mean.value()
    }
}

impl Kernel for Avg {
    fn begin(&mut self, track: &Track) {
        self.sums.begin(track);
    }

    fn apply(&mut self, w: &Window<'_>, remarks: &mut Remarks<'_>) -> Result<Outcome, QueryError> {
        if w.histograms.is_empty() {
            return Ok(Outcome::Float(self.floats(w)));
        }
        Ok(histograms(w, remarks, |points, remarks| {
            let mut mean = HistogramMean::new(&points[0].1);
            let fits = points[1..].iter().all(|(_, h)| mean.add(h).is_ok());
            fits.then(|| {
                remarks.reconciled(mean.reconciled());
                mean.finish()
            })
        }))
    }
}

/// Combines the histograms of a window that holds nothing else.
fn histograms(
    w: &Window<'_>,
    remarks: &mut Remarks<'_>,
    combine: impl Fn(&[Point], &mut Remarks<'_>) -> Option<metricstor_model::FloatHistogram>,
) -> Outcome {
    if w.is_mixed() {
        remarks.notes.mixed_floats_histograms(&(remarks.name)(), remarks.span);
        return Outcome::Nothing;
    }
    match combine(w.histograms, remarks) {
        Some(histogram) => histogram.into(),
        None => {
            remarks.notes.mixed_exponential_custom(&(remarks.name)(), remarks.span);
            Outcome::Nothing
        }
    }
}

impl Remarks<'_> {
    fn reconciled(&mut self, reconciled: Reconciled) {
        if reconciled.counter_reset_collision {
            self.notes.counter_reset_collision(Operation::Aggregation, self.span);
        }
        if reconciled.custom_bounds {
            self.notes.mismatched_custom_buckets(Operation::Aggregation, self.span);
        }
    }

    /// Functions of floats pass over histograms, but say so if there are both.
    pub(crate) fn histograms_ignored(&mut self, w: &Window<'_>) {
        if w.is_mixed() {
            self.notes.histogram_ignored_in_mixed_range(&(self.name)(), self.span);
        }
    }
}

/// `min_over_time`, `max_over_time`, `ts_of_min_over_time`, `ts_of_max_over_time`
#[derive(Debug)]
pub(crate) struct Extreme {
    pub max: bool,
    /// The time of the (last) extreme value rather than the value.
    pub time: bool,
    /// Present if windows overlap much.
    pub sliding: Option<Sliding<Best>>,
}

/// The largest or the smallest of floats; NaN only if there is nothing else.
#[derive(Debug)]
pub(super) struct Best {
    pub max: bool,
}

impl Best {
    /// The best of many values, several at once; `None` where that is no number, or a zero whose sign
    /// depends on the order.
    fn of_many(&self, values: &[f64]) -> Option<f64> {
        const LANES: usize = 8;
        let (rows, rest) = values.as_chunks::<LANES>();
        let worst = if self.max { f64::NEG_INFINITY } else { f64::INFINITY };
        let mut lanes = [worst; LANES];
        // Written out for both: a comparison that is known compiles to one instruction for a row.
        let value = if self.max {
            rows.iter().for_each(|row| keep(&mut lanes, row, |value, best| value > best));
            lanes.iter().chain(rest).fold(worst, |a, b| if *b > a { *b } else { a })
        } else {
            rows.iter().for_each(|row| keep(&mut lanes, row, |value, best| value < best));
            lanes.iter().chain(rest).fold(worst, |a, b| if *b < a { *b } else { a })
        };
        (value.is_finite() && value != 0.0).then_some(value)
    }
}

#[inline]
fn keep<const N: usize>(best: &mut [f64; N], row: &[f64; N], better: impl Fn(f64, f64) -> bool) {
    for (best, value) in best.iter_mut().zip(row) {
        *best = if better(*value, *best) { *value } else { *best };
    }
}

impl Fold for Best {
    type Sample = f64;
    type State = f64;

    #[inline]
    fn of(&self, value: f64) -> f64 {
        value
    }

    #[inline]
    fn join(&self, best: f64, value: f64) -> f64 {
        let better = if self.max { value > best } else { value < best };
        if better || best.is_nan() { value } else { best }
    }
}

impl Extreme {
    fn value(&mut self, w: &Window<'_>) -> f64 {
        if let Some(sliding) = &mut self.sliding {
            return sliding.fold(w.first, w.values.len(), |place| w.values[place]);
        }
        let best = Best { max: self.max };
        best.of_many(w.values).unwrap_or_else(|| {
            w.values[1..].iter().fold(w.values[0], |state, value| best.join(state, *value))
        })
    }

    fn time(&self, w: &Window<'_>) -> f64 {
        let mut best = (w.values[0], w.times[0]);
        for (&value, &time) in w.values.iter().zip(w.times) {
            let better = if self.max { value >= best.0 } else { value <= best.0 };
            if better || best.0.is_nan() {
                best = (value, time);
            }
        }
        best.1 as f64 / 1000.0
    }
}

impl Kernel for Extreme {
    fn begin(&mut self, _: &Track) {
        self.sliding.iter_mut().for_each(Sliding::reset);
    }

    fn apply(&mut self, w: &Window<'_>, remarks: &mut Remarks<'_>) -> Result<Outcome, QueryError> {
        if w.values.is_empty() {
            return Ok(Outcome::Nothing);
        }
        remarks.histograms_ignored(w);
        Ok(Outcome::Float(if self.time { self.time(w) } else { self.value(w) }))
    }
}

/// `first_over_time`, `last_over_time`, `ts_of_first_over_time`, `ts_of_last_over_time`
#[derive(Debug)]
pub(crate) struct Edge {
    pub last: bool,
    /// Its time rather than its value.
    pub time: bool,
}

impl Kernel for Edge {
    fn apply(&mut self, w: &Window<'_>, _: &mut Remarks<'_>) -> Result<Outcome, QueryError> {
        let (float, histogram) = if self.last {
            (w.times.last().zip(w.values.last()), w.histograms.last())
        } else {
            (w.times.first().zip(w.values.first()), w.histograms.first())
        };
        let outer = |float: i64, histogram: i64| {
            if self.last { float > histogram } else { float < histogram }
        };
        Ok(match (float, histogram) {
            (Some((t, value)), h) if h.is_none_or(|(at, _)| outer(*t, *at)) => {
                Outcome::Float(if self.time { *t as f64 / 1000.0 } else { *value })
            }
            (_, Some((t, _))) if self.time => Outcome::Float(*t as f64 / 1000.0),
            (_, Some((_, histogram))) => Outcome::Histogram(Arc::clone(histogram)),
            (_, None) => Outcome::Nothing,
        })
    }
}
