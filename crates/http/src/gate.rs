//! Who may evaluate now: a bounded number of queries at once, first come first served, with a
//! smaller bound per identity so that one caller cannot take every turn.
//!
//! Invariant: a permit is given back when its query ends, however it ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::config::QueryLimits;
use crate::error::{ApiError, ErrorType};

pub struct Gate {
    turns: Arc<Semaphore>,
    /// One place per query that evaluates or waits.
    places: Arc<Semaphore>,
    per_identity: usize,
    queue_timeout: Duration,
    identities: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// The right to evaluate, until dropped.
#[derive(Debug)]
pub struct Permit {
    _place: OwnedSemaphorePermit,
    _identity: OwnedSemaphorePermit,
    _turn: OwnedSemaphorePermit,
}

impl Gate {
    pub fn new(limits: &QueryLimits) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(limits.concurrent)),
            places: Arc::new(Semaphore::new(limits.concurrent + limits.queue)),
            per_identity: limits.concurrent_per_identity,
            queue_timeout: limits.queue_timeout,
            identities: Mutex::default(),
        }
    }

    /// Waits for a turn; fails when the queue is full or the wait takes too long.
    pub async fn enter(&self, caller: &str, own_limit: Option<u32>) -> Result<Permit, ApiError> {
        let busy = |reason: &str| ApiError::new(ErrorType::TooManyRequests, reason);
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| busy("too many queries are waiting already"))?;
        let own = self.of_identity(caller, own_limit);
        let wait = async {
            let closed = "the semaphores of the gate are never closed";
            let identity = own.acquire_owned().await.expect(closed);
            let turn = Arc::clone(&self.turns).acquire_owned().await.expect(closed);
            Permit { _place: place, _identity: identity, _turn: turn }
        };
        let waited_too_long = "the query waited too long for other queries to end";
        timeout(self.queue_timeout, wait).await.map_err(|_| busy(waited_too_long))
    }

    fn of_identity(&self, caller: &str, own_limit: Option<u32>) -> Arc<Semaphore> {
        let mut identities = self.identities.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = identities.get(caller).and_then(Weak::upgrade) {
            return own;
        }
        identities.retain(|_, semaphore| semaphore.strong_count() > 0);
        let limit =
            own_limit.map_or(self.per_identity, |own| (own as usize).min(self.per_identity));
        let own = Arc::new(Semaphore::new(limit));
        identities.insert(caller.to_owned(), Arc::downgrade(&own));
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(concurrent: usize, per_identity: usize, queue: usize) -> Gate {
        Gate::new(&QueryLimits {
            concurrent,
            concurrent_per_identity: per_identity,
            queue,
            queue_timeout: Duration::from_secs(3600),
            ..QueryLimits::default()
        })
    }

    #[tokio::test(start_paused = true)]
    async fn one_caller_cannot_take_every_turn() {
        let gate = gate(2, 1, 8);
        let _first = gate.enter("a", None).await.unwrap();
        let refused = gate.enter("a", None).await.unwrap_err();
        assert_eq!(refused.error_type, ErrorType::TooManyRequests);
        assert!(gate.enter("b", None).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_identity_may_have_a_smaller_bound_of_its_own() {
        let gate = gate(4, 3, 8);
        let _first = gate.enter("a", Some(1)).await.unwrap();
        assert!(gate.enter("a", Some(1)).await.is_err());
        assert!(gate.enter("b", None).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_refuses_at_once_and_an_ended_query_makes_room() {
        let gate = gate(1, 1, 1);
        let first = gate.enter("a", None).await.unwrap();
        let waiting = gate.enter("b", None);
        tokio::pin!(waiting);
        assert!(futures_poll_once(&mut waiting).await.is_none(), "b has to wait");
        assert!(gate.enter("c", None).await.unwrap_err().text.contains("waiting already"));
        drop(first);
        assert!(waiting.await.is_ok());
        assert!(gate.enter("c", None).await.is_ok());
    }

    /// Polls a future one time.
    async fn futures_poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|cx| {
            use std::task::Poll;
            Poll::Ready(match std::pin::Pin::new(&mut *future).poll(cx) {
                Poll::Ready(output) => Some(output),
                Poll::Pending => None,
            })
        })
        .await
    }
}
