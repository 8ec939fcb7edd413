//! The common divisor of a column: counters of pages or sectors are multiples of 4096 or 512.

use crate::DecodeError;
use crate::varint::{Input, put_varint};

/// Every integer of the column is `quotient · divisor + remainder`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Divisor {
    divisor: i64,
    remainder: i64,
}

impl Divisor {
    /// The greatest divisor of all differences, if it is above one.
    pub fn of(ints: &[i64]) -> Option<Self> {
        let &first = ints.first()?;
        let mut divisor = 0u64;
        for &x in ints {
            divisor = greatest_common(divisor, x.abs_diff(first));
            if divisor == 1 {
                return None;
            }
        }
        let divisor = i64::try_from(divisor).ok().filter(|&d| d > 1)?;
        Some(Self { divisor, remainder: first.rem_euclid(divisor) })
    }

    /// Replaces the integers by their quotients.
    pub fn divide(&self, ints: &mut [i64]) {
        match self.divisor {
            d if d & (d - 1) == 0 => {
                let shift = d.trailing_zeros();
                ints.iter_mut().for_each(|x| *x >>= shift);
            }
            d => ints.iter_mut().for_each(|x| *x = x.div_euclid(d)),
        }
    }

    #[inline]
    pub fn multiply(&self, quotient: i64) -> i64 {
        quotient.wrapping_mul(self.divisor).wrapping_add(self.remainder)
    }

    pub fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.divisor as u64);
        put_varint(out, self.remainder as u64);
    }

    pub fn read(input: &mut Input<'_>) -> Result<Self, DecodeError> {
        let divisor = input.varint()? as i64;
        let remainder = input.varint()? as i64;
        Ok(Self { divisor, remainder })
    }
}

fn greatest_common(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
