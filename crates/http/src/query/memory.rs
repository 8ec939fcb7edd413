//! What a run holds beside the engine: it counts against the limit of a query, and with what everybody
//! holds.

use std::sync::Arc;

use metricstor_memory::{Budget, Permit};
use metricstor_model::{Samples, SeriesSet, TimeRange};

use crate::error::ApiError;

/// Bytes held until dropped.
pub struct Held {
    permit: Permit,
    max: usize,
}

impl Held {
    pub fn new(shared: &Arc<Budget>, max: usize) -> Self {
        Self { permit: shared.permit(), max }
    }

    /// Reads a series, as long as there is memory for it.
    pub fn read(
        &mut self,
        set: &dyn SeriesSet,
        i: usize,
        range: TimeRange,
        samples: &mut Samples,
    ) -> Result<(), ApiError> {
        let mut refused = None;
        let room = &mut |samples: &Samples| {
            refused = self.grow(samples.size().saturating_sub(self.permit.bytes())).err();
            refused.is_none()
        };
        let read = set.read_within(i, range, room, samples);
        refused.map_or(Ok(()), Err)?;
        Ok(read?)
    }

    /// To be asked before, or right after, so much more is held.
    pub fn grow(&mut self, bytes: usize) -> Result<(), ApiError> {
        if self.permit.bytes().saturating_add(bytes) > self.max {
            let text = format!("the answer needs more than {} bytes of memory", self.max);
            return Err(ApiError::beyond("memory_max", &text));
        }
        self.permit.grow(bytes).map_err(|e| ApiError::beyond("memory.limit", &e.to_string()))
    }
}
