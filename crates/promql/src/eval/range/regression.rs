//! `deriv`, `predict_linear` and `double_exponential_smoothing`: lines through a window's values.

use crate::QueryError;
use crate::eval::kahan::Kahan;
use crate::eval::number::decimal;
use crate::eval::range::moments::{Comoments, Scatter};
use crate::eval::range::sliding::Sliding;
use crate::eval::range::track::Track;
use crate::eval::range::window::{Kernel, Outcome, Remarks, Window};
use crate::eval::scalar::Scalar;

/// Lines through window after window.
#[derive(Debug)]
pub(crate) struct Lines {
    /// Present if windows overlap much.
    sliding: Option<Sliding<Scatter>>,
}

impl Lines {
    pub fn new(sliding: bool) -> Self {
        Self { sliding: sliding.then(|| Sliding::new(Scatter)) }
    }

    pub fn sample_size(&self) -> usize {
        self.sliding.as_ref().map_or(0, Sliding::sample_size)
    }

    fn reset(&mut self) {
        self.sliding.iter_mut().for_each(Sliding::reset);
    }

    /// The slope per second.
    fn slope(&mut self, w: &Window<'_>) -> f64 {
        let origin = w.times[0];
        let plain = self.moments(w).filter(|moments| is_plain(*moments, w, origin));
        plain.map_or_else(|| line(w, origin), |moments| moments.line(origin)).0
    }

    /// The line's value at a time some seconds after `origin`.
    fn value(&mut self, w: &Window<'_>, origin: i64, distance: f64) -> f64 {
        let predict = |(slope, value): (f64, f64)| slope * distance + value;
        let plain = self.moments(w).filter(|moments| {
            let noise = noise(*moments, w, origin, distance);
            is_plain(*moments, w, origin) && predict(moments.line(origin)).abs() >= FLAT * noise
        });
        predict(plain.map_or_else(|| line(w, origin), |moments| moments.line(origin)))
    }

    fn moments(&mut self, w: &Window<'_>) -> Option<Comoments> {
        let sample = |place| (w.times[place], w.values[place]);
        self.sliding.as_mut().map(|sliding| sliding.fold(w.first, w.values.len(), sample))
    }
}

/// The result, relative to the values, below which the rounding errors of Prometheus' way grow beyond
/// some 1e-12 of it: then they are to be its own. Of slopes, it is the change over the window.
const FLAT: f64 = 1e-3;

/// Does the slope hardly depend on the order of the operations? It does if it is not finite, or flat.
fn is_plain(moments: Comoments, w: &Window<'_>, origin: i64) -> bool {
    let (slope, value) = moments.line(origin);
    let last = w.values.len() - 1;
    let change = slope.abs() * (w.times[last] - w.times[0]) as f64 / 1000.0;
    let is_flat = change <= FLAT * moments.magnitude() && !moments.is_constant();
    change.is_finite() && value.is_finite() && !is_flat
}

/// How the rounding errors of Prometheus' way grow on the way to a value some seconds after `origin`,
/// in the unit of the values. The error of its slope is that of products of times and values as they
/// are seen from `origin`, over the square of the window's length; and the slope is carried on from the
/// window to that time.
fn noise(moments: Comoments, w: &Window<'_>, origin: i64, distance: f64) -> f64 {
    let seconds = |from: i64, to: i64| to.abs_diff(from) as f64 / 1000.0;
    let (first, last) = (w.times[0], w.times[w.times.len() - 1]);
    let length = seconds(first, last);
    let away = seconds(first, origin).max(seconds(last, origin));
    let change = moments.line(origin).0.abs() * away;
    (moments.magnitude() + change) * (away / length) * (1.0 + (away + distance.abs()) / length)
}

/// Slope per second and value at `origin` of the line with the least squared distances, as Prometheus
/// works them out, rounding for rounding.
fn line(w: &Window<'_>, origin: i64) -> (f64, f64) {
    let first = w.values[0];
    if w.values[1..].iter().all(|value| *value == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let (mut x_sum, mut y_sum) = (Kahan::default(), Kahan::default());
    let (mut xy_sum, mut xx_sum) = (Kahan::default(), Kahan::default());
    for (&time, &y) in w.times.iter().zip(w.values) {
        let x = (time - origin) as f64 / 1000.0;
        x_sum.add(x);
        y_sum.add(y);
        xy_sum.add(x * y);
        xx_sum.add(x * x);
    }
    let n = w.values.len() as f64;
    let (x, y) = (x_sum.value(), y_sum.value());
    let covariance = xy_sum.value() - x * y / n;
    let variance = xx_sum.value() - x * x / n;
    let slope = covariance / variance;
    (slope, y / n - slope * x / n)
}

/// Two floats make a line; fewer do not, which is worth a remark if there are histograms besides.
fn has_line(w: &Window<'_>, remarks: &mut Remarks<'_>) -> bool {
    if !w.values.is_empty() {
        remarks.histograms_ignored(w);
    }
    w.values.len() >= 2
}

/// `deriv`
#[derive(Debug)]
pub(crate) struct Slope {
    pub lines: Lines,
}

impl Kernel for Slope {
    fn begin(&mut self, _: &Track) {
        self.lines.reset();
    }

    fn apply(&mut self, w: &Window<'_>, remarks: &mut Remarks<'_>) -> Result<Outcome, QueryError> {
        Ok(has_line(w, remarks).then(|| self.lines.slope(w)).into())
    }
}

/// `predict_linear`
#[derive(Debug)]
pub(crate) struct Prediction {
    /// Seconds from the step.
    pub distance: Scalar,
    pub lines: Lines,
}

impl Kernel for Prediction {
    fn begin(&mut self, _: &Track) {
        self.lines.reset();
    }

    fn apply(&mut self, w: &Window<'_>, remarks: &mut Remarks<'_>) -> Result<Outcome, QueryError> {
        let distance = self.distance.at(w.step);
        Ok(has_line(w, remarks).then(|| self.lines.value(w, w.time, distance)).into())
    }
}

/// `double_exponential_smoothing`
#[derive(Debug)]
pub(crate) struct Smoothing {
    pub smoothing: Scalar,
    pub trend: Scalar,
}

impl Kernel for Smoothing {
    fn apply(&mut self, w: &Window<'_>, remarks: &mut Remarks<'_>) -> Result<Outcome, QueryError> {
        let (smoothing, trend) = (self.smoothing.at(w.step), self.trend.at(w.step));
        check("smoothing factor. Expected: 0 < sf", smoothing)?;
        check("trend factor. Expected: 0 < tf", trend)?;
        if !has_line(w, remarks) {
            return Ok(Outcome::Nothing);
        }
        let mut level = w.values[0];
        let mut slope = w.values[1] - w.values[0];
        let mut previous = 0.0;
        for (i, value) in w.values.iter().enumerate().skip(1) {
            if i > 1 {
                slope = trend * (level - previous) + (1.0 - trend) * slope;
            }
            let next = smoothing * value + (1.0 - smoothing) * (level + slope);
            (previous, level) = (level, next);
        }
        Ok(Outcome::Float(level))
    }
}

fn check(name: &str, factor: f64) -> Result<(), QueryError> {
    if factor <= 0.0 || factor >= 1.0 {
        let got = if factor.is_finite() { format!("{factor:.6}") } else { decimal(factor) };
        let text = format!("invalid {name} < 1, got: {got}");
        return Err(QueryError::execution(text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::eval::range::trial::{
        OFFSET, SAMPLES, agree, cells, layout, levels, magnitude, series, variations,
    };

    fn slope(sliding: bool) -> Slope {
        Slope { lines: Lines::new(sliding) }
    }

    fn prediction(distance: f64, sliding: bool) -> Prediction {
        Prediction { distance: Scalar::Constant(distance), lines: Lines::new(sliding) }
    }

    /// `scale` is how large results are that do not cancel.
    fn all_agree(found: &[f64], expected: &[f64], scale: f64) -> Result<(), TestCaseError> {
        prop_assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            let error_max = 1e-9 * expected.abs().max(scale);
            prop_assert!(agree(*found, *expected, error_max), "{found} {expected}");
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn lines_through_a_sliding_window_are_those_through_windows_one_by_one(
            layout in layout(),
            series in series(levels()),
            distance in -100.0..100.0,
        ) {
            let magnitude = magnitude(&series);
            let slopes = |sliding| cells(slope(sliding), &layout, &series);
            all_agree(&slopes(true), &slopes(false), 2.0 * magnitude)?;
            let predictions = |sliding| cells(prediction(distance, sliding), &layout, &series);
            all_agree(&predictions(true), &predictions(false), 100.0 * magnitude)?;
        }

        #[test]
        fn flat_lines_are_rounded_as_those_through_windows_one_by_one(
            layout in layout(),
            small in variations(),
        ) {
            let series = [(small.iter().map(|value| OFFSET + value).collect(), vec![])];
            let slopes = |sliding| cells(slope(sliding), &layout, &series);
            let bits = |slopes: Vec<f64>| slopes.iter().map(|s| s.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(slopes(true)), bits(slopes(false)));
        }

        #[test]
        fn values_that_cancel_are_those_of_windows_one_by_one(
            layout in layout(),
            mut values in prop::collection::vec(-1e3..1e3, SAMPLES),
            spike in (0..SAMPLES, 1e8..1e12),
        ) {
            values[spike.0] = spike.1;
            let series = [(values, vec![])];
            let slopes = cells(slope(false), &layout, &series);
            let now = cells(prediction(0.0, false), &layout, &series);
            for (slope, now) in slopes.iter().zip(&now).filter(|(slope, _)| **slope != 0.0) {
                // When the line through this window is at 1.
                let distance = (1.0 - now) / slope;
                let predictions = |sliding| cells(prediction(distance, sliding), &layout, &series);
                all_agree(&predictions(true), &predictions(false), 0.0)?;
            }
        }
    }
}
