//! `deriv`, `predict_linear` and `double_exponential_smoothing`: lines through a window's values.

use crate::QueryError;
use crate::eval::kahan::Kahan;
use crate::eval::number::decimal;
use crate::eval::range::window::{Kernel, Outcome, Remarks, Window};
use crate::eval::scalar::Scalar;

/// Slope per second and value at `origin` of the line with the least squared distances.
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
pub(crate) struct Slope;

impl Kernel for Slope {
    fn apply(&mut self, w: &Window<'_>, remarks: &mut Remarks<'_>) -> Result<Outcome, QueryError> {
        Ok(has_line(w, remarks).then(|| line(w, w.times[0]).0).into())
    }
}

/// `predict_linear`
#[derive(Debug)]
pub(crate) struct Prediction {
    /// Seconds from the step.
    pub distance: Scalar,
}

impl Kernel for Prediction {
    fn apply(&mut self, w: &Window<'_>, remarks: &mut Remarks<'_>) -> Result<Outcome, QueryError> {
        let predict = || {
            let (slope, intercept) = line(w, w.time);
            slope * self.distance.at(w.step) + intercept
        };
        Ok(has_line(w, remarks).then(predict).into())
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
