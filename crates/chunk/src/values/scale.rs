//! Scales: how the doubles of a chunk become integers, and back to the very same bits.
//!
//! Producers divide (`ticks / 100`), multiply by an inverse (`ms * 0.001`) or divide twice
//! (`µs / 1000 / 1000`); each rounds differently, so each is its own scale. Doubles of any other
//! origin become the integers that sort like them.

use super::Column;
use super::divisor::Divisor;
use crate::DecodeError;
use crate::varint::Input;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// `value = integer`
    Integer,
    /// `value = integer / 10^e`
    Divide(u8),
    /// `value = integer * 10^-e`
    Multiply(u8),
    /// `value = integer / 10^e / 10^e`
    DivideTwice(u8),
    /// The bits, mapped so that integers sort like the numbers.
    Bits,
}

/// A scale that still lacks its exponent.
type Kind = fn(u8) -> Scale;

const POWERS: [f64; 19] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18,
];
const INVERSES: [f64; 19] = [
    1e-0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13, 1e-14,
    1e-15, 1e-16, 1e-17, 1e-18,
];
/// Adding and subtracting this rounds a double below 2^51 to the nearest integer, and the sum's low
/// bits are that integer: no call, no branch, so the loop becomes vector code.
const ROUND: f64 = 6_755_399_441_055_744.0;
const ROUND_LIMIT: f64 = 2_251_799_813_685_248.0;
/// Values looked at before all are scaled.
const SAMPLE: usize = 16;
/// One exception takes about nine bytes: beyond one value in sixteen another scale is better.
const EXCEPTIONS_PER: usize = 16;

/// A column under its scale.
pub struct Scaled {
    pub scale: Scale,
    /// One per value; an exception repeats its neighbour.
    pub ints: Vec<i64>,
    /// Ascending positions of the values that the scale cannot express.
    pub exceptions: Vec<usize>,
}

impl Scaled {
    /// Finds the scale by a sample, then widens it while exceptions ask for more digits.
    pub fn of(values: &[f64]) -> Self {
        let step = values.len().div_ceil(SAMPLE).max(1);
        let mut scale = Scale::for_sample(values.iter().step_by(step));
        let mut scaled = scale.apply(values);
        while let Some(wider) = scale.widened(values, &scaled.exceptions) {
            scale = wider;
            scaled = scale.apply(values);
        }
        if scaled.exceptions.len() > values.len() / EXCEPTIONS_PER + 1 {
            return Scale::Bits.apply(values);
        }
        scaled.fill_exceptions();
        scaled
    }

    fn fill_exceptions(&mut self) {
        let mut exceptions = self.exceptions.iter().peekable();
        let first = (0..self.ints.len()).find(|i| self.exceptions.binary_search(i).is_err());
        let mut last = first.map_or(0, |i| self.ints[i]);
        for (i, x) in self.ints.iter_mut().enumerate() {
            match exceptions.next_if_eq(&&i) {
                Some(_) => *x = last,
                None => last = *x,
            }
        }
    }
}

impl Scale {
    pub fn code(self) -> u8 {
        match self {
            Self::Integer => 2,
            Self::Divide(_) => 3,
            Self::Multiply(_) => 4,
            Self::DivideTwice(_) => 5,
            Self::Bits => 6,
        }
    }

    pub fn exponent(self) -> Option<u8> {
        match self {
            Self::Divide(e) | Self::Multiply(e) | Self::DivideTwice(e) => Some(e),
            Self::Integer | Self::Bits => None,
        }
    }

    pub fn read(code: u8, input: &mut Input<'_>) -> Result<Self, DecodeError> {
        let mut exponent = || {
            let e = input.byte()?;
            if e as usize >= POWERS.len() { Err(DecodeError::Invalid("scale")) } else { Ok(e) }
        };
        match code {
            2 => Ok(Self::Integer),
            3 => exponent().map(Self::Divide),
            4 => exponent().map(Self::Multiply),
            5 => exponent().map(Self::DivideTwice),
            6 => Ok(Self::Bits),
            _ => Err(DecodeError::Invalid("value encoding")),
        }
    }

    /// The integer that stands for `value`, if this scale has one.
    pub fn integer(self, value: f64) -> Option<i64> {
        let (integer, back) = match self {
            Self::Integer => whole(value),
            Self::Divide(e) => divided(value, POWERS[e as usize]),
            Self::Multiply(e) => multiplied(value, POWERS[e as usize], INVERSES[e as usize]),
            Self::DivideTwice(e) => divided_twice(value, POWERS[e as usize]),
            Self::Bits => return Some(ordered(value.to_bits())),
        };
        same(back, value).then_some(integer)
    }

    /// The kind that expresses most of the sample, with the fewest digits.
    fn for_sample<'a>(sample: impl Iterator<Item = &'a f64> + Clone) -> Self {
        let kinds: [(Kind, u8); 3] =
            [(Self::Divide, 1), (Self::Multiply, 1), (Self::DivideTwice, 2)];
        let finite = sample.filter(|v| v.is_finite());
        let total = finite.clone().count();
        if finite.clone().all(|&v| Self::Integer.integer(v).is_some()) {
            return Self::Integer;
        }
        let mut best = (total - total / 4, u8::MAX, Self::Bits);
        for (kind, factor) in kinds {
            let exponents = finite.clone().filter_map(|&v| least_exponent(kind, v));
            let (fits, exponent) = exponents.fold((0, 0), |(n, max), e| (n + 1, max.max(e)));
            let digits = factor * exponent;
            if fits > best.0 || (fits == best.0 && digits < best.1) {
                best = (fits, digits, kind(exponent));
            }
        }
        best.2
    }

    /// The same kind with the digits that the exceptions need; `None` when that cannot help.
    fn widened(self, values: &[f64], exceptions: &[usize]) -> Option<Self> {
        let (kind, exponent): (Kind, u8) = match self {
            Self::Integer => (Self::Divide, 0),
            Self::Divide(e) => (Self::Divide, e),
            Self::Multiply(e) => (Self::Multiply, e),
            Self::DivideTwice(_) | Self::Bits => return None,
        };
        let sample = exceptions.iter().step_by(exceptions.len().div_ceil(SAMPLE).max(1));
        let needed = sample.filter_map(|&i| least_exponent(kind, values[i])).max()?;
        (needed > exponent).then(|| kind(needed))
    }

    fn apply(self, values: &[f64]) -> Scaled {
        let mut scaled =
            Scaled { scale: self, ints: vec![0; values.len()], exceptions: Vec::new() };
        match self {
            Self::Integer => {
                // Nearly all integers are small, and then this is vector code.
                scaled.fit(values, |v| divided(v, 1.0));
                if !scaled.exceptions.is_empty() {
                    scaled.exceptions.clear();
                    scaled.fit(values, whole);
                }
            }
            Self::Divide(e) => {
                let power = POWERS[e as usize];
                scaled.fit(values, |v| divided(v, power));
            }
            Self::Multiply(e) => {
                let (power, inverse) = (POWERS[e as usize], INVERSES[e as usize]);
                scaled.fit(values, |v| multiplied(v, power, inverse));
            }
            Self::DivideTwice(e) => {
                let power = POWERS[e as usize];
                scaled.fit(values, |v| divided_twice(v, power));
            }
            Self::Bits => {
                let ints = scaled.ints.iter_mut().zip(values);
                ints.for_each(|(integer, value)| *integer = ordered(value.to_bits()));
            }
        }
        scaled
    }

    /// Appends the column's values to `out`.
    pub fn decode(
        self,
        column: &Column<'_>,
        divisor: Option<Divisor>,
        out: &mut Vec<f64>,
    ) -> Result<(), DecodeError> {
        column.decode(|ints| {
            if let Some(divisor) = divisor {
                ints.iter_mut().for_each(|x| *x = divisor.multiply(*x));
            }
            self.restore(ints, out);
        })
    }

    /// Appends the values that these integers stand for.
    fn restore(self, ints: &[i64], out: &mut Vec<f64>) {
        match self {
            Self::Integer | Self::Divide(0) => push_doubles(ints, |x| x, out),
            Self::Divide(e) => {
                let power = POWERS[e as usize];
                push_doubles(ints, |x| x / power, out);
            }
            Self::Multiply(e) => {
                let inverse = INVERSES[e as usize];
                push_doubles(ints, |x| x * inverse, out);
            }
            Self::DivideTwice(e) => {
                let power = POWERS[e as usize];
                push_doubles(ints, |x| x / power / power, out);
            }
            Self::Bits => out.extend(ints.iter().map(|&x| f64::from_bits(unordered(x)))),
        }
    }
}

/// Appends `value` of each integer as a double. Integers that are all small, as nearly always, become
/// doubles without the one instruction that most processors have for single numbers only.
fn push_doubles(ints: &[i64], value: impl Fn(f64) -> f64, out: &mut Vec<f64>) {
    // Set bits beyond the 52nd tell that some integer does not lie within 2^51 of zero.
    let reach = ints.iter().fold(0, |any, x| any | x.wrapping_add(1 << 51) as u64);
    if reach >> 52 == 0 {
        let double = |x: i64| f64::from_bits(ROUND.to_bits().wrapping_add(x as u64)) - ROUND;
        out.extend(ints.iter().map(|&x| value(double(x))));
    } else {
        out.extend(ints.iter().map(|&x| value(x as f64)));
    }
}

impl Scaled {
    /// Scales all values by `fit`, which returns the integer and the value it stands for.
    fn fit(&mut self, values: &[f64], fit: impl Fn(f64) -> (i64, f64)) {
        const BLOCK: usize = 64;
        let blocks =
            values.chunks(BLOCK).zip(self.ints.chunks_mut(BLOCK)).zip((0..).step_by(BLOCK));
        for ((values, ints), first) in blocks {
            let mut all_fit = true;
            for (&value, integer) in values.iter().zip(ints) {
                let (nearest, back) = fit(value);
                *integer = nearest;
                all_fit &= same(back, value);
            }
            if !all_fit {
                let misfit =
                    |(i, &value): (usize, &f64)| (!same(fit(value).1, value)).then_some(first + i);
                self.exceptions.extend(values.iter().enumerate().filter_map(misfit));
            }
        }
    }
}

/// The same bits, and not the NaN that says "out of reach".
#[inline]
fn same(back: f64, value: f64) -> bool {
    (back.to_bits() == value.to_bits()) & !back.is_nan()
}

#[inline]
fn whole(value: f64) -> (i64, f64) {
    let integer = value as i64;
    // 2^63 saturates; its neighbours in i64 are no doubles.
    (integer, if integer == i64::MAX { f64::NAN } else { integer as f64 })
}

#[inline]
fn divided(value: f64, power: f64) -> (i64, f64) {
    let (integer, rounded) = nearest(value * power);
    (integer, rounded / power)
}

#[inline]
fn multiplied(value: f64, power: f64, inverse: f64) -> (i64, f64) {
    let (integer, rounded) = nearest(value * power);
    (integer, rounded * inverse)
}

#[inline]
fn divided_twice(value: f64, power: f64) -> (i64, f64) {
    let (integer, rounded) = nearest(value * power * power);
    (integer, rounded / power / power)
}

/// The fewest digits with which `kind` expresses the value.
fn least_exponent(kind: Kind, value: f64) -> Option<u8> {
    (0..POWERS.len() as u8).find(|&e| kind(e).integer(value).is_some())
}

/// The nearest integer, and the same as a double (NaN when out of reach).
#[inline]
fn nearest(value: f64) -> (i64, f64) {
    let shifted = value + ROUND;
    let integer = (shifted.to_bits() as i64).wrapping_sub(ROUND.to_bits() as i64);
    (integer, if value.abs() < ROUND_LIMIT { shifted - ROUND } else { f64::NAN })
}

/// Integers that sort like the numbers: negative ones have their other bits flipped.
#[inline]
fn ordered(bits: u64) -> i64 {
    let bits = bits as i64;
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

#[inline]
fn unordered(integer: i64) -> u64 {
    (integer ^ ((integer >> 63) as u64 >> 1) as i64) as u64
}
