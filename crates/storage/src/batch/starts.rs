//! The start timestamps of a batch's samples: a column beside the others, a section at the end of the
//! payload.

use std::ops::Range;

use super::bytes::{Reader, put_varint, unzigzag, zigzag};
use super::{Batch, Malformed};

impl Batch {
    /// The start timestamps of the samples at `range`, if there are any.
    pub(super) fn starts(&self, range: Range<usize>) -> &[i64] {
        self.start_timestamps.get(range).unwrap_or(&[])
    }

    /// Since when the sample at a position counts; 0: it does not say.
    #[inline]
    pub fn start(&self, at: usize) -> i64 {
        self.start_timestamps.get(at).copied().unwrap_or(0)
    }

    /// Does any sample say since when it counts?
    pub fn has_starts(&self) -> bool {
        !self.start_timestamps.is_empty()
            || self.histograms.iter().any(|(_, sample)| sample.start_timestamp != 0)
    }

    /// Appends the section.
    pub(super) fn encode_starts(&self, out: &mut Vec<u8>) {
        let floats = (0..self.timestamps.len()).map(|at| self.start(at));
        let histograms = self.histograms.iter().map(|(_, sample)| sample.start_timestamp);
        let mut before = 0i64;
        for start in floats.chain(histograms) {
            put_varint(out, zigzag(start.wrapping_sub(before)));
            before = start;
        }
    }

    /// Reads the section, once all samples are known.
    pub(super) fn decode_starts(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let mut start = 0i64;
        let mut next = || {
            start = start.wrapping_add(unzigzag(reader.varint()?));
            Ok(start)
        };
        for _ in 0..self.timestamps.len() {
            self.start_timestamps.push(next()?);
        }
        for (_, sample) in &mut self.histograms {
            sample.start_timestamp = next()?;
        }
        Ok(())
    }
}
