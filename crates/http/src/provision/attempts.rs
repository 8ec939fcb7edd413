//! How often somebody asked for certificates within the last minute, and how often in vain.
//!
//! Invariant: the table is bounded; when it is full of recent askers, new ones have to wait.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::caller::Peer;
use crate::config::EnrolmentLimits;

const WINDOW: Duration = Duration::from_secs(60);
const ASKERS_MAX: usize = 20_000;

pub struct Attempts {
    requests_max: u32,
    refusals_max: u32,
    askers: Mutex<HashMap<String, Window>>,
}

struct Window {
    began: Instant,
    requests: u32,
    refusals: u32,
}

impl Attempts {
    pub fn new(limits: &EnrolmentLimits) -> Self {
        Self {
            requests_max: limits.requests_per_minute,
            refusals_max: limits.refusals_per_minute,
            askers: Mutex::default(),
        }
    }

    /// May this peer ask once more?
    pub fn admit(&self, peer: &Peer) -> bool {
        let mut askers = self.askers.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let recent = |window: &Window| now.duration_since(window.began) < WINDOW;
        if askers.len() >= ASKERS_MAX {
            askers.retain(|_, window| recent(window));
        }
        let key = key(peer);
        if askers.len() >= ASKERS_MAX && !askers.contains_key(&key) {
            return false;
        }
        let fresh = Window { began: now, requests: 0, refusals: 0 };
        let window = askers.entry(key).or_insert_with(|| Window { ..fresh });
        if !recent(window) {
            *window = Window { began: now, requests: 0, refusals: 0 };
        }
        let admitted = window.requests < self.requests_max && window.refusals < self.refusals_max;
        window.requests = window.requests.saturating_add(1);
        admitted
    }

    /// Remembers that what this peer asked for was refused.
    pub fn refused(&self, peer: &Peer) {
        let mut askers = self.askers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = askers.get_mut(&key(peer)) {
            window.refusals = window.refusals.saturating_add(1);
        }
    }
}

/// Who owns an IPv6 network has all of its addresses.
fn key(peer: &Peer) -> String {
    match peer {
        Peer::Anonymous(IpAddr::V6(address)) if address.to_ipv4_mapped().is_none() => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts() -> Attempts {
        let limits = EnrolmentLimits { requests_per_minute: 4, ..EnrolmentLimits::default() };
        Attempts::new(&EnrolmentLimits { refusals_per_minute: 2, ..limits })
    }

    fn from(address: &str) -> Peer {
        Peer::Anonymous(address.parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn guessing_is_stopped_for_a_minute_and_for_the_guesser_alone() {
        let attempts = attempts();
        let (guesser, owner) = (from("192.0.2.1"), from("192.0.2.2"));
        for expected in [true, true, false, false] {
            assert_eq!(attempts.admit(&guesser), expected);
            attempts.refused(&guesser);
        }
        assert!(attempts.admit(&owner));
        tokio::time::advance(WINDOW).await;
        assert!(attempts.admit(&guesser));
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_of_one_network_count_together() {
        let attempts = attempts();
        for last in 0..4 {
            assert!(attempts.admit(&from(&format!("2001:db8::{last}"))));
        }
        assert!(!attempts.admit(&from("2001:db8::9")));
        assert!(attempts.admit(&from("2001:db8:1::9")));
    }
}
