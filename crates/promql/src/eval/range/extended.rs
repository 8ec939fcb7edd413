//! `rate`, `increase` and `delta` over `anchored` and `smoothed` windows: the change between the
//! window's ends, whose values are taken from the samples around them.

use std::sync::Arc;

use metricstor_model::{CounterResetHint, FloatHistogram, IncompatibleSchemas};

use crate::QueryError;
use crate::eval::annotations::Operation;
use crate::eval::range::counter::Change;
use crate::eval::range::histogram_change::{add_histogram, subtract_histogram};
use crate::eval::range::track::Point;
use crate::eval::range::window::{Kernel, Outcome, Remarks, Window};

#[derive(Debug)]
pub(crate) struct Extended {
    pub change: Change,
    /// Interpolate at the ends, rather than take the sample before.
    pub smoothed: bool,
}

/// The places of the samples that matter: the first is the last one not after the window's start
/// (or the first of all), the last is the first one not before its end if smoothed, else the last.
pub(crate) fn bounds<T>(
    samples: &[T],
    time: impl Fn(&T) -> i64,
    (start, end): (i64, i64),
    smoothed: bool,
) -> Option<(usize, usize)> {
    let body = &samples[..samples.len().checked_sub(1)?];
    let first = body.partition_point(|s| time(s) <= start).saturating_sub(1);
    let last = if smoothed { body.partition_point(|s| time(s) < end) } else { body.len() };
    let outside = time(&samples[last]) <= start || (smoothed && time(&samples[first]) > end);
    (!outside).then_some((first, last))
}

/// The value on the line between two samples; a counter that fell is taken to have been reset to 0.
pub(crate) fn interpolate(
    (before, first): (i64, f64),
    (after, second): (i64, f64),
    time: i64,
    counter: bool,
) -> f64 {
    let first = if counter && second < first { 0.0 } else { first };
    first + (second - first) * (time - before) as f64 / (after - before) as f64
}

/// The values at a window's ends.
pub(crate) fn float_ends(
    w: &Window<'_>,
    (first, last): (usize, usize),
    smoothed: bool,
    counter: bool,
) -> (f64, f64) {
    let sample = |i: usize| (w.times[i], w.values[i]);
    let left = if smoothed && w.times[first] < w.start {
        interpolate(sample(first), sample(first + 1), w.start, counter)
    } else {
        w.values[first]
    };
    let right = if smoothed && last > 0 && w.times[last] > w.end {
        interpolate(sample(last - 1), sample(last), w.end, counter)
    } else {
        w.values[last]
    };
    (left, right)
}

impl Extended {
    fn floats(&self, w: &Window<'_>) -> Option<f64> {
        let counter = self.change.is_counter();
        let (first, last) = bounds(w.times, |t| *t, (w.start, w.end), self.smoothed)?;
        let (left, right) = float_ends(w, (first, last), self.smoothed, counter);
        let mut change = right - left;
        if counter {
            // The ends have seen to the resets next to them.
            let from = first + usize::from(w.times[first] <= w.start);
            let to = last + usize::from(w.times[last] < w.end);
            let inner = w.values.get(from..to).unwrap_or(&[]);
            let mut lost = 0.0;
            let mut previous = left;
            for &value in inner.iter().chain([&right]) {
                if value < previous {
                    lost += previous;
                }
                previous = value;
            }
            change += lost;
        }
        Some(if self.change.is_rate() { change / w.seconds } else { change })
    }

    fn histograms(&self, w: &Window<'_>, remarks: &mut Remarks<'_>) -> Option<FloatHistogram> {
        let counter = self.change.is_counter();
        let (first, last) = bounds(w.histograms, |p| p.0, (w.start, w.end), self.smoothed)?;
        if !self.fit_together(&w.histograms[first..=last], remarks) {
            return None;
        }
        let left = self.left(w, first, remarks)?;
        let right = self.right(w, last, remarks)?;
        let gauge = |h: &FloatHistogram| h.counter_reset_hint == CounterResetHint::Gauge;
        let gauges = gauge(&left) && gauge(&right);
        if !counter && !gauges {
            remarks.notes.not_a_gauge(&(remarks.name)(), remarks.span);
        }
        let mut change = (*right).clone();
        if !subtract_histogram(&mut change, &left, remarks) {
            return None;
        }
        if counter
            && let Some(lost) = self.lost(w, (first, last), (&left, &right), remarks)?
            && !add_histogram(&mut change, &lost, remarks)
        {
            return None;
        }
        if self.change.is_rate() {
            change.div(w.seconds);
        }
        change.counter_reset_hint = CounterResetHint::Gauge;
        change.compact();
        Some(change)
    }

    fn fit_together(&self, points: &[Point], remarks: &mut Remarks<'_>) -> bool {
        let custom = points[0].1.uses_custom_buckets();
        for (_, h) in points {
            if h.uses_custom_buckets() != custom {
                remarks.notes.mixed_exponential_custom(&(remarks.name)(), remarks.span);
                return false;
            }
            if self.change.is_counter() && h.counter_reset_hint == CounterResetHint::Gauge {
                remarks.notes.not_a_counter(&(remarks.name)(), remarks.span);
            }
        }
        true
    }

    fn left(
        &self,
        w: &Window<'_>,
        first: usize,
        remarks: &mut Remarks<'_>,
    ) -> Option<Arc<FloatHistogram>> {
        let point = &w.histograms[first];
        if !self.smoothed || point.0 >= w.start {
            return Some(Arc::clone(&point.1));
        }
        self.between(point, &w.histograms[first + 1], w.start, remarks)
    }

    fn right(
        &self,
        w: &Window<'_>,
        last: usize,
        remarks: &mut Remarks<'_>,
    ) -> Option<Arc<FloatHistogram>> {
        let point = &w.histograms[last];
        if !self.smoothed || last == 0 || point.0 <= w.end {
            return Some(Arc::clone(&point.1));
        }
        self.between(&w.histograms[last - 1], point, w.end, remarks)
    }

    fn between(
        &self,
        before: &Point,
        after: &Point,
        time: i64,
        remarks: &mut Remarks<'_>,
    ) -> Option<Arc<FloatHistogram>> {
        let counter = self.change.is_counter();
        match interpolate_histograms(before, after, time, counter, remarks) {
            Ok(histogram) => Some(histogram),
            Err(IncompatibleSchemas) => {
                remarks.notes.mixed_exponential_custom(&(remarks.name)(), remarks.span);
                None
            }
        }
    }

    /// What counter resets between the ends have taken away; outer `None` (and a warning) if the
    /// histograms do not fit together.
    fn lost(
        &self,
        w: &Window<'_>,
        (first, last): (usize, usize),
        (left, right): (&FloatHistogram, &FloatHistogram),
        remarks: &mut Remarks<'_>,
    ) -> Option<Option<FloatHistogram>> {
        let points = w.histograms;
        let mut from = first + 1;
        let mut previous = left;
        if self.smoothed
            && points[first].0 < w.start
            && points[first + 1].1.detect_reset(&points[first].1)
        {
            // Interpolation on the left has seen to this reset.
            previous = &points[first + 1].1;
            from += 1;
        }
        if from > last {
            return Some(None);
        }
        let mut lost: Option<FloatHistogram> = None;
        let inner = points.get(from..last).unwrap_or(&[]).iter().map(|p| &*p.1);
        for h in inner.chain([right]) {
            if h.detect_reset(previous) {
                match &mut lost {
                    None => lost = Some(previous.clone()),
                    Some(lost) => {
                        if !add_histogram(lost, previous, remarks) {
                            return None;
                        }
                    }
                }
            }
            previous = h;
        }
        Some(lost)
    }
}

/// The histogram on the line between two others.
pub(crate) fn interpolate_histograms(
    (before, first): &Point,
    (after, second): &Point,
    time: i64,
    counter: bool,
    remarks: &mut Remarks<'_>,
) -> Result<Arc<FloatHistogram>, IncompatibleSchemas> {
    if time == *before {
        return Ok(Arc::clone(first));
    }
    if time == *after {
        return Ok(Arc::clone(second));
    }
    let share = (time - before) as f64 / (after - before) as f64;
    let mut result = (**second).clone();
    if counter && second.detect_reset(first) {
        result.mul(share);
        return Ok(Arc::new(result));
    }
    if result.sub(first)?.custom_bounds {
        remarks.notes.mismatched_custom_buckets(Operation::Subtraction, remarks.span);
    }
    result.mul(share);
    if result.add(first)?.custom_bounds {
        remarks.notes.mismatched_custom_buckets(Operation::Addition, remarks.span);
    }
    Ok(Arc::new(result))
}

impl Kernel for Extended {
    fn apply(&mut self, w: &Window<'_>, remarks: &mut Remarks<'_>) -> Result<Outcome, QueryError> {
        if w.is_mixed() {
            remarks.notes.mixed_floats_histograms(&(remarks.name)(), remarks.span);
            return Ok(Outcome::Nothing);
        }
        if w.histograms.is_empty() {
            return Ok(self.floats(w).into());
        }
        Ok(self.histograms(w, remarks).map_or(Outcome::Nothing, Outcome::from))
    }
}
