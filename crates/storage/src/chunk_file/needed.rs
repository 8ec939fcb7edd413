//! What a reader can do without: a chunk whose aggregates tell enough is not decoded.

use metricstor_chunk::body::{self, Extremes};
use metricstor_model::{Need, Samples, TimeRange};

use super::directory::Entry;
use super::scratch::Scratch;
use super::{ChunkFile, ChunkFileError};

/// What is needed of the chunks that lie within some time as a whole; of others it is every sample.
#[derive(Debug, Clone, Copy)]
pub struct Needed {
    need: Need,
    within: TimeRange,
}

impl Needed {
    pub const EVERY: Self = Self { need: Need::Every, within: TimeRange::ALL };

    pub fn of_chunks(need: Need, within: TimeRange) -> Self {
        Self { need, within }
    }

    /// The same of the chunks that lie inside `range` too; `None` if it is every sample anyway.
    pub(super) fn inside(self, range: TimeRange) -> Option<Self> {
        let start = self.within.start.max(range.start);
        let end = self.within.end.min(range.end);
        let within = TimeRange::new(start, end);
        (self.need != Need::Every && start <= end).then_some(Self { within, ..self })
    }

    /// The value that stands for all of a chunk.
    fn of(self, extremes: Extremes) -> Option<f64> {
        let value = match self.need {
            Need::Every => return None,
            Need::One => return Some(extremes.max),
            Need::Greatest => extremes.max,
            Need::Least => extremes.min,
        };
        // Of zeros the first decides the sign.
        (extremes.equal || value != 0.0).then_some(value)
    }
}

impl ChunkFile {
    /// Appends one sample for a whole chunk, if that is all that is needed of it.
    pub(super) fn stand_in(
        &self,
        entry: &Entry,
        needed: Needed,
        out: &mut Samples,
        scratch: &mut Scratch,
    ) -> Result<bool, ChunkFileError> {
        let column = self.column(entry, scratch)?;
        if column.first < needed.within.start || column.last > needed.within.end {
            return Ok(false);
        }
        let extremes = body::extremes(self.block(entry, scratch)?, column.count);
        let extremes = extremes.map_err(|error| self.damaged_block(entry, error))?;
        let Some(value) = extremes.and_then(|known| needed.of(known)) else { return Ok(false) };
        out.push(column.last, value);
        if !out.start_timestamps.is_empty() {
            out.start_timestamps.push(0);
        }
        out.left_out += column.count - 1;
        Ok(true)
    }
}
