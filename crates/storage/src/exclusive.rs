//! Holding a lock against everybody else, and knowing for how long.

use std::ops::{Deref, DerefMut};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};
use std::time::Instant;

use crate::metrics::Latency;

/// A lock held by one alone; how long is noted when it is dropped.
pub(crate) struct Exclusive<'a, T> {
    guard: RwLockWriteGuard<'a, T>,
    since: Instant,
    pauses: &'a Latency,
}

impl<'a, T> Exclusive<'a, T> {
    pub fn hold(lock: &'a RwLock<T>, pauses: &'a Latency) -> Self {
        let guard = lock.write().unwrap_or_else(PoisonError::into_inner);
        Self { guard, since: Instant::now(), pauses }
    }
}

impl<T> Deref for Exclusive<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for Exclusive<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

impl<T> Drop for Exclusive<'_, T> {
    fn drop(&mut self) {
        self.pauses.observe(self.since.elapsed());
    }
}
