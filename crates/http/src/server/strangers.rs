//! How many connections there may be of whom nobody knows yet who they are: handshakes that have not
//! ended, and clients without a certificate.
//!
//! Invariant: strangers can push out strangers only. Whoever is quick gets through while thousands
//! stand in the door, because it is the one that stood there longest who has to go.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

pub struct Strangers {
    limit: usize,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    next: u64,
    /// In the order of their coming; dropping a sender tells its owner to go.
    waiting: BTreeMap<u64, oneshot::Sender<()>>,
}

/// A stranger who was let in; dropped when it is gone or known.
pub struct Stranger {
    strangers: Arc<Strangers>,
    number: u64,
    place: oneshot::Receiver<()>,
}

impl Strangers {
    pub fn new(limit: usize) -> Self {
        Self { limit, inside: Mutex::default() }
    }

    /// Lets one more in, and tells the oldest to go if there are too many.
    pub fn enter(self: &Arc<Self>) -> Stranger {
        let (sender, place) = oneshot::channel();
        let mut inside = self.lock();
        if inside.waiting.len() >= self.limit {
            inside.waiting.pop_first();
        }
        let number = inside.next;
        inside.next += 1;
        inside.waiting.insert(number, sender);
        Stranger { strangers: Arc::clone(self), number, place }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stranger {
    /// Resolves when this one has to go.
    pub async fn displaced(&mut self) {
        // Nothing is ever sent.
        let _dropped = (&mut self.place).await;
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.strangers.lock().waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn has_to_go(stranger: &mut Stranger) -> bool {
        tokio::time::timeout(Duration::from_millis(1), stranger.displaced()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_goes_and_who_left_by_itself_takes_nobodys_place() {
        let strangers = Arc::new(Strangers::new(2));
        let (mut first, mut second) = (strangers.enter(), strangers.enter());
        assert!(!has_to_go(&mut first).await);
        let third = strangers.enter();
        assert!(has_to_go(&mut first).await);
        assert!(!has_to_go(&mut second).await);
        drop((first, third));
        let mut fourth = strangers.enter();
        assert!(!has_to_go(&mut second).await && !has_to_go(&mut fourth).await);
        drop((second, fourth));
        assert!(strangers.lock().waiting.is_empty(), "who is gone is forgotten");
    }
}
