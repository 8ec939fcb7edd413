//! The values of one chunk: constants, or integers behind a scale, packed; bit for bit lossless.
//!
//! Layout: `tag [exponent] [divisor, remainder] [exceptions] integers`; the tag's bits are
//! scale (0–2), difference order or 3 for dense integers (3–4), divisor present (5), exceptions
//! present (6).

mod divisor;
mod scale;
#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::ints::{self, Order};
use crate::varint::{Input, put_signed, put_varint};
use crate::{DecodeError, dense};
use divisor::Divisor;
use scale::{Scale, Scaled};

/// All samples have the value that follows in eight bytes.
const CONSTANT: u8 = 0;
/// All samples have the integer value that follows as a varint.
const CONSTANT_INTEGER: u8 = 1;

const SCALE_BITS: u8 = 0x07;
const ORDER_SHIFT: u8 = 3;
/// In place of a difference order.
const DENSE: u8 = 3;
const HAS_DIVISOR: u8 = 0x20;
const HAS_EXCEPTIONS: u8 = 0x40;
const RESERVED: u8 = 0x80;

/// What an encoding is to be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Encodes and decodes at the speed of memory.
    Fast,
    /// Smaller where that gains a twentieth; for what is kept long and read rarely.
    Dense,
}

/// Appends the encoded values; their number is the caller's to remember.
pub fn encode(values: &[f64], packing: Packing, out: &mut Vec<u8>) {
    let Some(&first) = values.first() else { return };
    if values.iter().all(|v| v.to_bits() == first.to_bits()) {
        return encode_constant(first, out);
    }
    let Scaled { scale, mut ints, exceptions } = Scaled::of(values);
    let divisor = Divisor::of(&ints);
    let mut tag = scale.code();
    let tag_at = out.len();
    out.push(tag);
    if let Some(exponent) = scale.exponent() {
        out.push(exponent);
    }
    if let Some(divisor) = divisor {
        tag |= HAS_DIVISOR;
        divisor.divide(&mut ints);
        divisor.put(out);
    }
    if !exceptions.is_empty() {
        tag |= HAS_EXCEPTIONS;
        put_exceptions(values, &exceptions, out);
    }
    let ints_at = out.len();
    let mut order = ints::encode(&ints, out) as u8;
    if packing == Packing::Dense {
        let worthwhile = (out.len() - ints_at) * 19 / 20;
        let mut dense = Vec::new();
        if dense::encode(&ints, worthwhile, &mut dense) {
            out.truncate(ints_at);
            out.extend_from_slice(&dense);
            order = DENSE;
        }
    }
    out[tag_at] = tag | order << ORDER_SHIFT;
}

/// Appends the values at `range` (within `count`, the number encoded) to `out`; nothing is
/// allocated beyond them.
pub fn decode(
    bytes: &[u8],
    count: usize,
    range: Range<usize>,
    out: &mut Vec<f64>,
) -> Result<(), DecodeError> {
    if range.is_empty() {
        return Ok(());
    }
    if range.end > count {
        return Err(DecodeError::Invalid("range of samples"));
    }
    let mut input = Input::new(bytes);
    let tag = input.byte()?;
    if let Some(value) = constant(tag, &mut input)? {
        out.resize(out.len() + range.len(), value);
        return Ok(());
    }
    if tag & RESERVED != 0 {
        return Err(DecodeError::Invalid("value encoding"));
    }
    let order = match tag >> ORDER_SHIFT & 3 {
        DENSE => None,
        code => Some(Order::from_code(code)?),
    };
    let scale = Scale::read(tag & SCALE_BITS, &mut input)?;
    let divisor = match tag & HAS_DIVISOR {
        0 => None,
        _ => Some(Divisor::read(&mut input)?),
    };
    let exceptions = match tag & HAS_EXCEPTIONS {
        0 => None,
        _ => Some(Exceptions::read(&mut input, count)?),
    };
    let kept = out.len();
    out.reserve(range.len());
    let column = Column { bytes: input.rest(), order, count, range: range.clone() };
    scale.decode(&column, divisor, out)?;
    if let Some(exceptions) = exceptions {
        exceptions.restore(range, &mut out[kept..]);
    }
    Ok(())
}

/// The value that all samples have, if they are encoded so.
pub fn decode_constant(bytes: &[u8]) -> Result<Option<f64>, DecodeError> {
    let mut input = Input::new(bytes);
    let tag = input.byte()?;
    constant(tag, &mut input)
}

/// Integers that are still packed.
struct Column<'a> {
    bytes: &'a [u8],
    /// `None` for dense integers.
    order: Option<Order>,
    count: usize,
    range: Range<usize>,
}

impl Column<'_> {
    /// Hands the integers over in order, many at a time.
    fn decode(&self, sink: impl FnMut(&mut [i64])) -> Result<(), DecodeError> {
        match self.order {
            Some(order) => ints::decode(self.bytes, order, self.count, self.range.clone(), sink),
            None => dense::decode(self.bytes, self.count, self.range.clone(), sink),
        }
    }
}

fn encode_constant(value: f64, out: &mut Vec<u8>) {
    match Scale::Integer.integer(value) {
        Some(integer) => {
            out.push(CONSTANT_INTEGER);
            put_signed(out, integer);
        }
        None => {
            out.push(CONSTANT);
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}

/// The one value of a constant chunk; `None` for any other.
fn constant(tag: u8, input: &mut Input<'_>) -> Result<Option<f64>, DecodeError> {
    match tag {
        CONSTANT => input.f64().map(Some),
        CONSTANT_INTEGER => input.signed().map(|integer| Some(integer as f64)),
        _ => Ok(None),
    }
}

/// Values outside the scale (NaN, infinities, -0, more digits), by position and bits.
fn put_exceptions(values: &[f64], positions: &[usize], out: &mut Vec<u8>) {
    put_varint(out, positions.len() as u64);
    let mut next = 0;
    for &at in positions {
        put_varint(out, (at - next) as u64);
        out.extend_from_slice(&values[at].to_le_bytes());
        next = at + 1;
    }
}

struct Exceptions<'a> {
    entries: Input<'a>,
    len: usize,
}

impl<'a> Exceptions<'a> {
    /// Checks every entry and moves `input` behind them.
    fn read(input: &mut Input<'a>, count: usize) -> Result<Self, DecodeError> {
        let len = input.count(count, "number of exceptions")?;
        let entries = *input;
        let mut next = 0;
        for _ in 0..len {
            next += input.count(count, "position of an exception")? + 1;
            input.f64()?;
        }
        if next > count {
            return Err(DecodeError::Invalid("position of an exception"));
        }
        Ok(Self { entries, len })
    }

    /// Writes the exceptions inside `range` over `values`, the decoded values of that range.
    fn restore(mut self, range: Range<usize>, values: &mut [f64]) {
        let mut next = 0;
        for _ in 0..self.len {
            let (Ok(gap), Ok(value)) = (self.entries.varint(), self.entries.f64()) else { return };
            let at = next + gap as usize;
            next = at + 1;
            if range.contains(&at) {
                values[at - range.start] = value;
            }
        }
    }
}
