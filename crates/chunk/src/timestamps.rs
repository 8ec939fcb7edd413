//! Timestamp columns: a regular series of scrapes takes a few bytes, jitter costs what it carries.
//!
//! Layout: `count first span step kind [residuals]`; span is last minus first, a timestamp is
//! `first + i·step + residual`.

use std::ops::Range;

use crate::DecodeError;
use crate::ints::{self, Order};
use crate::varint::{Input, put_signed, put_varint};

/// All residuals are zero; lower kinds are the residuals' difference order.
const REGULAR: u8 = 3;

/// Appends the column; the timestamps must ascend.
pub fn encode(timestamps: &[i64], out: &mut Vec<u8>) {
    put_varint(out, timestamps.len() as u64);
    let (Some(&first), Some(&last)) = (timestamps.first(), timestamps.last()) else { return };
    let step = usual_step(timestamps);
    put_signed(out, first);
    put_varint(out, last.wrapping_sub(first) as u64);
    put_signed(out, step);
    let expected = Line { first, step };
    let residuals = timestamps.iter().zip(0..).map(|(&t, i)| t.wrapping_sub(expected.at(i)));
    if residuals.clone().all(|r| r == 0) {
        return out.push(REGULAR);
    }
    let kind_at = out.len();
    out.push(0);
    out[kind_at] = ints::encode(&residuals.collect::<Vec<_>>(), out) as u8;
}

/// The median step of a few, so that a gap or a late scrape does not tilt the line.
fn usual_step(timestamps: &[i64]) -> i64 {
    let steps = timestamps.len() - 1;
    if steps == 0 {
        return 0;
    }
    let mut sample = [0; 15];
    let taken = steps.min(sample.len());
    for (i, step) in sample[..taken].iter_mut().enumerate() {
        let at = i * steps / taken;
        *step = timestamps[at + 1].wrapping_sub(timestamps[at]);
    }
    *sample[..taken].select_nth_unstable(taken / 2).1
}

struct Line {
    first: i64,
    step: i64,
}

impl Line {
    fn at(&self, i: i64) -> i64 {
        self.first.wrapping_add(self.step.wrapping_mul(i))
    }
}

/// What a column says about itself before it is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    pub count: usize,
    /// The first and the last timestamp; zero when there are none.
    pub first: i64,
    pub last: i64,
}

impl Summary {
    /// Reads the start of a column; more than `max` timestamps are an error.
    pub fn read(bytes: &[u8], max: usize) -> Result<Self, DecodeError> {
        Self::take(&mut Input::new(bytes), max)
    }

    fn take(input: &mut Input<'_>, max: usize) -> Result<Self, DecodeError> {
        let count = input.count(max, "number of timestamps")?;
        let first = if count == 0 { 0 } else { input.signed()? };
        let span = if count == 0 { 0 } else { input.varint()? };
        Ok(Self { count, first, last: first.wrapping_add(span as i64) })
    }
}

/// Appends the timestamps at `range` (within the column's count, at most `max`) to `out`.
pub fn decode(
    bytes: &[u8],
    max: usize,
    range: Range<usize>,
    out: &mut Vec<i64>,
) -> Result<(), DecodeError> {
    let mut input = Input::new(bytes);
    let Summary { count, first, .. } = Summary::take(&mut input, max)?;
    if range.is_empty() {
        return Ok(());
    }
    if range.end > count {
        return Err(DecodeError::Invalid("range of samples"));
    }
    let line = Line { first, step: input.signed()? };
    let kind = input.byte()?;
    out.reserve(range.len());
    let mut next = range.start as i64;
    if kind == REGULAR {
        out.extend((next..range.end as i64).map(|i| line.at(i)));
        return Ok(());
    }
    ints::decode(input.rest(), Order::from_code(kind)?, count, range, |residuals| {
        out.extend(residuals.iter().zip(next..).map(|(&r, i)| line.at(i).wrapping_add(r)));
        next += residuals.len() as i64;
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAX: usize = 10_000;

    fn check(timestamps: &[i64]) -> usize {
        let mut bytes = Vec::new();
        encode(timestamps, &mut bytes);
        let [first, last] =
            [timestamps.first(), timestamps.last()].map(|t| t.copied().unwrap_or(0));
        let summary = Summary { count: timestamps.len(), first, last };
        assert_eq!(Summary::read(&bytes, MAX), Ok(summary));
        let mut out = Vec::new();
        decode(&bytes, MAX, 0..timestamps.len(), &mut out).unwrap();
        assert_eq!(out, timestamps);
        out.clear();
        let part = timestamps.len() / 4..timestamps.len() / 2;
        decode(&bytes, MAX, part.clone(), &mut out).unwrap();
        assert_eq!(out, &timestamps[part]);
        bytes.len()
    }

    fn scraped() -> impl Strategy<Value = Vec<i64>> {
        let late = prop_oneof![20 => Just(0), 2 => 0i64..50, 1 => 0i64..1_000_000];
        (any::<i32>(), 1i64..100_000, prop::collection::vec(late, 0..600)).prop_map(
            |(first, step, late)| {
                late.iter().zip(0..).map(|(late, i)| first as i64 + i * step + late).collect()
            },
        )
    }

    proptest! {
        #[test]
        fn scrapes_round_trip(timestamps in scraped()) {
            check(&timestamps);
        }

        #[test]
        fn any_integers_round_trip(timestamps in prop::collection::vec(any::<i64>(), 0..300)) {
            check(&timestamps);
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut out = Vec::new();
            if let Ok(summary) = Summary::read(&bytes, 500) {
                let _ = decode(&bytes, 500, 0..summary.count, &mut out);
            }
            prop_assert!(out.capacity() <= 500);
        }
    }

    #[test]
    fn a_regular_column_takes_a_few_bytes() {
        let regular: Vec<i64> = (0..5760).map(|i| 1_790_000_000_000 + i * 15_000).collect();
        assert!(check(&regular) < 20);
    }

    #[test]
    fn rare_jitter_takes_a_fraction_of_a_byte_per_timestamp() {
        let late = |i: i64| if i % 50 == 7 { i % 20 + 1 } else { 0 };
        let jittered: Vec<i64> =
            (0..5760).map(|i| 1_790_000_000_000 + i * 15_000 + late(i)).collect();
        assert!(check(&jittered) < 5760 / 8, "{}", check(&jittered));
    }
}
