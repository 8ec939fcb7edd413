//! A column of bits, the most significant first, and integers of varying width in it.

/// Bits appended one after the other; the last byte is filled up with zeros.
#[derive(Debug, Default)]
pub(super) struct Bits {
    pub bytes: Vec<u8>,
    /// Bits of the last byte that are still to be written.
    free: u32,
}

/// The widths that a number of varying width may take, beside 0 and 64 bits.
const WIDTHS: [u32; 7] = [3, 6, 9, 12, 18, 25, 56];

impl Bits {
    /// Goes on after whole bytes.
    pub fn after(bytes: Vec<u8>) -> Self {
        Self { bytes, free: 0 }
    }

    pub fn bit(&mut self, bit: bool) {
        self.push(u64::from(bit), 1);
    }

    /// The lowest `count` bits (1 to 64) of `value`.
    pub fn push(&mut self, value: u64, count: u32) {
        let mut left = count;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let taken = left.min(self.free);
            let part = (value >> (left - taken)) as u8 & (0xff >> (8 - taken));
            self.free -= taken;
            left -= taken;
            if let Some(last) = self.bytes.last_mut() {
                *last |= part << self.free;
            }
        }
    }

    /// Seven bits to a byte, the lowest first, as protobuf writes integers.
    pub fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push(value & 0x7f | 0x80, 8);
            value >>= 7;
        }
        self.push(value, 8);
    }

    /// A prefix that tells the width, then the number: small ones take few bits.
    pub fn unsigned(&mut self, value: u64) {
        self.sized(value, |width| value >> width == 0);
    }

    /// The same for signed numbers; of `n` bits the range is -2ⁿ⁻¹ + 1 to 2ⁿ⁻¹.
    pub fn signed(&mut self, value: i64) {
        self.sized(value as u64, |width| fits(value, width));
    }

    fn sized(&mut self, value: u64, fits: impl Fn(u32) -> bool) {
        if value == 0 {
            return self.bit(false);
        }
        match WIDTHS.iter().position(|width| fits(*width)) {
            Some(i) => {
                let ones = i as u32 + 1;
                self.push((1 << (ones + 1)) - 2, ones + 1);
                self.push(value, WIDTHS[i]);
            }
            None => {
                self.push(0xff, 8);
                self.push(value, 64);
            }
        }
    }
}

/// Is `value` within -2ⁿ⁻¹ + 1 to 2ⁿ⁻¹?
pub(super) fn fits(value: i64, bits: u32) -> bool {
    let half = 1i64 << (bits - 1);
    -half < value && value <= half
}

/// What the last value of a column was, and which of its bits changed before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Changing {
    value: u64,
    /// Leading and trailing bits that the last change left alone; none before the first change.
    kept: Option<(u32, u32)>,
}

impl Changing {
    pub fn first(value: f64) -> Self {
        Self { value: value.to_bits(), kept: None }
    }

    /// Writes the bits in which `value` differs from the one before.
    pub fn push(&mut self, value: f64, bits: &mut Bits) {
        let change = value.to_bits() ^ self.value;
        self.value = value.to_bits();
        if change == 0 {
            return bits.bit(false);
        }
        bits.bit(true);
        // Five bits hold the leading zeros.
        let (leading, trailing) = (change.leading_zeros().min(31), change.trailing_zeros());
        if let Some((kept_leading, kept_trailing)) = self.kept
            && leading >= kept_leading
            && trailing >= kept_trailing
        {
            bits.bit(false);
            return bits.push(change >> kept_trailing, 64 - kept_leading - kept_trailing);
        }
        self.kept = Some((leading, trailing));
        let significant = 64 - leading - trailing;
        bits.bit(true);
        bits.push(u64::from(leading), 5);
        // 64 does not fit and is written as 0, which cannot occur.
        bits.push(u64::from(significant), 6);
        bits.push(change >> trailing, significant);
    }
}
