//! How much work a query is, as far as that is told before, and with it where it is done.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::runtime::Handle;

/// Cells and samples that take no more than a few times a hand-over to another thread and back, some
/// 50 µs.
const SHORT: usize = 1 << 15;
/// Those of some milliseconds.
const MEDIUM: usize = 1 << 20;
/// How long work may take that was thought to be short or medium, before it is left and done elsewhere:
/// samples may be much denser than usual.
pub const PATIENCE: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Over before another thread would wake up: done where the request was read.
    Short,
    /// Some hand-overs' worth: done there too, while another thread is left for what is short.
    Medium,
    /// Done on a blocking thread, and the answer leaves while it is still being written.
    Long,
}

impl Effort {
    /// Of a query that looks at about so many cells and samples.
    pub fn of_query(cells: usize) -> Self {
        if cells <= SHORT {
            Self::Short
        } else if cells <= MEDIUM {
            Self::Medium
        } else {
            Self::Long
        }
    }

    pub fn short_if(short: bool) -> Self {
        if short { Self::Short } else { Self::Long }
    }
}

/// The runtime's threads that are at medium work.
///
/// Invariant: never all of them, so that whatever is short waits for short work only.
#[derive(Debug, Default)]
pub struct Busy(AtomicUsize);

impl Busy {
    /// The right to do such work on this thread, if it is not to be done elsewhere.
    pub fn enter(&self, effort: Effort) -> Option<Place<'_>> {
        match effort {
            Effort::Short => Some(Place(None)),
            Effort::Medium => {
                let all = Handle::current().metrics().num_workers();
                let one_more = |busy: usize| (busy + 1 < all).then_some(busy + 1);
                let entered = self.0.fetch_update(Relaxed, Relaxed, one_more);
                entered.ok().map(|_| Place(Some(&self.0)))
            }
            Effort::Long => None,
        }
    }
}

/// Work on a thread of the runtime, until dropped.
pub struct Place<'a>(Option<&'a AtomicUsize>);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(busy) = self.0 {
            busy.fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_thread_is_left_to_short_work() {
        for threads in 1..=3 {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = runtime.worker_threads(threads).build().unwrap();
            let _inside = runtime.enter();
            let busy = Busy::default();
            let medium: Vec<_> = std::iter::from_fn(|| busy.enter(Effort::Medium)).collect();
            assert_eq!(medium.len(), threads - 1);
            assert!(busy.enter(Effort::Short).is_some());
            assert!(busy.enter(Effort::Long).is_none());
            drop(medium);
            assert_eq!(busy.enter(Effort::Medium).is_some(), threads > 1);
        }
    }
}
