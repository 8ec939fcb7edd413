//! How many connections there may be, together and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::ConnectionLimits;

pub struct Doorkeeper {
    places: Arc<Semaphore>,
    per_address: usize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection that was let in; its places are free again when this is dropped.
pub struct Guest {
    doorkeeper: Arc<Doorkeeper>,
    address: IpAddr,
    _place: OwnedSemaphorePermit,
}

impl Doorkeeper {
    pub fn new(limits: &ConnectionLimits) -> Self {
        Self {
            places: Arc::new(Semaphore::new(limits.total)),
            per_address: limits.per_address,
            by_address: Mutex::default(),
        }
    }

    /// Waits until there may be one more connection.
    pub async fn place(&self) -> OwnedSemaphorePermit {
        let places = Arc::clone(&self.places);
        places.acquire_owned().await.expect("the doorkeeper never closes its semaphore")
    }

    /// `None` when there are too many connections from `address`.
    pub fn admit(self: &Arc<Self>, place: OwnedSemaphorePermit, address: IpAddr) -> Option<Guest> {
        let mut by_address = self.lock();
        let count = by_address.entry(address).or_insert(0);
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        Some(Guest { doorkeeper: Arc::clone(self), address, _place: place })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut by_address = self.doorkeeper.lock();
        if let Some(count) = by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_address_cannot_take_every_place() {
        let limits = ConnectionLimits { total: 3, per_address: 1, ..ConnectionLimits::default() };
        let doorkeeper = Arc::new(Doorkeeper::new(&limits));
        let (a, b) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let first = doorkeeper.admit(doorkeeper.place().await, a);
        assert!(first.is_some());
        assert!(doorkeeper.admit(doorkeeper.place().await, a).is_none());
        assert!(doorkeeper.admit(doorkeeper.place().await, b).is_some());
        drop(first);
        assert!(doorkeeper.admit(doorkeeper.place().await, a).is_some());
        assert!(doorkeeper.lock().is_empty(), "addresses without connections are forgotten");
    }
}
