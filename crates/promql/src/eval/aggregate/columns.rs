//! How the floats of a group become one number.

use crate::eval::frame::{ABSENT, is_absent};
use crate::eval::kahan::{Kahan, Mean};

/// An aggregation's state for one group at one step. `EMPTY` until the first sample.
pub(super) trait Reduce: Copy + Send {
    const EMPTY: Self;
    /// Histograms count as samples, too.
    const COUNTS_HISTOGRAMS: bool = false;

    fn is_empty(&self) -> bool;
    fn add(&mut self, value: f64);
    /// Adds everything that went into `other`, which is not empty.
    fn merge(&mut self, other: &Self);
    /// The result, if not empty.
    fn value(&self) -> f64;
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Sum(Kahan);

impl Reduce for Sum {
    const EMPTY: Self = Self(Kahan { sum: ABSENT, rest: 0.0 });

    #[inline]
    fn is_empty(&self) -> bool {
        is_absent(self.0.sum)
    }

    #[inline]
    fn add(&mut self, value: f64) {
        if self.is_empty() {
            self.0 = Kahan::of(value);
        } else {
            self.0.add(value);
        }
    }

    fn merge(&mut self, other: &Self) {
        if self.is_empty() {
            *self = *other;
        } else {
            self.0.merge(other.0);
        }
    }

    fn value(&self) -> f64 {
        self.0.value()
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Avg(Option<Mean>);

impl Reduce for Avg {
    const EMPTY: Self = Self(None);

    fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    #[inline]
    fn add(&mut self, value: f64) {
        match &mut self.0 {
            None => self.0 = Some(Mean::of(value)),
            Some(mean) => mean.add(value),
        }
    }

    fn merge(&mut self, other: &Self) {
        match (&mut self.0, other.0) {
            (None, other) => self.0 = other,
            (Some(mean), Some(other)) => mean.merge(other),
            (Some(_), None) => {}
        }
    }

    fn value(&self) -> f64 {
        self.0.map_or(f64::NAN, |mean| mean.value())
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Count(u64);

impl Reduce for Count {
    const EMPTY: Self = Self(0);
    const COUNTS_HISTOGRAMS: bool = true;

    fn is_empty(&self) -> bool {
        self.0 == 0
    }

    #[inline]
    fn add(&mut self, _: f64) {
        self.0 += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.0 += other.0;
    }

    fn value(&self) -> f64 {
        self.0 as f64
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Group(bool);

impl Reduce for Group {
    const EMPTY: Self = Self(false);
    const COUNTS_HISTOGRAMS: bool = true;

    fn is_empty(&self) -> bool {
        !self.0
    }

    #[inline]
    fn add(&mut self, _: f64) {
        self.0 = true;
    }

    fn merge(&mut self, other: &Self) {
        self.0 |= other.0;
    }

    fn value(&self) -> f64 {
        1.0
    }
}

macro_rules! extreme {
    ($name:ident, $better:tt) => {
        /// NaN only if there is nothing else.
        #[derive(Debug, Clone, Copy)]
        pub(super) struct $name(f64);

        impl Reduce for $name {
            const EMPTY: Self = Self(ABSENT);

            #[inline]
            fn is_empty(&self) -> bool {
                is_absent(self.0)
            }

            #[inline]
            fn add(&mut self, value: f64) {
                // The empty state is a NaN as well.
                if value $better self.0 || self.0.is_nan() {
                    self.0 = value;
                }
            }

            fn merge(&mut self, other: &Self) {
                self.add(other.0);
            }

            fn value(&self) -> f64 {
                self.0
            }
        }
    };
}

extreme!(Min, <);
extreme!(Max, >);

/// Number, mean and sum of squared distances from it (Welford).
#[derive(Debug, Clone, Copy)]
pub(super) struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    const EMPTY: Self = Self { count: 0.0, mean: 0.0, squares: 0.0 };

    #[inline]
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.mean = value;
            self.squares = if value.is_finite() { 0.0 } else { f64::NAN };
            return;
        }
        let distance = value - self.mean;
        self.mean += distance / self.count;
        self.squares += distance * (value - self.mean);
    }

    fn merge(&mut self, other: &Self) {
        if self.count == 0.0 {
            *self = *other;
            return;
        }
        let count = self.count + other.count;
        let distance = other.mean - self.mean;
        self.squares += other.squares + distance * distance * (self.count * other.count / count);
        self.mean += distance * (other.count / count);
        self.count = count;
    }

    fn variance(&self) -> f64 {
        self.squares / self.count
    }
}

macro_rules! moments {
    ($name:ident, $value:expr) => {
        #[derive(Debug, Clone, Copy)]
        pub(super) struct $name(Moments);

        impl Reduce for $name {
            const EMPTY: Self = Self(Moments::EMPTY);

            fn is_empty(&self) -> bool {
                self.0.count == 0.0
            }

            #[inline]
            fn add(&mut self, value: f64) {
                self.0.add(value);
            }

            fn merge(&mut self, other: &Self) {
                self.0.merge(&other.0);
            }

            fn value(&self) -> f64 {
                let value: fn(f64) -> f64 = $value;
                value(self.0.variance())
            }
        }
    };
}

moments!(Stdvar, |variance| variance);
moments!(Stddev, f64::sqrt);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all<R: Reduce>(values: &[f64]) -> R {
        let mut state = R::EMPTY;
        values.iter().for_each(|value| state.add(*value));
        state
    }

    fn check<R: Reduce>(values: &[f64], cut: usize) {
        let mut parts: R = all(&values[..cut]);
        let rest: R = all(&values[cut..]);
        if !rest.is_empty() {
            parts.merge(&rest);
        }
        let whole: R = all(values);
        assert_eq!(parts.is_empty(), whole.is_empty());
        if !whole.is_empty() {
            let (a, b) = (parts.value(), whole.value());
            let scale = values.iter().fold(0.0, |max: f64, v| max.max(v.abs()));
            let close = (a - b).abs() <= 1e-12 * scale.max(scale * scale);
            assert!(close || (a.is_nan() && b.is_nan()) || a == b, "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn parts_add_up_to_the_whole(
            values in proptest::collection::vec(
                prop_oneof![-1e6..1e6f64, Just(f64::NAN), Just(f64::INFINITY)], 0..20),
            cut in 0usize..20,
        ) {
            let cut = cut.min(values.len());
            check::<Sum>(&values, cut);
            check::<Avg>(&values, cut);
            check::<Count>(&values, cut);
            check::<Group>(&values, cut);
            check::<Min>(&values, cut);
            check::<Max>(&values, cut);
            check::<Stdvar>(&values, cut);
        }
    }
}
