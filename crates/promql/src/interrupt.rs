//! Stopping a running query from outside: cancelled by its client or out of time.
//!
//! A flag and nothing else: who decides on time lives above this crate, which knows no clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::QueryError;

const RUNNING: u8 = 0;
const CANCELLED: u8 = 1;
const TIMED_OUT: u8 = 2;

/// A query's stop flag; clones share it. The first reason given stays.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicU8>);

impl Interrupt {
    pub fn new() -> Self {
        Self::default()
    }

    /// The client went away or somebody killed the query.
    pub fn cancel(&self) {
        self.set(CANCELLED);
    }

    /// The query's time is used up.
    pub fn time_out(&self) {
        self.set(TIMED_OUT);
    }

    fn set(&self, reason: u8) {
        // Losing the race means that another reason was given first, which then stands.
        let _ = self.0.compare_exchange(RUNNING, reason, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Fails once the query was cancelled or ran out of time.
    pub fn check(&self) -> Result<(), QueryError> {
        match self.0.load(Ordering::Relaxed) {
            RUNNING => Ok(()),
            CANCELLED => Err(QueryError::Cancelled),
            _ => Err(QueryError::Timeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stands() {
        let interrupt = Interrupt::new();
        assert_eq!(interrupt.check(), Ok(()));
        interrupt.clone().time_out();
        interrupt.cancel();
        assert_eq!(interrupt.check(), Err(QueryError::Timeout));
    }
}
