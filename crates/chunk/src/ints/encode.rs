//! Choosing and writing: the order by cost over a few blocks, width and patches by cost per block.

use super::{Order, PATCHED, Start};
use crate::bits::{BLOCK, low_bits, pack, packed_size};
use crate::varint::{put_signed, put_varint, varint_size, zigzag};

/// Appends the column and says how it was differenced (the caller stores that).
///
/// Layout: `[size of descriptions, if more than one block] descriptions payloads`.
pub fn encode(ints: &[i64], out: &mut Vec<u8>) -> Order {
    if ints.is_empty() {
        return Order::Plain;
    }
    if ints.len() <= BLOCK {
        let block = cheapest(ints, &[0]);
        let mut payload = Vec::new();
        block.put(Start::default(), out, &mut payload);
        out.extend_from_slice(&payload);
        return block.order;
    }
    let blocks = ints.len().div_ceil(BLOCK);
    // Neighbouring blocks of one series are alike: three tell what is best for all.
    let tried = [0, blocks / 2, blocks - 1];
    let order = cheapest(ints, if blocks == 2 { &tried[..2] } else { &tried }).order;
    let (mut descriptions, mut payloads) = (Vec::new(), Vec::new());
    let mut before = Start::default();
    for first in (0..ints.len()).step_by(BLOCK) {
        before = Block::new(order, ints, first).put(before, &mut descriptions, &mut payloads);
    }
    put_varint(out, descriptions.len() as u64);
    out.extend_from_slice(&descriptions);
    out.extend_from_slice(&payloads);
    order
}

/// The last of the tried blocks under the order that makes all of them together smallest.
fn cheapest(ints: &[i64], tried: &[usize]) -> Block {
    let under = |order| {
        let blocks = tried.iter().map(|b| Block::new(order, ints, b * BLOCK));
        let mut cost = 0;
        let last = blocks.inspect(|block| cost += block.cost(ints)).last();
        (cost, last.expect("at least one block is tried"))
    };
    let [plain, delta, delta2] = Order::ALL.map(under);
    let best = if delta.0 < plain.0 { delta } else { plain };
    if delta2.0 < best.0 { delta2.1 } else { best.1 }
}

/// One block after differencing, and how it will be packed.
struct Block {
    order: Order,
    first: usize,
    start: Start,
    residuals: [i64; BLOCK],
    len: usize,
    plan: Plan,
}

impl Block {
    fn new(order: Order, ints: &[i64], first: usize) -> Self {
        let values = &ints[first..ints.len().min(first + BLOCK)];
        let start = start_of(order, ints, first);
        let mut residuals = [0; BLOCK];
        match order {
            Order::Plain => residuals[..values.len()].copy_from_slice(values),
            Order::Delta => {
                let mut previous = start.previous;
                for (residual, &x) in residuals.iter_mut().zip(values) {
                    *residual = x.wrapping_sub(previous);
                    previous = x;
                }
            }
            Order::Delta2 => {
                let (mut previous, mut slope) = (start.previous, start.slope);
                for (residual, &x) in residuals.iter_mut().zip(values) {
                    let next = x.wrapping_sub(previous);
                    *residual = next.wrapping_sub(slope);
                    (previous, slope) = (x, next);
                }
            }
        }
        let plan = Plan::of(&residuals[..values.len()]);
        Self { order, first, start, residuals, len: values.len(), plan }
    }

    /// The block's size in bits, description included.
    fn cost(&self, ints: &[i64]) -> usize {
        let before = match self.first.checked_sub(BLOCK) {
            Some(first) => start_of(self.order, ints, first),
            None => Start::default(),
        };
        let signed = |value: i64| 8 * varint_size(zigzag(value));
        let previous = signed(self.start.previous.wrapping_sub(before.previous));
        let slope = signed(self.start.slope.wrapping_sub(before.slope));
        let base = if self.first == 0 { signed(self.plan.base) } else { 8 };
        self.plan.cost + base + [0, previous, previous + slope][self.order as usize]
    }

    /// Writes description and payload; returns what the next description is relative to.
    fn put(&self, before: Start, descriptions: &mut Vec<u8>, payloads: &mut Vec<u8>) -> Start {
        let plan = &self.plan;
        let start = Start { base: plan.base, ..self.start };
        if self.order != Order::Plain {
            put_signed(descriptions, start.previous.wrapping_sub(before.previous));
        }
        if self.order == Order::Delta2 {
            put_signed(descriptions, start.slope.wrapping_sub(before.slope));
        }
        put_signed(descriptions, start.base.wrapping_sub(before.base));
        let packed = self.residuals.map(|residual| residual.wrapping_sub(plan.base) as u64);
        let packed = &packed[..self.len];
        descriptions.push(plan.width as u8 | if plan.patched { PATCHED } else { 0 });
        if plan.patched {
            let before = payloads.len();
            put_patches(packed, plan.width, payloads);
            put_varint(descriptions, (payloads.len() - before) as u64);
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

/// How residuals are packed.
#[derive(Debug, Clone, Copy)]
struct Plan {
    base: i64,
    width: u32,
    patched: bool,
    /// Bits of the payload and of the width byte(s).
    cost: usize,
}

impl Plan {
    /// The best base: the minimum, or the one above it when the minimum is a lone outlier (a
    /// counter reset among differences), which then becomes a patch.
    fn of(residuals: &[i64]) -> Self {
        let (mut lowest, mut second, mut highest) = (i64::MAX, i64::MAX, i64::MIN);
        for &residual in residuals {
            second = second.min(residual.max(lowest));
            lowest = lowest.min(residual);
            highest = highest.max(residual);
        }
        let spread = highest.wrapping_sub(lowest) as u64;
        let plan = Self::with_base(residuals, lowest, spread);
        let outlier = second.wrapping_sub(lowest) as u64 > spread / 4;
        if !outlier || residuals.len() <= 2 {
            return plan;
        }
        let other = Self::with_base(residuals, second, u64::MAX);
        if other.cost < plan.cost { other } else { plan }
    }

    /// The cheapest width for residuals that are at most `spread` over `base`.
    fn with_base(residuals: &[i64], base: i64, spread: u64) -> Self {
        let widest = 64 - spread.leading_zeros();
        let bits = |width| packed_size(residuals.len(), width) * 8;
        let mut best = Self { base, width: widest, patched: false, cost: bits(widest) + 8 };
        // How many residuals have each length in bits; then: how many are longer.
        let mut longer = [0u8; 65 + PATCH_BITS * 10];
        for residual in residuals {
            longer[64 - residual.wrapping_sub(base).leading_zeros() as usize] += 1;
        }
        let mut above = 0;
        for width in (0..widest as usize).rev() {
            above += longer[width + 1];
            longer[width + 1] = above - longer[width + 1];
            // A patch is its position and seven bits a byte: those longer by more take more bytes.
            let further = (1..10).map(|n| longer[width + n * PATCH_BITS] as usize);
            let patches = 16 * above as usize + 8 * further.sum::<usize>();
            // Narrower widths only add patches.
            if patches >= best.cost {
                break;
            }
            let cost = bits(width as u32) + 16 + patches;
            if cost < best.cost {
                best = Self { base, width: width as u32, patched: true, cost };
            }
        }
        best
    }
}

/// The bits of a patch that one byte holds.
const PATCH_BITS: usize = 7;
