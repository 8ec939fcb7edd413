//! Aggregates of one chunk, so that a query over all of it need not decode it.

use crate::DecodeError;
use crate::varint::Input;

/// Over plain numbers only: a chunk with NaN, staleness markers or histograms has none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stats {
    pub count: usize,
    pub min: f64,
    pub max: f64,
    /// Summed in time order with Neumaier's compensation, as `sum_over_time` does.
    pub sum: f64,
}

impl Stats {
    /// `None` when there is no value or one of them is NaN.
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() || values.iter().any(|v| v.is_nan()) {
            return None;
        }
        let min = values.iter().copied().fold(f64::INFINITY, f64::min);
        let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Some(Self { count: values.len(), min, max, sum: compensated_sum(values) })
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        for number in [self.min, self.max, self.sum] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }

    pub(crate) fn read(input: &mut Input<'_>, count: usize) -> Result<Self, DecodeError> {
        Ok(Self { count, min: input.f64()?, max: input.f64()?, sum: input.f64()? })
    }
}

fn compensated_sum(values: &[f64]) -> f64 {
    let (mut sum, mut lost) = (0.0f64, 0.0f64);
    for &value in values {
        let next = sum + value;
        if next.is_infinite() {
            lost = 0.0;
        } else if sum.abs() >= value.abs() {
            lost += (sum - next) + value;
        } else {
            lost += (value - next) + sum;
        }
        sum = next;
    }
    sum + lost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aggregates_are_those_of_the_values() {
        let stats = Stats::of(&[1e100, 3.0, -1e100, 0.5]).unwrap();
        assert_eq!((stats.count, stats.min, stats.max, stats.sum), (4, -1e100, 1e100, 3.5));
        assert_eq!(Stats::of(&[f64::INFINITY, 1.0]).unwrap().sum, f64::INFINITY);
    }

    #[test]
    fn there_are_none_without_numbers() {
        assert_eq!(Stats::of(&[]), None);
        assert_eq!(Stats::of(&[1.0, f64::NAN]), None);
    }
}
