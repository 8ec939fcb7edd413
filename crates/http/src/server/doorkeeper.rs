//! How many connections there may be, together and from one address or network.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::ConnectionLimits;
use crate::network::Network;

pub struct Doorkeeper {
    places: Arc<Semaphore>,
    per_address: usize,
    by_network: Mutex<HashMap<Network, usize>>,
}

/// A connection that was let in; its places are free again when this is dropped.
pub struct Guest {
    doorkeeper: Arc<Doorkeeper>,
    network: Network,
    _place: OwnedSemaphorePermit,
}

impl Doorkeeper {
    pub fn new(limits: &ConnectionLimits) -> Self {
        Self {
            places: Arc::new(Semaphore::new(limits.total)),
            per_address: limits.per_address,
            by_network: Mutex::default(),
        }
    }

    /// Waits until there may be one more connection.
    pub async fn place(&self) -> OwnedSemaphorePermit {
        let places = Arc::clone(&self.places);
        places.acquire_owned().await.expect("the doorkeeper never closes its semaphore")
    }

    /// `None` when there are too many connections from the network of `address`.
    pub fn admit(self: &Arc<Self>, place: OwnedSemaphorePermit, address: IpAddr) -> Option<Guest> {
        let network = Network::from(address);
        let mut by_network = self.lock();
        let count = by_network.entry(network).or_insert(0);
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        Some(Guest { doorkeeper: Arc::clone(self), network, _place: place })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Network, usize>> {
        self.by_network.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut by_network = self.doorkeeper.lock();
        if let Some(count) = by_network.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                by_network.remove(&self.network);
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

    #[tokio::test]
    async fn one_ipv6_network_cannot_take_every_place() {
        let limits = ConnectionLimits { total: 9, per_address: 1, ..ConnectionLimits::default() };
        let doorkeeper = Arc::new(Doorkeeper::new(&limits));
        let mut guests = Vec::new();
        for (address, is_admitted) in [
            ("2001:db8::1", true),
            ("2001:db8::2", false),
            ("2001:db8:0:1::1", true),
            ("192.0.2.1", true),
            ("::ffff:192.0.2.1", false),
            ("::ffff:192.0.2.2", true),
        ] {
            let guest = doorkeeper.admit(doorkeeper.place().await, address.parse().unwrap());
            assert_eq!(guest.is_some(), is_admitted, "{address}");
            guests.push(guest);
        }
    }
}
