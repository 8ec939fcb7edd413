//! Fields of a message appended to bytes; all that the encoders need.
//!
//! Invariant: a nested message is written in place, its length put before it afterwards, so no size
//! is computed twice and nothing is copied but the few bytes of a long message that have to move.

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;

pub(crate) fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The bytes that [`push_varint`] appends.
pub(crate) fn varint_len(value: u64) -> usize {
    ((64 - (value | 1).leading_zeros()) as usize).div_ceil(7)
}

/// The unsigned number that a signed one is written as where small ones are likely.
pub(crate) fn to_zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

fn push_key(out: &mut Vec<u8>, number: u32, wire_type: u32) {
    push_varint(out, u64::from(number << 3 | wire_type));
}

pub(crate) fn push_integer(out: &mut Vec<u8>, number: u32, value: u64) {
    push_key(out, number, VARINT);
    push_varint(out, value);
}

/// Every bit of the value is kept.
pub(crate) fn push_double(out: &mut Vec<u8>, number: u32, value: f64) {
    push_key(out, number, FIXED64);
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

pub(crate) fn push_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    push_key(out, number, BYTES);
    push_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A packed list; nothing when it is empty.
pub(crate) fn push_doubles(out: &mut Vec<u8>, number: u32, values: &[f64]) {
    if values.is_empty() {
        return;
    }
    push_key(out, number, BYTES);
    push_varint(out, 8 * values.len() as u64);
    out.extend(values.iter().flat_map(|value| value.to_bits().to_le_bytes()));
}

/// A nested message, whose fields `write` appends.
pub(crate) fn push_message(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
    push_key(out, number, BYTES);
    out.push(0);
    let start = out.len();
    write(out);
    let length = out.len() - start;
    if length < 0x80 {
        out[start - 1] = length as u8;
    } else {
        let mut prefix = Vec::with_capacity(10);
        push_varint(&mut prefix, length as u64);
        out.splice(start - 1..start, prefix);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Fields, Value};
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let long = "x".repeat(300);
        let mut out = Vec::new();
        push_message(&mut out, 1, |out| push_bytes(out, 2, b"short"));
        push_message(&mut out, 1, |out| push_bytes(out, 2, long.as_bytes()));
        push_integer(&mut out, 3, u64::MAX);
        push_double(&mut out, 4, -0.0);
        let mut fields = Fields::new(&out, 0);
        for text in ["short", &long] {
            let Ok(Some((1, Value::Bytes(inner, _)))) = fields.next() else { panic!("{out:?}") };
            let mut inner = Fields::new(inner, 0);
            assert!(
                matches!(inner.next(), Ok(Some((2, Value::Bytes(b, _)))) if b == text.as_bytes())
            );
        }
        assert!(matches!(fields.next(), Ok(Some((3, Value::Varint(u64::MAX))))));
        assert!(matches!(fields.next(), Ok(Some((4, Value::Fixed64(0x8000_0000_0000_0000))))));
        assert!(matches!(fields.next(), Ok(None)));
        assert_eq!([0, -1, 1, i64::MIN].map(to_zigzag), [0, 1, 2, u64::MAX]);
    }
}
