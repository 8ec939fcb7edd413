//! The head's sample codec: byte-aligned, appendable without reading back.
//!
//! One control byte a sample, then what its bits announce. Constant series at a steady interval cost
//! one byte a sample; counters two to four. Also used for the runs of a log entry, so its layout is
//! a disk format: see `formats/entry.md`.
//!
//! ```text
//! bit 0     1: a zigzag varint follows, the change of the timestamp delta
//! bits 1-2  value: 0 as before · 1 integer delta · 2 xor · 3 delta in thousandths
//! bits 3-5  bytes of the xor minus one
//! ```

/// The longest encoding of one sample: control, 10-byte varint, 10-byte varint.
pub(crate) const SAMPLE_SIZE_MAX: usize = 21;

const KIND_SAME: u8 = 0;
const KIND_INTEGER: u8 = 1;
const KIND_XOR: u8 = 2;
const KIND_THOUSANDTHS: u8 = 3;

/// Integers below this are exact in a double.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// What the next sample is encoded against. Encoder and decoder walk through the same states.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct CodecState {
    pub timestamp: i64,
    pub delta: i64,
    pub bits: u64,
}

impl CodecState {
    /// Encodes a sample into `out`, returning the number of bytes written.
    #[inline]
    pub fn encode(&mut self, timestamp: i64, bits: u64, out: &mut [u8; SAMPLE_SIZE_MAX]) -> usize {
        let delta = timestamp.wrapping_sub(self.timestamp);
        let change = delta.wrapping_sub(self.delta);
        let mut at = 1;
        let mut control = 0;
        if change != 0 {
            control = 1;
            at = put_varint(out, at, zigzag(change));
        }
        if bits != self.bits {
            let (kind, end) = encode_value(self.bits, bits, out, at);
            control |= kind;
            at = end;
        }
        out[0] = control;
        *self = Self { timestamp, delta, bits };
        at
    }

    /// Decodes the sample at the front of `bytes`, returning its length; `None` when truncated.
    #[inline]
    pub fn decode(&mut self, bytes: &[u8]) -> Option<usize> {
        let control = *bytes.first()?;
        let mut at = 1;
        if control & 1 != 0 {
            let (change, end) = take_varint(bytes, at)?;
            self.delta = self.delta.wrapping_add(unzigzag(change));
            at = end;
        }
        self.timestamp = self.timestamp.wrapping_add(self.delta);
        match control >> 1 & 3 {
            KIND_SAME => {}
            KIND_XOR => {
                let n = (control >> 3 & 7) as usize + 1;
                let mut xor = [0; 8];
                xor[..n].copy_from_slice(bytes.get(at..at + n)?);
                self.bits ^= u64::from_le_bytes(xor);
                at += n;
            }
            kind => {
                let (delta, end) = take_varint(bytes, at)?;
                let previous = f64::from_bits(self.bits);
                let value = if kind == KIND_INTEGER {
                    (previous as i64).wrapping_add(unzigzag(delta)) as f64
                } else {
                    thousandths(previous).wrapping_add(unzigzag(delta)) as f64 / 1000.0
                };
                self.bits = value.to_bits();
                at = end;
            }
        }
        Some(at)
    }
}

/// Writes the value's bytes at `at`; returns the control bits and the end.
#[inline]
fn encode_value(
    previous: u64,
    bits: u64,
    out: &mut [u8; SAMPLE_SIZE_MAX],
    at: usize,
) -> (u8, usize) {
    let (before, value) = (f64::from_bits(previous), f64::from_bits(bits));
    let integer = value as i64;
    if (integer as f64).to_bits() == bits && value.abs() < EXACT {
        let delta = integer.wrapping_sub(before as i64);
        return (KIND_INTEGER << 1, put_varint(out, at, zigzag(delta)));
    }
    let scaled = thousandths(value);
    if (scaled as f64 / 1000.0).to_bits() == bits {
        let delta = scaled.wrapping_sub(thousandths(before));
        return (KIND_THOUSANDTHS << 1, put_varint(out, at, zigzag(delta)));
    }
    let xor = previous ^ bits;
    let n = 8 - xor.leading_zeros() as usize / 8;
    out[at..at + n].copy_from_slice(&xor.to_le_bytes()[..n]);
    (KIND_XOR << 1 | (n as u8 - 1) << 3, at + n)
}

/// The value in thousandths, rounded; 0 where that is not exact.
#[inline]
fn thousandths(value: f64) -> i64 {
    let scaled = value * 1000.0;
    if scaled.abs() < EXACT { scaled.round_ties_even() as i64 } else { 0 }
}

#[inline]
fn put_varint(out: &mut [u8; SAMPLE_SIZE_MAX], mut at: usize, mut value: u64) -> usize {
    while value >= 0x80 {
        out[at] = value as u8 | 0x80;
        value >>= 7;
        at += 1;
    }
    out[at] = value as u8;
    at + 1
}

#[inline]
fn take_varint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut value = 0;
    for (i, byte) in bytes.get(at..)?.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i).min(63);
        if byte & 0x80 == 0 {
            return Some((value, at + i + 1));
        }
    }
    None
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(samples: &[(i64, u64)]) -> usize {
        let mut encoder = CodecState::default();
        let mut bytes = Vec::new();
        for (timestamp, bits) in samples {
            let mut buffer = [0; SAMPLE_SIZE_MAX];
            let n = encoder.encode(*timestamp, *bits, &mut buffer);
            bytes.extend_from_slice(&buffer[..n]);
        }
        let mut decoder = CodecState::default();
        let mut at = 0;
        for (timestamp, bits) in samples {
            at += decoder.decode(&bytes[at..]).unwrap();
            assert_eq!((decoder.timestamp, decoder.bits), (*timestamp, *bits));
        }
        assert_eq!(at, bytes.len());
        bytes.len()
    }

    fn any_bits() -> impl Strategy<Value = u64> {
        prop_oneof![
            any::<u64>(),
            any::<f64>().prop_map(f64::to_bits),
            (-100_000i64..100_000).prop_map(|n| (n as f64).to_bits()),
            (-100_000i64..100_000).prop_map(|n| (n as f64 / 100.0).to_bits()),
            Just(metricstor_model::STALE_NAN),
            Just((-0.0f64).to_bits()),
            Just(f64::INFINITY.to_bits()),
            Just(f64::MIN_POSITIVE.to_bits() >> 4),
        ]
    }

    proptest! {
        #[test]
        fn every_bit_comes_back(samples in prop::collection::vec((any::<i64>(), any_bits()), 0..50)) {
            round_trip(&samples);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut state = CodecState { timestamp: 5, delta: i64::MAX, bits: u64::MAX };
            let mut at = 0;
            while let Some(n) = state.decode(&bytes[at..]) {
                at += n;
            }
        }
    }

    #[test]
    fn common_series_are_small() {
        let constant: Vec<_> = (0..100).map(|i| (i * 15_000, 4.0f64.to_bits())).collect();
        assert!(round_trip(&constant) < 110);
        let counter: Vec<_> = (0..100).map(|i| (i * 15_000, (i as f64 * 5.0).to_bits())).collect();
        assert!(round_trip(&counter) < 210);
        let cents: Vec<_> =
            (0..100).map(|i| (i * 15_000, (1000.0 + i as f64 * 0.25).to_bits())).collect();
        assert!(round_trip(&cents) < 320);
    }
}
