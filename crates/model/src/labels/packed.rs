//! How pairs stand in memory: name and value, each behind its length.
//!
//! Who stores pairs that many series share stores them so: labels are then put together by copying.

use std::ops::Range;

/// Lengths below this take one byte; longer ones take a marker and three bytes of seven bits each,
/// so that every length byte is ASCII and the whole buffer stays valid UTF-8 (no unsafe code needed).
const LONG: u8 = 0x7f;

/// A name and its value, packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedPair<'a>(&'a str);

impl<'a> PackedPair<'a> {
    /// The most bytes that are needed besides those of the two texts.
    pub const OVERHEAD: usize = 8;
    /// The longest name or value that can be represented (21 bits).
    pub const LENGTH_MAX: usize = (1 << 21) - 1;

    /// Appends a pair; neither text is longer than `LENGTH_MAX`.
    pub fn push(out: &mut String, name: &str, value: &str) {
        push_text(out, name);
        push_text(out, value);
    }

    /// The pair that begins at `at`.
    #[inline]
    pub fn at(packed: &'a str, at: usize) -> Self {
        let name = text_at(packed.as_bytes(), at);
        let value = text_at(packed.as_bytes(), name.end);
        Self(&packed[at..value.end])
    }

    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// Name and value.
    #[inline]
    pub fn texts(self) -> (&'a str, &'a str) {
        let name = text_at(self.0.as_bytes(), 0);
        let value = text_at(self.0.as_bytes(), name.end);
        (&self.0[name], &self.0[value])
    }
}

/// The pairs of packed labels.
pub(super) struct Pairs<'a> {
    rest: &'a str,
}

impl<'a> Pairs<'a> {
    pub fn of(packed: &'a str) -> Self {
        Self { rest: packed }
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = PackedPair<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let pair = PackedPair::at(self.rest, 0);
        self.rest = &self.rest[pair.0.len()..];
        Some(pair)
    }
}

fn push_text(out: &mut String, text: &str) {
    let n = text.len();
    if n < LONG as usize {
        out.push(n as u8 as char);
    } else {
        out.push(LONG as char);
        for shift in [14, 7, 0] {
            out.push(((n >> shift & 0x7f) as u8) as char);
        }
    }
    out.push_str(text);
}

/// Where the bytes of a text are whose length stands at `at`.
#[inline]
pub(super) fn text_at(packed: &[u8], at: usize) -> Range<usize> {
    let bytes = &packed[at..];
    let (n, head) = if bytes[0] < LONG {
        (bytes[0] as usize, 1)
    } else {
        ((bytes[1] as usize) << 14 | (bytes[2] as usize) << 7 | bytes[3] as usize, 4)
    };
    at + head..at + head + n
}
