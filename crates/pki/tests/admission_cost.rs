//! What it costs to admit a request at 1,000 policy rules and 10,000 revoked identities.
//!
//! Asserted in optimised builds only: `cargo test --release -p metricstor-pki --test admission_cost
//! -- --nocapture`.

#![allow(clippy::unwrap_used, reason = "a panic is the failure report, in helpers too")]

mod support;

use std::sync::Arc;
use std::time::Instant;

use metricstor_pki::{ClientAuth, Guard, Identity, LeafRequest, Policy, Revocations, Rule, Verb};
use support::*;

const RULES: usize = 1_000;
const REVOKED: usize = 10_000;
/// The best of several batches is compared: the machine may be busy with other things.
const BATCHES: u32 = 20;
const BATCH: u32 = if cfg!(debug_assertions) { 10 } else { 5_000 };
const NANOSECONDS_MAX: u128 = 2_000;

fn rules(pattern: impl Fn(usize) -> String) -> Vec<Rule> {
    let rule = |i| Rule { who: vec![pattern(i)], may: vec![Verb::Write], ..Rule::default() };
    (0..RULES).map(rule).collect()
}

#[test]
fn a_request_is_admitted_within_two_microseconds() {
    let site = Site::new();
    let identity = |name: &str| -> Identity {
        let leaf = site.authority.issue_with_new_key(&LeafRequest::new(subject(name)), day(0));
        Identity::from_certificate(&leaf.unwrap().chain()[0]).unwrap()
    };
    let revoked = (0..REVOKED).map(|i| (subject(&format!("agent/gone-{i}")), day(0)));
    let revocations = Arc::new(Revocations::default());
    revocations.publish(revoked.collect());
    for (case, rules, caller) in [
        ("exact names", rules(|i| format!("agent/web-{i}")), identity("agent/web-999")),
        ("prefixes", rules(|i| format!("agent/web-{i}-*")), identity("agent/web-999-x")),
        (
            "nested prefixes",
            rules(|i| format!("agent/{}*", "a".repeat(i % 100))),
            identity("agent/aaaaaaaaaaaab"),
        ),
        ("suffixes", rules(|i| format!("agent/*.dc-{i}")), identity("agent/web.dc-999")),
    ] {
        let guard = Guard::new(Policy::new(&rules).unwrap(), revocations.clone());
        let batch = |_| {
            let start = Instant::now();
            for _ in 0..BATCH {
                let caller = std::hint::black_box(&caller);
                std::hint::black_box(guard.admit(caller, Verb::Write, day(1))).unwrap();
            }
            start.elapsed().as_nanos() / u128::from(BATCH)
        };
        let each = (0..BATCHES).map(batch).min().unwrap();
        println!("{case}: {each} ns a request");
        assert!(cfg!(debug_assertions) || each <= NANOSECONDS_MAX, "{case}: {each} ns");
    }
}

#[test]
fn mutual_handshakes_are_cheap_enough_for_a_fleet_that_reconnects_at_once() {
    const HANDSHAKES: u32 = 200;
    let site = Site::new();
    let client = site.client(Some(&site.issue("agent/web-1", day(0)))).config();
    let start = Instant::now();
    for _ in 0..HANDSHAKES {
        handshake(client.clone(), site.tls.config(ClientAuth::Required)).unwrap();
    }
    let per_second = f64::from(HANDSHAKES) / start.elapsed().as_secs_f64();
    println!("{per_second:.0} mutual handshakes a second, both ends on one core");
    // A thousand machines within ten seconds.
    assert!(cfg!(debug_assertions) || per_second >= 100.0, "{per_second:.0}");
}
