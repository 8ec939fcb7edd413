//! What a query may hold in memory at once.
//!
//! Invariant: memory in proportion to series × steps is asked for here before it is allocated, and
//! given back when its owner is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::QueryError;

/// Bytes held by one query, shared by its threads.
#[derive(Debug)]
pub(crate) struct Budget {
    held: AtomicUsize,
    max: usize,
    /// What all queries and the rest of the process share.
    shared: Arc<metricstor_memory::Budget>,
}

impl Budget {
    pub fn new(max: usize, shared: &Arc<metricstor_memory::Budget>) -> Arc<Self> {
        Arc::new(Self { held: AtomicUsize::new(0), max, shared: Arc::clone(shared) })
    }

    /// An empty claim, to be grown.
    pub fn claim(self: &Arc<Self>) -> Claim {
        Claim { budget: Arc::clone(self), bytes: 0, permit: self.shared.permit() }
    }
}

/// A part of the budget, given back on drop.
#[derive(Debug)]
pub(crate) struct Claim {
    budget: Arc<Budget>,
    bytes: usize,
    permit: metricstor_memory::Permit,
}

impl Claim {
    pub fn grow(&mut self, bytes: usize) -> Result<(), QueryError> {
        let before = self.budget.held.fetch_add(bytes, Ordering::Relaxed);
        self.bytes = self.bytes.saturating_add(bytes);
        if before.saturating_add(bytes) > self.budget.max {
            return Err(QueryError::Limit {
                name: "memory_max",
                detail: format!("the query needs more than {} bytes of memory", self.budget.max),
            });
        }
        let exceeded = |error: metricstor_memory::Exceeded| QueryError::Limit {
            name: "memory.limit",
            detail: error.to_string(),
        };
        self.permit.grow(bytes).map_err(exceeded)
    }

    /// Grows to at least so many bytes.
    pub fn cover(&mut self, bytes: usize) -> Result<(), QueryError> {
        match bytes.saturating_sub(self.bytes) {
            0 => Ok(()),
            more => self.grow(more),
        }
    }

    /// Takes over another claim.
    pub fn absorb(&mut self, other: &mut Self) {
        self.bytes = self.bytes.saturating_add(std::mem::take(&mut other.bytes));
        self.permit.absorb(&mut other.permit);
    }

    /// The budget that this is a part of.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_can_be_claimed_again() {
        let shared = metricstor_memory::Budget::new(150);
        let budget = Budget::new(100, &shared);
        let mut claim = budget.claim();
        claim.grow(80).unwrap();
        assert!(budget.claim().grow(40).is_err());
        drop(claim);
        budget.claim().grow(100).unwrap();
        let other = shared.take(80).unwrap();
        let error = budget.claim().grow(100).unwrap_err();
        assert!(error.to_string().contains("memory.limit"), "{error}");
        drop(other);
        budget.claim().grow(100).unwrap();
    }
}
