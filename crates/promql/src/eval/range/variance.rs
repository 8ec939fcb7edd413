//! `stddev_over_time` and `stdvar_over_time`.

use crate::QueryError;
use crate::eval::kahan::Kahan;
use crate::eval::range::moments::Spread;
use crate::eval::range::sliding::Sliding;
use crate::eval::range::track::Track;
use crate::eval::range::window::{Kernel, Outcome, Remarks, Window};

/// `stdvar_over_time`, `stddev_over_time`
#[derive(Debug)]
pub(crate) struct Variance {
    /// The square root of it.
    pub deviation: bool,
    /// Present if windows overlap much.
    pub sliding: Option<Sliding<Spread>>,
}

impl Variance {
    fn value(&mut self, w: &Window<'_>) -> f64 {
        let sliding = self.sliding.as_mut().map(|sliding| {
            sliding.fold(w.first, w.values.len(), |place| w.values[place]).variance()
        });
        // What is not finite depends on the order of the operations.
        sliding.filter(|variance| variance.is_finite()).unwrap_or_else(|| variance(w.values))
    }
}

/// As Prometheus works it out, rounding for rounding.
fn variance(values: &[f64]) -> f64 {
    let (mut mean, mut squares) = (Kahan::default(), Kahan::default());
    let mut count = 0.0;
    for &value in values {
        count += 1.0;
        let distance = value - mean.value();
        mean.add(distance / count);
        squares.add(distance * (value - mean.value()));
    }
    squares.value() / count
}

impl Kernel for Variance {
    fn begin(&mut self, _: &Track) {
        self.sliding.iter_mut().for_each(Sliding::reset);
    }

    fn apply(&mut self, w: &Window<'_>, remarks: &mut Remarks<'_>) -> Result<Outcome, QueryError> {
        if w.values.is_empty() {
            return Ok(Outcome::Nothing);
        }
        remarks.histograms_ignored(w);
        let variance = self.value(w);
        Ok(Outcome::Float(if self.deviation { variance.sqrt() } else { variance }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::eval::frame::float_cell;
    use crate::eval::range::trial::{
        OFFSET, agree, cells, layout, levels, magnitude, series, variations,
    };

    fn kernel(deviation: bool, sliding: bool) -> Variance {
        Variance { deviation, sliding: sliding.then(|| Sliding::new(Spread)) }
    }

    proptest! {
        #[test]
        fn deviations_of_a_sliding_window_are_those_of_windows_one_by_one(
            layout in layout(),
            series in series(levels()),
        ) {
            let magnitude = magnitude(&series);
            for (deviation, scale) in [(true, magnitude), (false, magnitude * magnitude)] {
                let found = cells(kernel(deviation, true), &layout, &series);
                let expected = cells(kernel(deviation, false), &layout, &series);
                for (found, expected) in found.into_iter().zip(expected) {
                    prop_assert!(agree(found, expected, 1e-9 * scale), "{found} {expected}");
                }
            }
        }

        #[test]
        fn deviations_of_a_sliding_window_lose_nothing_to_large_values(
            layout in layout(),
            small in variations(),
        ) {
            let large = small.iter().map(|value| OFFSET + value).collect();
            let found = cells(kernel(true, true), &layout, &[(large, vec![])]);
            let expected = cells(kernel(true, false), &layout, &[(small, vec![])]);
            for (found, expected) in found.into_iter().zip(expected) {
                prop_assert!(agree(found, expected, 1e-6 * expected), "{found} {expected}");
            }
        }
    }

    #[test]
    fn a_lone_value_deviates_by_nothing_if_it_is_a_number() {
        for value in [1e300, 0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            let found = Sliding::new(Spread).fold(0, 1, |_| value).variance();
            assert_eq!(float_cell(found).to_bits(), float_cell(variance(&[value])).to_bits());
        }
    }

    #[test]
    fn many_samples_add_up_little_error() {
        let values: Vec<f64> = (0..12_000).map(|i| f64::from(i * i % 7919) * 1e-3 + 5e6).collect();
        let mut sliding = Sliding::new(Spread);
        for first in 0..8_000 {
            let window = &values[first..first + 4_000];
            let found = sliding.fold(first, window.len(), |place| window[place]).variance();
            if first % 1_000 == 999 {
                let near: Vec<f64> = window.iter().map(|value| value - 5e6).collect();
                let expected = variance(&near);
                assert!(agree(found, expected, 1e-12 * expected), "{found} {expected}");
            }
        }
    }
}
