//! Compensated summation (Kahan, with Neumaier's improvement), rounding for rounding as Prometheus.

/// A sum and what rounding has taken from it so far.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Kahan {
    pub sum: f64,
    pub rest: f64,
}

impl Kahan {
    pub fn of(value: f64) -> Self {
        Self { sum: value, rest: 0.0 }
    }

    #[inline]
    pub fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        if sum.is_infinite() {
            self.rest = 0.0;
        } else if self.sum.abs() >= value.abs() {
            self.rest += (self.sum - sum) + value;
        } else {
            self.rest += (value - sum) + self.sum;
        }
        self.sum = sum;
    }

    /// Adds a whole sum.
    pub fn merge(&mut self, other: Self) {
        self.add(other.sum);
        self.rest += other.rest;
    }

    #[inline]
    pub fn value(self) -> f64 {
        self.sum + self.rest
    }

    /// Both parts multiplied.
    pub fn scaled(self, factor: f64) -> Self {
        Self { sum: factor * self.sum, rest: factor * self.rest }
    }
}

/// A mean that is a sum divided at the end, unless that sum would overflow: then it is a running
/// mean from there on.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Mean {
    /// The sum; the mean itself once `running`.
    total: Kahan,
    count: f64,
    running: bool,
}

impl Mean {
    pub fn of(value: f64) -> Self {
        Self { total: Kahan::of(value), count: 1.0, running: false }
    }

    #[inline]
    pub fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.running {
            let mut total = self.total;
            total.add(value);
            if !total.sum.is_infinite() {
                self.total = total;
                return;
            }
            self.run(self.count - 1.0);
        }
        self.total = self.total.scaled((self.count - 1.0) / self.count);
        self.total.add(value / self.count);
    }

    /// Changes over to a running mean.
    fn run(&mut self, count: f64) {
        if !self.running {
            self.running = true;
            self.total.sum /= count;
            self.total.rest /= count;
        }
    }

    /// Adds everything that went into `other`.
    pub fn merge(&mut self, mut other: Self) {
        if !self.running && !other.running {
            let mut total = self.total;
            total.merge(other.total);
            if !total.sum.is_infinite() {
                self.total = total;
                self.count += other.count;
                return;
            }
        }
        self.run(self.count);
        other.run(other.count);
        let count = self.count + other.count;
        self.total = self.total.scaled(self.count / count);
        self.total.merge(other.total.scaled(other.count / count));
        self.count = count;
    }

    #[inline]
    pub fn value(&self) -> f64 {
        if self.running {
            self.total.value()
        } else {
            self.total.sum / self.count + self.total.rest / self.count
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_parts_survive_large_ones() {
        let mut sum = Kahan::default();
        [1e100, 1.0, -1e100].iter().for_each(|v| sum.add(*v));
        assert_eq!(sum.value(), 1.0);
        let mut left = Kahan::of(1e100);
        let mut right = Kahan::of(1.0);
        right.add(-1e100);
        left.merge(right);
        assert_eq!(left.value(), 1.0);
    }

    #[test]
    fn a_mean_survives_a_sum_too_large() {
        let mut mean = Mean::of(f64::MAX);
        mean.add(f64::MAX);
        let mut other = mean;
        assert_eq!(mean.value(), f64::MAX);
        other.merge(mean);
        assert_eq!(other.value(), f64::MAX);
        let mut infinite = Mean::of(f64::INFINITY);
        infinite.add(1.0);
        assert_eq!(infinite.value(), f64::INFINITY);
        infinite.add(f64::NEG_INFINITY);
        assert!(infinite.value().is_nan());
    }
}
