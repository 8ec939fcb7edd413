//! Stopping a running query from outside: cancelled by its client or out of time.
//!
//! A flag: who decides on time lives above this crate, which knows no clock but those it is given.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crate::{QueryError, Stopwatch};

const RUNNING: u8 = 0;
const CANCELLED: u8 = 1;
const TIMED_OUT: u8 = 2;

/// A query's stop flag; clones share it. The first reason given stays.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    reason: Arc<AtomicU8>,
    patience: Option<(Stopwatch, Duration)>,
}

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

    /// This flag, for work that is left with [`QueryError::Longer`] when `clock` shows `end`, to be done
    /// elsewhere.
    pub fn until(&self, clock: Stopwatch, end: Duration) -> Self {
        Self { reason: Arc::clone(&self.reason), patience: Some((clock, end)) }
    }

    fn set(&self, reason: u8) {
        // Losing the race means that another reason was given first, which then stands.
        let _ = self.reason.compare_exchange(RUNNING, reason, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Fails once the query was cancelled or ran out of time.
    pub fn check(&self) -> Result<(), QueryError> {
        match self.reason.load(Ordering::Relaxed) {
            RUNNING => match self.patience {
                Some((clock, end)) if clock() > end => Err(QueryError::Longer),
                _ => Ok(()),
            },
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

    #[test]
    fn patience_ends_with_its_time_and_after_the_flag() {
        let clock = || Duration::from_secs(5);
        let interrupt = Interrupt::new();
        let (patient, impatient) =
            [5, 4].map(|end| interrupt.until(clock, Duration::from_secs(end))).into();
        assert_eq!((patient.check(), impatient.check()), (Ok(()), Err(QueryError::Longer)));
        interrupt.cancel();
        assert_eq!(impatient.check(), Err(QueryError::Cancelled));
    }
}
