//! Reading: walks the descriptions and unpacks only the blocks that overlap the wanted range.

use std::ops::Range;

use super::{Order, PATCHED, Start};
use crate::DecodeError;
use crate::bits::{BLOCK, packed_size, unpack};
use crate::varint::Input;

/// Decodes the integers at `range` of a column of `count`, handing them to `sink` in order, at
/// most 128 at a time. Allocates nothing.
pub fn decode(
    bytes: &[u8],
    order: Order,
    count: usize,
    range: Range<usize>,
    mut sink: impl FnMut(&mut [i64]),
) -> Result<(), DecodeError> {
    let (mut descriptions, mut payloads) = split(bytes, order, count)?;
    let mut before = Start::default();
    let mut block = [0i64; BLOCK];
    for first in (0..count.min(range.end)).step_by(BLOCK) {
        let len = BLOCK.min(count - first);
        let description = Description::read(&mut descriptions, order, before)?;
        before = description.start;
        if first + len <= range.start {
            payloads.take(description.payload_size(len))?;
            continue;
        }
        description.residuals(&mut payloads, &mut block[..len])?;
        integrate(order, before, &mut block[..len]);
        sink(&mut block[range.start.saturating_sub(first)..len.min(range.end - first)]);
    }
    Ok(())
}

/// The descriptions, and the payloads behind them.
fn split(bytes: &[u8], order: Order, count: usize) -> Result<(Input<'_>, Input<'_>), DecodeError> {
    let mut input = Input::new(bytes);
    if count > BLOCK {
        let size = input.count(bytes.len(), "size of block descriptions")?;
        return Ok((Input::new(input.take(size)?), input));
    }
    let descriptions = input;
    if count > 0 {
        Description::read(&mut input, order, Start::default())?;
    }
    Ok((descriptions, input))
}

struct Description {
    start: Start,
    width: u32,
    patches_size: usize,
}

impl Description {
    fn read(input: &mut Input<'_>, order: Order, before: Start) -> Result<Self, DecodeError> {
        let mut start = before;
        if order != Order::Plain {
            start.previous = before.previous.wrapping_add(input.signed()?);
        }
        if order == Order::Delta2 {
            start.slope = before.slope.wrapping_add(input.signed()?);
        }
        start.base = before.base.wrapping_add(input.signed()?);
        let byte = input.byte()?;
        let width = (byte & !PATCHED) as u32;
        if width > 64 {
            return Err(DecodeError::Invalid("bit width"));
        }
        let patches_size = match byte & PATCHED {
            0 => 0,
            _ => input.count(BLOCK * 11, "size of patches")?,
        };
        Ok(Self { start, width, patches_size })
    }

    fn payload_size(&self, len: usize) -> usize {
        self.patches_size + packed_size(len, self.width)
    }

    /// Unpacks the block's residuals, base added.
    fn residuals(&self, payloads: &mut Input<'_>, out: &mut [i64]) -> Result<(), DecodeError> {
        let base = self.start.base;
        if self.width == 0 && self.patches_size == 0 {
            out.fill(base);
            return Ok(());
        }
        let mut patches = Input::new(payloads.take(self.patches_size)?);
        let mut packed = [0u64; BLOCK];
        let packed = &mut packed[..out.len()];
        // The rest of the column follows the block: the bytes beyond it make loads whole.
        unpack(payloads.rest(), self.width, packed)?;
        payloads.take(packed_size(out.len(), self.width))?;
        while !patches.rest().is_empty() {
            let at = patches.byte()? as usize;
            let high = patches.varint()?;
            let value = packed.get_mut(at).ok_or(DecodeError::Invalid("patch position"))?;
            *value |= high.checked_shl(self.width).ok_or(DecodeError::Invalid("patch width"))?;
        }
        for (out, value) in out.iter_mut().zip(packed) {
            *out = (*value as i64).wrapping_add(base);
        }
        Ok(())
    }
}

/// Turns residuals back into the column's integers.
fn integrate(order: Order, start: Start, block: &mut [i64]) {
    match order {
        Order::Plain => {}
        Order::Delta => {
            let mut value = start.previous;
            for x in block {
                value = value.wrapping_add(*x);
                *x = value;
            }
        }
        Order::Delta2 => {
            let (mut value, mut slope) = (start.previous, start.slope);
            for x in block {
                slope = slope.wrapping_add(*x);
                value = value.wrapping_add(slope);
                *x = value;
            }
        }
    }
}
