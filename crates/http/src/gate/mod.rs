//! Who may evaluate now: a bounded number of queries at once, of which one identity has a smaller
//! number; the others wait, in a line per caller.
//!
//! Invariant: a turn is given back when its query ends, and a place in the line when its client goes
//! away, however they end.

mod lines;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot::Receiver;
use tokio::time::timeout;

use crate::config::QueryLimits;
use crate::error::ApiError;
use crate::metrics::Gauge;
use lines::{Admission, Lines, Turn};

pub struct Gate {
    lines: Arc<Mutex<Lines>>,
    per_identity: usize,
    queue_timeout: Duration,
    waiting: Gauge,
}

/// The right to evaluate, until dropped.
#[derive(Debug)]
pub struct Permit {
    lines: Arc<Mutex<Lines>>,
    caller: String,
}

impl Gate {
    pub fn new(limits: &QueryLimits, waiting: Gauge) -> Self {
        Self {
            lines: Arc::new(Mutex::new(Lines::new(limits.concurrent, limits.queue))),
            per_identity: limits.concurrent_per_identity,
            queue_timeout: limits.queue_timeout,
            waiting,
        }
    }

    /// Waits for a turn; fails when too many wait already, or the wait takes too long.
    pub async fn enter(&self, caller: &str, own_limit: Option<u32>) -> Result<Permit, ApiError> {
        let limit =
            own_limit.map_or(self.per_identity, |own| (own as usize).min(self.per_identity));
        let admission = lock(&self.lines).enter(caller, limit);
        let permit = || Permit { lines: Arc::clone(&self.lines), caller: caller.to_owned() };
        let Admission::Wait(ticket, turn) = admission else { return Ok(permit()) };
        let _counted = self.waiting.hold();
        let mut place = Place { lines: &self.lines, caller, ticket, turn, left: false };
        let turn = timeout(self.queue_timeout, &mut place.turn).await;
        place.left = matches!(turn, Ok(Ok(Turn)));
        match turn {
            Ok(Ok(Turn)) => Ok(permit()),
            Ok(Err(_)) => {
                let reason = "too many queries are waiting already";
                Err(ApiError::too_many_requests("queue", reason))
            }
            Err(_) => {
                let reason = "the query waited too long for other queries to end";
                Err(ApiError::too_many_requests("queue_timeout", reason))
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        lock(&self.lines).leave(&self.caller);
    }
}

/// A place in a caller's line, until it is left with the turn.
struct Place<'a> {
    lines: &'a Mutex<Lines>,
    caller: &'a str,
    ticket: u64,
    turn: Receiver<Turn>,
    left: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        let mut lines = lock(self.lines);
        match self.turn.try_recv() {
            // The turn came when nobody waited for it any more.
            Ok(Turn) => lines.leave(self.caller),
            Err(_) => lines.give_up(self.caller, self.ticket),
        }
    }
}

/// Nothing between lock and unlock can leave the lines half changed.
fn lock(lines: &Mutex<Lines>) -> MutexGuard<'_, Lines> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
