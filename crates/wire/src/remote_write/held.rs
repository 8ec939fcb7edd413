//! What a request takes in memory while it is decoded: two bytes of a message may take two hundred.

use std::ops::Range;

use metricstor_model::{Exemplar, HistogramSample, Metadata, WriteSeries};

use super::{Limits, Room};
use crate::DecodeError;

/// Room is asked for in such steps; the first is free.
const STEP: usize = 64 << 10;

/// Counts what is held of a request, field by field.
pub(super) struct Held<'r> {
    pub limits: Limits,
    samples: usize,
    memory: usize,
    /// So much of the memory there is room for.
    granted: usize,
    room: &'r mut Room<'r>,
}

impl<'r> Held<'r> {
    pub fn new(limits: Limits, room: &'r mut Room<'r>) -> Self {
        Self { limits, samples: 0, memory: 0, granted: STEP, room }
    }

    #[inline]
    pub fn sample(&mut self) -> Result<(), DecodeError> {
        self.count(size_of::<(i64, f64)>())
    }

    pub fn histogram(&mut self, sample: &HistogramSample) -> Result<(), DecodeError> {
        self.count(size_of_val(sample) + sample.histogram.size())
    }

    pub fn exemplar(&mut self) -> Result<(), DecodeError> {
        self.count(size_of::<Exemplar<'_>>())
    }

    pub fn series(&mut self) -> Result<(), DecodeError> {
        self.take(size_of::<WriteSeries<'_>>())
    }

    pub fn metadata(&mut self) -> Result<(), DecodeError> {
        self.take(size_of::<Metadata<'_>>())
    }

    /// A text of a table, or the place of one.
    pub fn text(&mut self) -> Result<(), DecodeError> {
        self.take(size_of::<Option<Range<usize>>>())
    }

    #[inline]
    fn count(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.samples += 1;
        let (what, size, limit) = ("samples in one request", self.samples, self.limits.samples_max);
        if size > limit {
            Err(DecodeError::TooLarge { what, size, limit })
        } else {
            self.take(bytes)
        }
    }

    #[inline]
    fn take(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.memory += bytes;
        if self.memory <= self.granted { Ok(()) } else { self.grow() }
    }

    #[cold]
    fn grow(&mut self) -> Result<(), DecodeError> {
        let (what, size, limit) =
            ("bytes of one request in memory", self.memory, self.limits.memory_max);
        if size > limit {
            return Err(DecodeError::TooLarge { what, size, limit });
        }
        let more = (self.memory - self.granted).next_multiple_of(STEP);
        if !(self.room)(more) {
            return Err(DecodeError::NoRoom);
        }
        self.granted += more;
        Ok(())
    }
}
