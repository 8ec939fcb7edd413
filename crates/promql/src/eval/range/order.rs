//! `quantile_over_time` and `mad_over_time`: functions of a window's values in order.

use crate::QueryError;
use crate::eval::quantile::quantile;
use crate::eval::range::window::{Kernel, Outcome, Remarks, Window};
use crate::eval::scalar::Scalar;

/// `quantile_over_time`
#[derive(Debug)]
pub(crate) struct Quantile {
    pub q: Scalar,
    pub sorted: Vec<f64>,
}

impl Kernel for Quantile {
    fn apply(&mut self, w: &Window<'_>, remarks: &mut Remarks<'_>) -> Result<Outcome, QueryError> {
        if w.values.is_empty() {
            return Ok(Outcome::Nothing);
        }
        let q = self.q.at(w.step);
        if !(0.0..=1.0).contains(&q) {
            remarks.notes.invalid_quantile(q, remarks.span);
        }
        remarks.histograms_ignored(w);
        self.sorted.clear();
        self.sorted.extend_from_slice(w.values);
        Ok(Outcome::Float(quantile(q, &mut self.sorted)))
    }
}

/// `mad_over_time`: the median of the distances from the median.
#[derive(Debug, Default)]
pub(crate) struct MedianDeviation {
    sorted: Vec<f64>,
}

impl Kernel for MedianDeviation {
    fn apply(&mut self, w: &Window<'_>, remarks: &mut Remarks<'_>) -> Result<Outcome, QueryError> {
        if w.values.is_empty() {
            return Ok(Outcome::Nothing);
        }
        remarks.histograms_ignored(w);
        if w.values.iter().any(|value| value.is_nan()) {
            return Ok(Outcome::Float(f64::NAN));
        }
        self.sorted.clear();
        self.sorted.extend_from_slice(w.values);
        let median = quantile(0.5, &mut self.sorted);
        self.sorted.iter_mut().for_each(|value| *value = (*value - median).abs());
        Ok(Outcome::Float(quantile(0.5, &mut self.sorted)))
    }
}
