//! Counting bytes: asked for beforehand by what can be refused, noted afterwards by what cannot.
//!
//! Invariant: a permit's bytes are given back when it is dropped, whatever became of its owner.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Bytes that may be held, and are.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    held: AtomicUsize,
    refused: AtomicU64,
}

/// More was asked for than is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the memory limit is reached: {wanted} bytes asked for, {held} held of {limit} (setting \
     memory.limit)"
)]
pub struct Exceeded {
    pub wanted: usize,
    pub held: usize,
    pub limit: usize,
}

impl Budget {
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, held: AtomicUsize::new(0), refused: AtomicU64::new(0) })
    }

    /// A budget that never refuses.
    pub fn unlimited() -> Arc<Self> {
        Self::new(usize::MAX)
    }

    /// Bytes.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes; may be more than the limit, for not everything can be refused.
    pub fn held(&self) -> usize {
        self.held.load(Relaxed)
    }

    /// How often something was refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// A permit for nothing, to be grown or set.
    pub fn permit(self: &Arc<Self>) -> Permit {
        Permit { budget: Arc::clone(self), bytes: 0 }
    }

    /// A permit for so many bytes, if they are left.
    pub fn take(self: &Arc<Self>, bytes: usize) -> Result<Permit, Exceeded> {
        let mut permit = self.permit();
        permit.grow(bytes)?;
        Ok(permit)
    }

    /// Fails if not even one byte is left.
    pub fn check(&self) -> Result<(), Exceeded> {
        let (held, limit) = (self.held(), self.limit);
        if held < limit {
            return Ok(());
        }
        self.refused.fetch_add(1, Relaxed);
        Err(Exceeded { wanted: 0, held, limit })
    }
}

/// Two names of one budget are equal, two budgets never.
impl PartialEq for Budget {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Budget {}

/// A part of the budget, given back on drop.
#[derive(Debug)]
pub struct Permit {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Permit {
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Asks for more; on an error nothing changes.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Exceeded> {
        let Budget { limit, held, refused } = &*self.budget;
        let fits = |held: usize| held.checked_add(bytes).filter(|sum| sum <= limit);
        match held.fetch_update(Relaxed, Relaxed, fits) {
            Ok(_) => {
                self.bytes += bytes;
                Ok(())
            }
            Err(held) => {
                refused.fetch_add(1, Relaxed);
                Err(Exceeded { wanted: bytes, held, limit: *limit })
            }
        }
    }

    /// Takes over what another permit of the same budget holds.
    pub fn absorb(&mut self, other: &mut Self) {
        debug_assert!(self.budget == other.budget);
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Notes what its owner holds by now, also beyond the limit.
    pub fn set(&mut self, bytes: usize) {
        self.budget.held.fetch_add(bytes, Relaxed);
        self.budget.held.fetch_sub(self.bytes, Relaxed);
        self.bytes = bytes;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let budget = Budget::new(100);
        let first = budget.take(80).unwrap();
        let error = budget.take(40).unwrap_err();
        assert_eq!(error, Exceeded { wanted: 40, held: 80, limit: 100 });
        assert_eq!((budget.held(), budget.refused()), (80, 1));
        drop(first);
        assert_eq!(budget.take(100).unwrap().bytes(), 100);
        assert_eq!(budget.held(), 0);
        let (mut one, mut other) = (budget.take(30).unwrap(), budget.take(40).unwrap());
        one.absorb(&mut other);
        drop(other);
        assert_eq!((one.bytes(), budget.held()), (70, 70));
        drop(one);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn what_cannot_be_refused_is_noted_and_shuts_out_the_rest() {
        let budget = Budget::new(100);
        let mut head = budget.permit();
        head.set(90);
        budget.check().unwrap();
        head.set(130);
        assert_eq!(budget.held(), 130);
        budget.check().unwrap_err();
        budget.take(1).unwrap_err();
        head.set(10);
        budget.take(90).unwrap();
    }

    #[test]
    fn threads_never_take_more_than_there_is() {
        let budget = Budget::new(1000);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        let permit = budget.take(300);
                        assert!(budget.held() <= 1000);
                        drop(permit);
                    }
                });
            }
        });
        assert_eq!(budget.held(), 0);
    }
}
