//! Means and squared distances from them, put together from those of parts (Chan, Golub, LeVeque).
//!
//! Invariant: means are kept as distances from the part's first sample, so that they are as precise as
//! the variation is small, however large the values are. Of equal values every distance is exactly 0.

use crate::eval::range::sliding::Fold;

/// Folds values.
#[derive(Debug)]
pub(super) struct Spread;

#[derive(Debug, Clone, Copy)]
pub(super) struct Moments {
    count: f64,
    first: f64,
    /// From the first.
    mean: f64,
    /// Of the distances from the mean, added up.
    squares: f64,
}

impl Moments {
    pub fn variance(self) -> f64 {
        self.squares / self.count
    }
}

impl Fold for Spread {
    type Sample = f64;
    type State = Moments;

    #[inline]
    fn of(&self, value: f64) -> Moments {
        let squares = if value.is_finite() { 0.0 } else { f64::NAN };
        Moments { count: 1.0, first: value, mean: 0.0, squares }
    }

    #[inline]
    fn join(&self, state: Moments, later: Moments) -> Moments {
        let count = state.count + later.count;
        let share = later.count / count;
        let distance = (later.first - state.first) + (later.mean - state.mean);
        Moments {
            count,
            first: state.first,
            mean: state.mean + share * distance,
            squares: state.squares + later.squares + state.count * share * distance * distance,
        }
    }
}

/// Folds values with their times.
#[derive(Debug)]
pub(super) struct Scatter;

#[derive(Debug, Clone, Copy)]
pub(super) struct Comoments {
    count: f64,
    /// Milliseconds.
    first_time: i64,
    first: f64,
    /// From the first, in milliseconds.
    mean_time: f64,
    /// From the first.
    mean: f64,
    /// Of the distances from the mean time, added up.
    squares: f64,
    /// Of the distances from both means, added up.
    products: f64,
    /// Of all values, without their signs.
    largest: f64,
    /// Are all values equal?
    constant: bool,
}

impl Comoments {
    pub fn is_constant(self) -> bool {
        self.constant
    }

    /// The largest value, whichever its sign.
    pub fn magnitude(self) -> f64 {
        self.largest
    }

    /// Slope per second and value at `origin` of the line with the least squared distances, through at
    /// least two samples.
    pub fn line(self, origin: i64) -> (f64, f64) {
        if self.constant {
            return (0.0, self.first);
        }
        let slope = self.products / self.squares * 1000.0;
        let seconds = ((self.first_time - origin) as f64 + self.mean_time) / 1000.0;
        (slope, self.first + (self.mean - slope * seconds))
    }
}

impl Fold for Scatter {
    type Sample = (i64, f64);
    type State = Comoments;

    #[inline]
    fn of(&self, (time, value): (i64, f64)) -> Comoments {
        Comoments {
            count: 1.0,
            first_time: time,
            first: value,
            mean_time: 0.0,
            mean: 0.0,
            squares: 0.0,
            products: 0.0,
            largest: value.abs(),
            constant: true,
        }
    }

    #[inline]
    fn join(&self, state: Comoments, later: Comoments) -> Comoments {
        let count = state.count + later.count;
        let share = later.count / count;
        let time =
            (later.first_time - state.first_time) as f64 + (later.mean_time - state.mean_time);
        let distance = (later.first - state.first) + (later.mean - state.mean);
        let weighted = state.count * share * time;
        Comoments {
            count,
            first_time: state.first_time,
            first: state.first,
            mean_time: state.mean_time + share * time,
            mean: state.mean + share * distance,
            squares: state.squares + later.squares + weighted * time,
            products: state.products + later.products + weighted * distance,
            largest: state.largest.max(later.largest),
            constant: state.constant && later.constant && state.first == later.first,
        }
    }
}
