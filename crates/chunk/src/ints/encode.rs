//! Choosing and writing: the order by cost over a few blocks, width and patches by cost per block.

use super::{BLOCK, Order, PATCHED, Start};
use crate::bits::{low_bits, pack, packed_size};
use crate::varint::{put_signed, put_varint, varint_size, zigzag};

/// Appends the column and says how it was differenced (the caller stores that).
///
/// Layout: `[size of descriptions, if more than one block] descriptions payloads`.
pub fn encode(ints: &[i64], out: &mut Vec<u8>) -> Order {
    let order = choose_order(ints);
    let (mut descriptions, mut payloads) = (Vec::new(), Vec::new());
    let mut before = Start::default();
    for first in (0..ints.len()).step_by(BLOCK) {
        let mut block = Residuals::of(order, ints, first);
        before = block.describe(order, before, &mut descriptions, &mut payloads);
    }
    if ints.len() > BLOCK {
        put_varint(out, descriptions.len() as u64);
    }
    out.extend_from_slice(&descriptions);
    out.extend_from_slice(&payloads);
    order
}

/// Tries each order on at most three blocks: neighbouring blocks of one series are alike.
fn choose_order(ints: &[i64]) -> Order {
    let blocks = ints.len().div_ceil(BLOCK);
    let tried = [0, blocks / 2, blocks.saturating_sub(1)];
    let tried = &tried[..blocks.min(3)];
    let tried: &[usize] = if blocks <= 2 { &[0, 1][..blocks] } else { tried };
    let cost = |order| -> usize {
        tried.iter().map(|b| Residuals::of(order, ints, b * BLOCK).cost(order, ints)).sum()
    };
    Order::ALL.into_iter().min_by_key(|&order| cost(order)).unwrap_or(Order::Plain)
}

/// One block after differencing.
struct Residuals {
    first: usize,
    start: Start,
    len: usize,
    values: [i64; BLOCK],
}

impl Residuals {
    fn of(order: Order, ints: &[i64], first: usize) -> Self {
        let block = &ints[first..ints.len().min(first + BLOCK)];
        let start = start_of(order, ints, first);
        let mut values = [0; BLOCK];
        match order {
            Order::Plain => values[..block.len()].copy_from_slice(block),
            Order::Delta => {
                let mut previous = start.previous;
                for (value, &x) in values.iter_mut().zip(block) {
                    *value = x.wrapping_sub(previous);
                    previous = x;
                }
            }
            Order::Delta2 => {
                let (mut previous, mut slope) = (start.previous, start.slope);
                for (value, &x) in values.iter_mut().zip(block) {
                    let next = x.wrapping_sub(previous);
                    *value = next.wrapping_sub(slope);
                    (previous, slope) = (x, next);
                }
            }
        }
        let mut residuals = Self { first, start, len: block.len(), values };
        residuals.start.base = residuals.values().iter().copied().min().unwrap_or(0);
        residuals
    }

    fn values(&self) -> &[i64] {
        &self.values[..self.len]
    }

    /// The block's size in bits, description included.
    fn cost(&self, order: Order, ints: &[i64]) -> usize {
        let before = match self.first.checked_sub(BLOCK) {
            Some(first) => start_of(order, ints, first),
            None => Start::default(),
        };
        let signed = |value: i64| 8 * varint_size(zigzag(value));
        let previous = signed(self.start.previous.wrapping_sub(before.previous));
        let slope = signed(self.start.slope.wrapping_sub(before.slope));
        let plan = self.plan();
        let base = if self.first == 0 { signed(plan.base) } else { 8 };
        plan.cost + base + [0, previous, previous + slope][order as usize]
    }

    /// The best base: the minimum, or the one above it when the minimum is a lone outlier (a
    /// counter reset among differences), which then becomes a patch.
    fn plan(&self) -> Plan {
        let (mut lowest, mut second, mut highest) = (i64::MAX, i64::MAX, i64::MIN);
        for &value in self.values() {
            second = second.min(value.max(lowest));
            lowest = lowest.min(value);
            highest = highest.max(value);
        }
        let plan = Plan::with_base(self.values(), lowest);
        let spread = highest.wrapping_sub(lowest) as u64;
        if self.len > 2 && second.wrapping_sub(lowest) as u64 > spread / 4 {
            let other = Plan::with_base(self.values(), second);
            return if other.cost < plan.cost { other } else { plan };
        }
        plan
    }

    /// Writes description and payload; returns what the next description is relative to.
    fn describe(
        &mut self,
        order: Order,
        before: Start,
        descriptions: &mut Vec<u8>,
        payloads: &mut Vec<u8>,
    ) -> Start {
        let plan = self.plan();
        let start = Start { base: plan.base, ..self.start };
        if order != Order::Plain {
            put_signed(descriptions, start.previous.wrapping_sub(before.previous));
        }
        if order == Order::Delta2 {
            put_signed(descriptions, start.slope.wrapping_sub(before.slope));
        }
        put_signed(descriptions, start.base.wrapping_sub(before.base));
        let mut packed = [0u64; BLOCK];
        for (packed, value) in packed.iter_mut().zip(self.values()) {
            *packed = value.wrapping_sub(plan.base) as u64;
        }
        let packed = &packed[..self.len];
        let patches_at = payloads.len();
        if plan.patched {
            put_patches(packed, plan.width, payloads);
        }
        descriptions.push(plan.width as u8 | if plan.patched { PATCHED } else { 0 });
        if plan.patched {
            put_varint(descriptions, (payloads.len() - patches_at) as u64);
        }
        pack(packed, plan.width, payloads);
        start
    }
}

/// The state just before index `first`; the column is continued backwards so that its first
/// residuals are zero.
fn start_of(order: Order, ints: &[i64], first: usize) -> Start {
    let difference = |i: usize| ints[i].wrapping_sub(ints[i - 1]);
    let (previous, slope) = match (order, first) {
        (Order::Plain, _) => (0, 0),
        (Order::Delta, 0) => (ints[0], 0),
        (Order::Delta, _) => (ints[first - 1], 0),
        (Order::Delta2, 0) => {
            let slope = if ints.len() > 1 { difference(1) } else { 0 };
            (ints[0].wrapping_sub(slope), slope)
        }
        (Order::Delta2, _) => (ints[first - 1], difference(first - 1)),
    };
    Start { previous, slope, base: 0 }
}

/// Values wider than `width`: position, then the bits above, each.
fn put_patches(packed: &[u64], width: u32, payloads: &mut Vec<u8>) {
    for (i, &value) in packed.iter().enumerate() {
        if value > low_bits(width) {
            payloads.push(i as u8);
            put_varint(payloads, value >> width);
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Plan {
    base: i64,
    width: u32,
    patched: bool,
    /// Bits of the payload and of the width byte(s).
    cost: usize,
}

impl Plan {
    /// The cheapest width for residuals over `base`.
    fn with_base(residuals: &[i64], base: i64) -> Self {
        let mut counts = [0u32; 65];
        for value in residuals {
            counts[64 - value.wrapping_sub(base).leading_zeros() as usize] += 1;
        }
        let widest = counts.iter().rposition(|&n| n > 0).unwrap_or(0) as u32;
        let whole = packed_size(residuals.len(), widest) * 8 + 8;
        let mut best = Self { base, width: widest, patched: false, cost: whole };
        for width in (0..widest).rev() {
            let patches = patch_bits(&counts, width, widest);
            // Narrower widths only add patches.
            if patches >= best.cost {
                break;
            }
            let cost = packed_size(residuals.len(), width) * 8 + 16 + patches;
            if cost < best.cost {
                best = Self { base, width, patched: true, cost };
            }
        }
        best
    }
}

/// The bits of all patches when the residuals are packed to `width`.
fn patch_bits(counts: &[u32; 65], width: u32, widest: u32) -> usize {
    let bits = |length: u32| 8 + 8 * (length - width).div_ceil(7) as usize;
    (width + 1..=widest).map(|length| counts[length as usize] as usize * bits(length)).sum()
}
