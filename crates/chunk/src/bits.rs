//! Bit packing: values of one width, least significant bit first, without gaps.
//!
//! A whole block of narrow values is spread over four lanes, so that unpacking it is vector code:
//! value `4·i + lane` starts at bit `i·width` of its lane, and the lanes' 32-bit words alternate.

use crate::DecodeError;

/// Values in a block that is packed in lanes.
pub const BLOCK: usize = 128;
const LANES: usize = 4;
/// Wider values are packed in sequence.
const LANE_WIDTH_MAX: u32 = 32;

/// The bytes that `count` values of `width` bits take.
pub fn packed_size(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// Appends the low `width` (0..=64) bits of each value.
pub fn pack(values: &[u64], width: u32, out: &mut Vec<u8>) {
    match values.try_into() {
        _ if width == 0 => {}
        Ok(block) if width <= LANE_WIDTH_MAX => pack_lanes(block, width, out),
        _ => pack_sequence(values, width, out),
    }
}

fn pack_lanes(values: &[u64; BLOCK], width: u32, out: &mut Vec<u8>) {
    // One row more than any width needs: the last row's carry is zero and goes there.
    let mut rows = [[0u64; LANES]; LANE_WIDTH_MAX as usize + 1];
    for (i, values) in values.as_chunks::<LANES>().0.iter().enumerate() {
        let bit = i * width as usize;
        let (row, shift) = (bit / 32, bit % 32);
        for (lane, value) in values.iter().enumerate() {
            let shifted = (value & low_bits(width)) << shift;
            rows[row][lane] |= shifted & u32::MAX as u64;
            rows[row + 1][lane] |= shifted >> 32;
        }
    }
    for word in rows[..width as usize].as_flattened() {
        out.extend_from_slice(&(*word as u32).to_le_bytes());
    }
}

fn pack_sequence(values: &[u64], width: u32, out: &mut Vec<u8>) {
    let mask = low_bits(width);
    let (mut word, mut used) = (0u64, 0u32);
    for &value in values {
        let value = value & mask;
        word |= value << used;
        used += width;
        if used >= 64 {
            out.extend_from_slice(&word.to_le_bytes());
            used -= 64;
            // The bits that did not fit; `used` of them, none when the word was filled exactly.
            word = if used == 0 { 0 } else { value >> (width - used) };
        }
    }
    out.extend_from_slice(&word.to_le_bytes()[..used.div_ceil(8) as usize]);
}

/// Fills `out` from the start of `bytes`; what follows the packed values may be read, not used.
pub fn unpack(bytes: &[u8], width: u32, out: &mut [u64]) -> Result<(), DecodeError> {
    if bytes.len() < packed_size(out.len(), width) {
        return Err(DecodeError::Truncated);
    }
    match <&mut [u64; BLOCK]>::try_from(&mut *out) {
        _ if width == 0 => out.fill(0),
        Ok(block) if width <= LANE_WIDTH_MAX => unpack_lanes(bytes, width, block),
        _ if width <= 57 => unpack_narrow(bytes, width, out),
        _ => unpack_wide(bytes, width, out),
    }
    Ok(())
}

fn unpack_lanes(bytes: &[u8], width: u32, out: &mut [u64; BLOCK]) {
    let mask = low_bits(width);
    let width = width as usize;
    let rows = &bytes.as_chunks::<16>().0[..width];
    for (i, values) in out.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let bit = i * width;
        let (row, shift) = (bit / 32, bit % 32);
        // The last row has no next, and no bits that reach beyond it.
        let (low, high) = (words(&rows[row]), words(&rows[(row + 1).min(width - 1)]));
        for (lane, value) in values.iter_mut().enumerate() {
            *value = (low[lane] as u64 | (high[lane] as u64) << 32) >> shift & mask;
        }
    }
}

fn words(row: &[u8; 16]) -> [u32; LANES] {
    std::array::from_fn(|lane| {
        u32::from_le_bytes([row[4 * lane], row[4 * lane + 1], row[4 * lane + 2], row[4 * lane + 3]])
    })
}

/// A value of at most 57 bits lies within eight bytes wherever it starts.
fn unpack_narrow(bytes: &[u8], width: u32, out: &mut [u64]) {
    let mask = low_bits(width);
    let width = width as usize;
    // The values whose eight bytes are all there; the last few are read from a padded copy.
    let whole = bytes.len().checked_sub(8).map_or(0, |last| last * 8 / width + 1).min(out.len());
    let (head, tail) = out.split_at_mut(whole);
    let mut bit = 0;
    for value in head {
        let at = bit >> 3;
        let word: [u8; 8] = bytes[at..at + 8].try_into().expect("eight bytes");
        *value = u64::from_le_bytes(word) >> (bit & 7) & mask;
        bit += width;
    }
    for value in tail {
        *value = word_at(bytes, bit >> 3) as u64 >> (bit & 7) & mask;
        bit += width;
    }
}

fn unpack_wide(bytes: &[u8], width: u32, out: &mut [u64]) {
    for (i, value) in out.iter_mut().enumerate() {
        let bit = i * width as usize;
        *value = (word_at(bytes, bit >> 3) >> (bit & 7)) as u64 & low_bits(width);
    }
}

/// Up to sixteen bytes from `at`, zeros beyond the end.
fn word_at(bytes: &[u8], at: usize) -> u128 {
    let there = &bytes[at..bytes.len().min(at + 16)];
    let mut word = [0; 16];
    word[..there.len()].copy_from_slice(there);
    u128::from_le_bytes(word)
}

/// A mask of the `width` (0..=64) lowest bits.
pub fn low_bits(width: u32) -> u64 {
    if width >= 64 { u64::MAX } else { (1 << width) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_width_round_trips(
            values in prop_oneof![
                prop::collection::vec(any::<u64>(), 0..200),
                prop::collection::vec(any::<u64>(), BLOCK),
            ],
            width in 0u32..=64,
            padding in 0usize..20,
        ) {
            let mut bytes = Vec::new();
            pack(&values, width, &mut bytes);
            prop_assert_eq!(bytes.len(), packed_size(values.len(), width));
            bytes.resize(bytes.len() + padding, 0xff);
            let mut out = vec![0; values.len()];
            unpack(&bytes, width, &mut out).unwrap();
            let expected: Vec<u64> = values.iter().map(|v| v & low_bits(width)).collect();
            prop_assert_eq!(out, expected);
        }

        #[test]
        fn short_input_is_an_error(count in 1usize..200, width in 1u32..=64) {
            let bytes = vec![0; packed_size(count, width) - 1];
            prop_assert_eq!(unpack(&bytes, width, &mut vec![0; count]), Err(DecodeError::Truncated));
        }
    }
}
