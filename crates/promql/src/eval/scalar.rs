//! The value of a scalar expression over all steps.

use crate::eval::profile::Cost;

/// One number for all steps, or one for each.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    Constant(f64),
    Steps(Vec<f64>),
}

impl Scalar {
    #[inline]
    pub fn at(&self, step: usize) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Steps(values) => values[step],
        }
    }

    pub fn map(self, f: impl Fn(f64) -> f64) -> Self {
        match self {
            Self::Constant(value) => Self::Constant(f(value)),
            Self::Steps(mut values) => {
                values.iter_mut().for_each(|value| *value = f(*value));
                Self::Steps(values)
            }
        }
    }

    pub fn zip(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        match (self, other) {
            (Self::Constant(a), b) => b.map(|b| f(a, b)),
            (a, Self::Constant(b)) => a.map(|a| f(a, b)),
            (Self::Steps(mut a), Self::Steps(b)) => {
                a.iter_mut().zip(b).for_each(|(a, b)| *a = f(*a, b));
                Self::Steps(a)
            }
        }
    }

    /// What it takes in memory.
    pub fn cost(&self) -> Cost {
        match self {
            Self::Constant(_) => Cost::of_cells(&[0.0]),
            Self::Steps(values) => Cost::of_cells(values),
        }
    }

    /// The values of the first `steps` steps.
    pub fn values(&self, steps: usize) -> impl Iterator<Item = f64> + '_ {
        (0..steps).map(|step| self.at(step))
    }
}
