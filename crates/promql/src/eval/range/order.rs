//! `quantile_over_time` and `mad_over_time`: functions of a window's values in order.

use crate::QueryError;
use crate::eval::quantile::quantile;
use crate::eval::range::sorted::Sorted;
use crate::eval::range::track::Track;
use crate::eval::range::window::{Kernel, Outcome, Remarks, Window};
use crate::eval::scalar::Scalar;

/// `quantile_over_time`
#[derive(Debug)]
pub(crate) struct Quantile {
    pub q: Scalar,
    /// Present if windows overlap much.
    pub sliding: Option<Sorted>,
    pub scratch: Vec<f64>,
}

impl Quantile {
    fn value(&mut self, q: f64, w: &Window<'_>) -> f64 {
        let sliding = self.sliding.as_mut().and_then(|sorted| {
            sorted.advance(w.first, w.values);
            sorted.quantile(q)
        });
        sliding.unwrap_or_else(|| {
            self.scratch.clear();
            self.scratch.extend_from_slice(w.values);
            quantile(q, &mut self.scratch)
        })
    }
}

impl Kernel for Quantile {
    fn begin(&mut self, _: &Track) {
        self.sliding.iter_mut().for_each(Sorted::reset);
    }

    fn apply(&mut self, w: &Window<'_>, remarks: &mut Remarks<'_>) -> Result<Outcome, QueryError> {
        if w.values.is_empty() {
            return Ok(Outcome::Nothing);
        }
        let q = self.q.at(w.step);
        if !(0.0..=1.0).contains(&q) {
            remarks.notes.invalid_quantile(q, remarks.span);
        }
        remarks.histograms_ignored(w);
        Ok(Outcome::Float(self.value(q, w)))
    }
}

/// `mad_over_time`: the median of the distances from the median.
#[derive(Debug)]
pub(crate) struct MedianDeviation {
    /// Present if windows overlap much.
    pub sliding: Option<Sorted>,
    pub scratch: Vec<f64>,
}

impl MedianDeviation {
    fn value(&mut self, w: &Window<'_>) -> f64 {
        let sliding = self.sliding.as_mut().and_then(|sorted| {
            sorted.advance(w.first, w.values);
            sorted.median_deviation()
        });
        sliding.unwrap_or_else(|| self.sorted_anew(w.values))
    }

    fn sorted_anew(&mut self, values: &[f64]) -> f64 {
        if values.iter().any(|value| value.is_nan()) {
            return f64::NAN;
        }
        self.scratch.clear();
        self.scratch.extend_from_slice(values);
        let median = quantile(0.5, &mut self.scratch);
        self.scratch.iter_mut().for_each(|value| *value = (*value - median).abs());
        quantile(0.5, &mut self.scratch)
    }
}

impl Kernel for MedianDeviation {
    fn begin(&mut self, _: &Track) {
        self.sliding.iter_mut().for_each(Sorted::reset);
    }

    fn apply(&mut self, w: &Window<'_>, remarks: &mut Remarks<'_>) -> Result<Outcome, QueryError> {
        if w.values.is_empty() {
            return Ok(Outcome::Nothing);
        }
        remarks.histograms_ignored(w);
        Ok(Outcome::Float(self.value(w)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::eval::range::trial::{Layout, SAMPLES, STEPS, Series, cells, layout, series};

    /// Series of numbers that are often equal; those of numbers of every sort.
    fn values() -> impl Strategy<Value = Vec<f64>> {
        let numbers = prop_oneof![4 => -1e3..1e3, 1 => (-3i8..4).prop_map(f64::from)];
        let zeros = prop_oneof![3 => -1.0..1.0, 1 => Just(0.0), 1 => Just(-0.0)];
        let odd = [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, -5e-324];
        let odd = prop_oneof![60 => -1e3..1e3, 1 => prop::sample::select(odd.to_vec())];
        let infinities = [f64::INFINITY, f64::NEG_INFINITY, 1.0, f64::MIN, f64::MAX];
        let infinities = prop::sample::select(infinities.to_vec());
        prop_oneof![
            prop::collection::vec(numbers, SAMPLES),
            prop::collection::vec(zeros, SAMPLES),
            prop::collection::vec(odd, SAMPLES),
            prop::collection::vec(infinities, SAMPLES),
        ]
    }

    fn quantiles() -> impl Strategy<Value = Scalar> {
        let odd = prop::sample::select(vec![0.0, 0.5, 1.0, -0.1, 1.1, -0.0, f64::NAN]);
        let q = prop_oneof![3 => 0.0..1.0, 1 => odd];
        prop_oneof![
            q.clone().prop_map(Scalar::Constant),
            prop::collection::vec(q, STEPS).prop_map(Scalar::Steps),
        ]
    }

    fn all_bits(kernel: impl Kernel, layout: &Layout, series: &[Series]) -> Vec<u64> {
        cells(kernel, layout, series).into_iter().map(f64::to_bits).collect()
    }

    proptest! {
        #[test]
        fn quantiles_of_a_sliding_window_are_those_of_windows_sorted_anew(
            layout in layout(),
            q in quantiles(),
            series in series(values()),
        ) {
            let kernel = |sliding| Quantile { q: q.clone(), sliding, scratch: Vec::new() };
            prop_assert_eq!(
                all_bits(kernel(Some(Sorted::default())), &layout, &series),
                all_bits(kernel(None), &layout, &series)
            );
        }

        #[test]
        fn median_deviations_of_a_sliding_window_are_those_of_windows_sorted_anew(
            layout in layout(),
            series in series(values()),
        ) {
            let kernel = |sliding| MedianDeviation { sliding, scratch: Vec::new() };
            prop_assert_eq!(
                all_bits(kernel(Some(Sorted::default())), &layout, &series),
                all_bits(kernel(None), &layout, &series)
            );
        }
    }
}
