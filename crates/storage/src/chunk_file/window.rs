//! A window on a file: neighbouring blocks are read with one call.

use std::io;

use crate::files::File;

/// The most that is read ahead, and the gap that still counts as the next block.
const AHEAD_MAX: u64 = 128 << 10;
const GAP: u64 = 4 << 10;

#[derive(Default)]
pub struct Window {
    start: u64,
    bytes: Vec<u8>,
    /// Doubles while the reader goes forward block by block; a jump reads only what is wanted.
    ahead: u64,
}

impl Window {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ahead = 0;
    }

    /// The `size` bytes at `offset`. Nothing at or behind `limit` is read ahead.
    pub fn get(
        &mut self,
        file: &dyn File,
        offset: u64,
        size: u64,
        limit: u64,
    ) -> io::Result<&[u8]> {
        let end = self.start + self.bytes.len() as u64;
        if offset < self.start || offset + size > end {
            let next = !self.bytes.is_empty() && (self.start..=end + GAP).contains(&offset);
            self.ahead = if next { (self.ahead * 2).clamp(GAP, AHEAD_MAX) } else { 0 };
            let length = size.max(self.ahead.min(limit.saturating_sub(offset)));
            // Lengths differ little: what is zeroed here is mostly zeroed once.
            self.bytes.resize(length as usize, 0);
            self.start = offset;
            if let Err(error) = file.read_exact_at(&mut self.bytes, offset) {
                self.clear();
                return Err(error);
            }
        }
        let at = (offset - self.start) as usize;
        Ok(&self.bytes[at..at + size as usize])
    }
}
