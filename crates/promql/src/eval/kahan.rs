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
        let rest = self.rest + error_of_sum(self.sum, value, sum);
        self.rest = if sum.is_infinite() { 0.0 } else { rest };
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

/// What rounding has taken from `sum`, that of the two numbers. The same as Neumaier's difference from
/// the larger of the two, which is exact as well, but without a branch (Knuth's two-sum).
#[inline]
fn error_of_sum(a: f64, b: f64, sum: f64) -> f64 {
    let added = sum - a;
    (a - (sum - added)) + (b - added)
}

/// The sum of all values. Many are added up in several sums side by side: what differs from adding
/// them one by one is less than rounding.
pub(crate) fn sum(values: &[f64]) -> Kahan {
    const MANY: usize = 64;
    let many = if values.len() < MANY { None } else { sum_in_lanes(values) };
    many.unwrap_or_else(|| {
        let mut sum = Kahan::default();
        values.iter().for_each(|value| sum.add(*value));
        sum
    })
}

/// Sums of numbers below do not overflow, however many there are.
const LARGE: f64 = 1e290;

/// Can sums of such numbers overflow?
pub(crate) fn is_large(value: &f64) -> bool {
    value.is_finite() && value.abs() >= LARGE
}

/// `None` where the order matters: with infinities, NaN, and what could overflow on the way.
fn sum_in_lanes(values: &[f64]) -> Option<Kahan> {
    const LANES: usize = 8;
    let (rows, rest) = values.as_chunks::<LANES>();
    let (mut sums, mut rests, mut largest) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
    for row in rows {
        for lane in 0..LANES {
            let value = row[lane];
            let after = sums[lane] + value;
            rests[lane] += error_of_sum(sums[lane], value, after);
            sums[lane] = after;
            largest[lane] = if value.abs() > largest[lane] { value.abs() } else { largest[lane] };
        }
    }
    let mut total = Kahan::default();
    for lane in 0..LANES {
        total.merge(Kahan { sum: sums[lane], rest: rests[lane] });
    }
    rest.iter().for_each(|value| total.add(*value));
    let small = largest.iter().all(|value| *value < LARGE);
    (small && total.value().is_finite()).then_some(total)
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
    fn many_values_add_up_as_one_by_one() {
        let one_by_one = |values: &[f64]| {
            let mut sum = Kahan::default();
            values.iter().for_each(|value| sum.add(*value));
            sum.value()
        };
        let mut values: Vec<f64> = (0..1000).map(|i| f64::from(i * i) * 1e-3 - 7e4).collect();
        values[17] = 1e80;
        values[500] = -1e80;
        let (all, expected) = (sum(&values).value(), one_by_one(&values));
        assert!((all - expected).abs() < 1e-14 * expected.abs(), "{all} {expected}");
        for odd in [f64::INFINITY, f64::NAN, f64::MAX] {
            values[333] = odd;
            values[334] = odd;
            assert_eq!(sum(&values).value().to_bits(), one_by_one(&values).to_bits());
        }
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
