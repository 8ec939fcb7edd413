//! What a bucket holds while histograms are added: a float, or a float with its rounding error.

/// A number of observations (or a sum of observed values) that others are added to.
pub(super) trait Count: Copy + Default {
    fn of(value: f64) -> Self;
    fn plus(self, other: Self) -> Self;
    fn scaled(self, factor: f64) -> Self;
    fn divided(self, divisor: f64) -> Self;
    /// The number to be handed out.
    fn value(self) -> f64;
    fn is_zero(self) -> bool;
}

impl Count for f64 {
    fn of(value: f64) -> Self {
        value
    }

    fn plus(self, other: Self) -> Self {
        self + other
    }

    fn scaled(self, factor: f64) -> Self {
        self * factor
    }

    fn divided(self, divisor: f64) -> Self {
        self / divisor
    }

    fn value(self) -> f64 {
        self
    }

    fn is_zero(self) -> bool {
        self == 0.0
    }
}

/// A Kahan sum in Neumaier's form.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Compensated {
    pub sum: f64,
    /// What rounding took from `sum` so far.
    pub error: f64,
}

impl Compensated {
    /// The sum as it is: an error of -0 changes no number, not even a zero.
    pub fn without_error(self) -> Self {
        Self { error: -0.0, ..self }
    }

    fn plus_float(self, x: f64) -> Self {
        let sum = self.sum + x;
        let error = if sum.is_infinite() {
            0.0
        } else if self.sum.abs() >= x.abs() {
            self.error + ((self.sum - sum) + x)
        } else {
            self.error + ((x - sum) + self.sum)
        };
        Self { sum, error }
    }
}

impl Count for Compensated {
    fn of(value: f64) -> Self {
        Self { sum: value, error: 0.0 }
    }

    fn plus(self, other: Self) -> Self {
        let sum = self.plus_float(other.sum);
        if other.error == 0.0 { sum } else { sum.plus_float(other.error) }
    }

    fn scaled(self, factor: f64) -> Self {
        Self { sum: self.sum * factor, error: self.error * factor }
    }

    fn divided(self, divisor: f64) -> Self {
        Self { sum: self.sum / divisor, error: self.error / divisor }
    }

    fn value(self) -> f64 {
        self.sum + self.error
    }

    fn is_zero(self) -> bool {
        self.sum == 0.0 && self.error == 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_terms_survive_large_ones() {
        let sum = [1.0, 1e100, 1.0, -1e100]
            .into_iter()
            .fold(Compensated::default(), |sum, x| sum.plus(Compensated::of(x)));
        assert_eq!(sum.value(), 2.0);
    }

    #[test]
    fn overflow_leaves_infinity_without_error() {
        let sum = Compensated::of(f64::MAX).plus(Compensated::of(f64::MAX));
        assert_eq!((sum.sum, sum.error), (f64::INFINITY, 0.0));
    }
}
