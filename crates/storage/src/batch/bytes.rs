//! Varints and texts of log payloads; a reader that cannot run past the end.

use super::Malformed;

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

pub(crate) fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub fn byte(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.bytes.split_first().ok_or(Malformed("truncated"))?;
        self.bytes = rest;
        Ok(*first)
    }

    pub fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed("varint too long"))
    }

    /// A number of things that follow, each at least one byte long: so never more than the rest.
    pub fn count(&mut self) -> Result<usize, Malformed> {
        let count = self.varint()?;
        let fits = usize::try_from(count).ok().filter(|n| *n <= self.bytes.len());
        fits.ok_or(Malformed("count beyond the end"))
    }

    pub fn series(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.varint()?).map_err(|_| Malformed("series out of range"))
    }

    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        let n = self.count()?;
        let (text, rest) = self.bytes.split_at(n);
        self.bytes = rest;
        std::str::from_utf8(text).map_err(|_| Malformed("text is not UTF-8"))
    }

    pub fn double(&mut self) -> Result<f64, Malformed> {
        let (bytes, rest) = self.bytes.split_first_chunk().ok_or(Malformed("truncated"))?;
        self.bytes = rest;
        Ok(f64::from_le_bytes(*bytes))
    }

    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    pub fn skip(&mut self, n: usize) {
        self.bytes = &self.bytes[n..];
    }

    pub fn end(&self) -> Result<(), Malformed> {
        if self.bytes.is_empty() { Ok(()) } else { Err(Malformed("bytes after the end")) }
    }
}
