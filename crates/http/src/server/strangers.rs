//! How many connections there may be of whom nobody knows yet who they are: handshakes that have not
//! ended, and clients that showed neither a certificate nor a valid bearer token.
//!
//! Invariant: strangers can push out strangers only. Whoever is quick gets through while thousands
//! stand in the door, because it is the one that stood there longest who has to go.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

pub struct Strangers {
    limit: usize,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    next: u64,
    /// In the order of their coming; who gets a message has to go.
    waiting: BTreeMap<u64, oneshot::Sender<()>>,
}

/// A stranger who was let in; dropped when it is gone or known by its certificate.
pub struct Stranger {
    place: Arc<Place>,
    told_to_go: oneshot::Receiver<()>,
}

/// Where a stranger stands among the others. A request that shows who it is from gives it up.
pub struct Place {
    strangers: Arc<Strangers>,
    number: u64,
    is_given_up: AtomicBool,
}

impl Strangers {
    pub fn new(limit: usize) -> Self {
        Self { limit, inside: Mutex::default() }
    }

    /// Lets one more in, and tells the oldest to go if there are too many.
    pub fn enter(self: &Arc<Self>) -> Stranger {
        let (sender, told_to_go) = oneshot::channel();
        let mut inside = self.lock();
        if inside.waiting.len() >= self.limit
            && let Some((_, oldest)) = inside.waiting.pop_first()
        {
            // It may have ended by itself meanwhile.
            let _gone = oldest.send(());
        }
        let number = inside.next;
        inside.next += 1;
        inside.waiting.insert(number, sender);
        let is_given_up = AtomicBool::new(false);
        Stranger {
            place: Arc::new(Place { strangers: Arc::clone(self), number, is_given_up }),
            told_to_go,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stranger {
    pub fn place(&self) -> &Arc<Place> {
        &self.place
    }

    /// Resolves when this one has to go; never once its place is given up.
    pub async fn displaced(&mut self) {
        if (&mut self.told_to_go).await.is_err() {
            std::future::pending().await
        }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.place.give_up();
    }
}

impl Place {
    /// Counts no longer among the strangers.
    pub fn give_up(&self) {
        if !self.is_given_up.swap(true, Ordering::Relaxed) {
            self.strangers.lock().waiting.remove(&self.number);
        }
    }

    pub fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Relaxed)
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

    #[tokio::test(start_paused = true)]
    async fn who_became_known_is_pushed_out_by_nobody() {
        let strangers = Arc::new(Strangers::new(1));
        let mut known = strangers.enter();
        known.place().give_up();
        let mut others = [strangers.enter(), strangers.enter()];
        assert!(!has_to_go(&mut known).await && !has_to_go(&mut others[1]).await);
        assert!(has_to_go(&mut others[0]).await);
    }
}
