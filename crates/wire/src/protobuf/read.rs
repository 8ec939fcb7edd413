//! A cursor over protobuf fields that borrows from the message; all that the decoders need.
//!
//! Invariant: every step consumes at least one byte, so a walk ends after at most `len` steps.

use crate::DecodeError;

/// Reads fields of one message.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where `bytes` begins in the outermost message, for error messages.
    base: usize,
}

/// One field: its number and its undecoded value.
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    /// A nested message, text or packed list, and its offset in the outermost message.
    Bytes(&'a [u8], usize),
    Fixed32,
}

impl<'a> Fields<'a> {
    pub fn new(bytes: &'a [u8], base: usize) -> Self {
        Self { bytes, at: 0, base }
    }

    /// Where the next field begins, counted from the start of this message.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The next field, or `None` at the end.
    #[inline]
    pub fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, DecodeError> {
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).unwrap_or(0);
        if number == 0 || number >= 1 << 29 {
            return Err(self.error("field number out of range"));
        }
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(self.fixed64()?),
            2 => {
                let len = self.varint()?;
                let rest = self.bytes.len() - self.at;
                let len = usize::try_from(len).ok().filter(|len| *len <= rest);
                let len = len.ok_or_else(|| self.error("length beyond the message's end"))?;
                let start = self.at;
                self.at += len;
                Value::Bytes(&self.bytes[start..self.at], self.base + start)
            }
            5 => {
                self.take(4)?;
                Value::Fixed32
            }
            _ => return Err(self.error("unknown wire type")),
        };
        Ok(Some((number, value)))
    }

    /// The next number of a packed list of varints, or `None` at its end.
    pub fn next_packed(&mut self) -> Result<Option<u64>, DecodeError> {
        if self.at >= self.bytes.len() { Ok(None) } else { self.varint().map(Some) }
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, DecodeError> {
        if let Some(&byte) = self.bytes.get(self.at)
            && byte < 0x80
        {
            self.at += 1;
            return Ok(u64::from(byte));
        }
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let Some(&byte) = self.bytes.get(self.at) else {
                return Err(self.error("truncated varint"));
            };
            self.at += 1;
            if shift == 63 && byte > 1 {
                return Err(self.error("varint longer than 64 bits"));
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.error("varint longer than 64 bits"))
    }

    #[inline]
    fn fixed64(&mut self) -> Result<u64, DecodeError> {
        let bytes = self.take(8)?;
        Ok(u64::from_le_bytes(bytes.try_into().expect("took eight bytes")))
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        match self.bytes.get(self.at..self.at + n) {
            Some(taken) => {
                self.at += n;
                Ok(taken)
            }
            None => Err(self.error("truncated field")),
        }
    }

    pub fn error(&self, reason: &'static str) -> DecodeError {
        DecodeError::Protobuf { offset: self.base + self.at, reason }
    }
}

/// A list of 64-bit little-endian doubles, packed.
pub(crate) fn packed_doubles(bytes: &[u8], out: &mut Vec<f64>) -> Option<()> {
    let (chunks, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return None;
    }
    out.extend(chunks.iter().map(|c| f64::from_le_bytes(*c)));
    Some(())
}

/// A packed list of zigzag varints.
pub(crate) fn packed_zigzag(
    bytes: &[u8],
    base: usize,
    out: &mut Vec<i64>,
) -> Result<(), DecodeError> {
    let mut fields = Fields::new(bytes, base);
    while let Some(number) = fields.next_packed()? {
        out.push(zigzag(number));
    }
    Ok(())
}

pub(crate) fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
