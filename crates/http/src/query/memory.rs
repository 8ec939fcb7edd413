//! What a run holds beside the engine: it counts against the limit of a query, and with what everybody
//! holds.

use std::sync::Arc;

use metricstor_memory::{Budget, Permit};

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

    /// To be asked before, or right after, so much more is held.
    pub fn grow(&mut self, bytes: usize) -> Result<(), ApiError> {
        if self.permit.bytes().saturating_add(bytes) > self.max {
            let text = format!("the answer needs more than {} bytes of memory", self.max);
            return Err(ApiError::beyond("memory_max", &text));
        }
        self.permit.grow(bytes).map_err(|e| ApiError::beyond("memory.limit", &e.to_string()))
    }
}
