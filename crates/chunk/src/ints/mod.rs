//! Integer columns: patched frame-of-reference bit packing in blocks of 128.
//!
//! A column is stored as it is, as differences or as differences of differences, whichever is
//! smallest. A block's description takes 3 to 8 bytes. Every block states where it starts, so that any range of indexes decodes on its own.
//! All arithmetic wraps: any 64-bit pattern is a valid integer, and encoding loses nothing.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub use decode::decode;
pub use encode::encode;

use crate::DecodeError;

/// How many times the column was differenced before packing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Plain = 0,
    Delta = 1,
    Delta2 = 2,
}

impl Order {
    pub const ALL: [Self; 3] = [Self::Plain, Self::Delta, Self::Delta2];

    pub fn from_code(code: u8) -> Result<Self, DecodeError> {
        Self::ALL.get(code as usize).copied().ok_or(DecodeError::Invalid("difference order"))
    }
}

/// What a block's description holds; each number is written as the difference to the block before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Start {
    /// The integer before the block's first (orders 1 and 2).
    previous: i64,
    /// The difference before the block's first (order 2).
    slope: i64,
    /// Subtracted from every residual of the block.
    base: i64,
}

/// Set in a description's width byte when patches precede the packed residuals.
const PATCHED: u8 = 0x80;
