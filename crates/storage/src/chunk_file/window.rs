//! A window on a file: neighbouring blocks are read with one call.

use std::io;

use crate::files::File;

/// Read at once when the reader moves forward through the file.
const AHEAD: u64 = 128 << 10;

#[derive(Default)]
pub struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    pub fn clear(&mut self) {
        self.bytes.clear();
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
            // A jump reads what is wanted; a step forward makes more steps likely.
            let forward = !self.bytes.is_empty() && (self.start..=end + AHEAD).contains(&offset);
            let ahead = if forward { AHEAD.min(limit.saturating_sub(offset)) } else { 0 };
            let length = size.max(ahead) as usize;
            // Lengths differ little: what is zeroed here is mostly zeroed once.
            self.bytes.resize(length, 0);
            self.start = offset;
            if let Err(error) = file.read_exact_at(&mut self.bytes, offset) {
                self.bytes.clear();
                return Err(error);
            }
        }
        let at = (offset - self.start) as usize;
        Ok(&self.bytes[at..at + size as usize])
    }
}
