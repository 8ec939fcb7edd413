//! `smoothed` instant selectors: the value on the line between the samples around each step.

use std::sync::Arc;

use metricstor_model::CounterResetHint;

use crate::QueryError;
use crate::eval::range::extended::{interpolate, interpolate_histograms};
use crate::eval::range::track::Point;
use crate::eval::range::window::{Kernel, Outcome, Remarks, Window};

/// Applied to windows that reach the lookback to both sides of the step.
#[derive(Debug)]
pub(crate) struct Smoothed;

impl Smoothed {
    fn float(w: &Window<'_>) -> Option<f64> {
        let at = w.times.partition_point(|t| *t < w.end);
        let sample = |i: usize| (w.times[i], w.values[i]);
        if w.times.get(at) == Some(&w.end) {
            return Some(w.values[at]);
        }
        let before = at.checked_sub(1)?;
        Some(match w.times.get(at) {
            Some(_) => interpolate(sample(before), sample(at), w.end, false),
            None => w.values[before],
        })
    }

    fn histogram(points: &[Point], time: i64, remarks: &mut Remarks<'_>) -> Outcome {
        let at = points.partition_point(|p| p.0 < time);
        let Some(after) = points.get(at) else {
            // Nothing follows: the last one stays. What it said about a reset before it does not
            // hold here.
            let Some((_, last)) = points.last() else { return Outcome::Nothing };
            let mut histogram = (**last).clone();
            histogram.counter_reset_hint = CounterResetHint::Unknown;
            return histogram.into();
        };
        if after.0 == time {
            return Outcome::Histogram(Arc::clone(&after.1));
        }
        let Some(before) = at.checked_sub(1).map(|i| &points[i]) else { return Outcome::Nothing };
        let gauge = |p: &Point| p.1.counter_reset_hint == CounterResetHint::Gauge;
        let counter = !(gauge(before) && gauge(after));
        let fit = before.1.uses_custom_buckets() == after.1.uses_custom_buckets();
        match interpolate_histograms(before, after, time, counter, remarks) {
            Ok(histogram) if fit => Outcome::Histogram(histogram),
            _ => {
                remarks.notes.mixed_exponential_custom(&(remarks.name)(), remarks.span);
                Outcome::Nothing
            }
        }
    }
}

impl Kernel for Smoothed {
    fn apply(&mut self, w: &Window<'_>, remarks: &mut Remarks<'_>) -> Result<Outcome, QueryError> {
        if w.is_mixed() {
            remarks.notes.mixed_floats_histograms(&(remarks.name)(), remarks.span);
            return Ok(Outcome::Nothing);
        }
        if w.histograms.is_empty() {
            return Ok(Self::float(w).into());
        }
        Ok(Self::histogram(w.histograms, w.end, remarks))
    }
}
