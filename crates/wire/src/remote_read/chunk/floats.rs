//! Encoding 1: doubles as differences of their bits, times as differences of differences.

use super::bits::{Bits, Changing, fits};
use crate::protobuf::to_zigzag;

/// Encodes at least one sample; `timestamps` and `values` are equally long, below 2¹⁶.
pub(super) fn encode(timestamps: &[i64], values: &[f64]) -> Vec<u8> {
    let mut header = Vec::with_capacity(16 + 2 * values.len());
    header.extend_from_slice(&(values.len() as u16).to_be_bytes());
    let mut bits = Bits::after(header);
    let mut column = Changing::first(values[0]);
    bits.varint(to_zigzag(timestamps[0]));
    bits.push(values[0].to_bits(), 64);
    let (mut before, mut delta_before) = (timestamps[0], 0);
    for (i, (timestamp, value)) in timestamps.iter().zip(values).enumerate().skip(1) {
        let delta = timestamp.wrapping_sub(before);
        if i == 1 {
            bits.varint(delta as u64);
        } else {
            push_time(delta.wrapping_sub(delta_before), &mut bits);
        }
        column.push(*value, &mut bits);
        (before, delta_before) = (*timestamp, delta);
    }
    bits.bytes
}

fn push_time(change: i64, bits: &mut Bits) {
    match change {
        0 => bits.bit(false),
        _ if fits(change, 14) => {
            bits.push(0b10, 2);
            bits.push(change as u64, 14);
        }
        _ if fits(change, 17) => {
            bits.push(0b110, 3);
            bits.push(change as u64, 17);
        }
        _ if fits(change, 20) => {
            bits.push(0b1110, 4);
            bits.push(change as u64, 20);
        }
        _ => {
            bits.push(0b1111, 4);
            bits.push(change as u64, 64);
        }
    }
}
