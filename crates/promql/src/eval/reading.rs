//! What is read of a series is claimed while it grows.

use metricstor_model::{Samples, SelectError, SeriesSet, TimeRange};

use crate::QueryError;
use crate::eval::budget::Claim;
use crate::eval::frame::histogram_weight;
use crate::eval::range::track::Track;

/// Reading one series after another: as much is claimed as the largest of them takes.
pub(crate) struct Reading<'a> {
    claim: &'a mut Claim,
    /// Bytes that a sample takes, here and in what is made of it before the next series is read.
    sample_size: usize,
    refused: Option<QueryError>,
}

impl<'a> Reading<'a> {
    pub fn new(claim: &'a mut Claim, sample_size: usize) -> Self {
        Self { claim, sample_size, refused: None }
    }

    /// See [`metricstor_model::Room`].
    pub fn has_room(&mut self, samples: &Samples) -> bool {
        let size = samples.len().saturating_mul(self.sample_size);
        self.refused = self.claim.cover(size.saturating_add(buckets_size(samples))).err();
        self.refused.is_none()
    }

    /// How the reading ended.
    pub fn end(self, read: Result<(), SelectError>) -> Result<(), QueryError> {
        self.refused.map_or(Ok(()), Err)?;
        Ok(read?)
    }
}

/// Reads one series alone.
pub(crate) fn read_one(
    set: &dyn SeriesSet,
    i: usize,
    times: TimeRange,
    claim: &mut Claim,
    samples: &mut Samples,
) -> Result<(), QueryError> {
    let mut reading = Reading::new(claim, Track::FLOAT_SIZE);
    let read = set.read_within(i, times, &mut |samples| reading.has_room(samples), samples);
    reading.end(read)
}

/// Bytes of the histograms of a series.
pub(crate) fn buckets_size(samples: &Samples) -> usize {
    samples.histograms.iter().map(|(_, h)| 16 * histogram_weight(h)).sum()
}
