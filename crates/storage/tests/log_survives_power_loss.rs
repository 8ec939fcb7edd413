//! Every entry synced before a crash is there afterwards, once and in order; nothing appears that was
//! never appended; recovery itself may lose power.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

#[path = "log/driver.rs"]
mod driver;
#[path = "log/model.rs"]
mod model;

use driver::Driver;

/// Each seed is a course of 120 steps with some ten crashes.
const SEEDS: u64 = 600;

#[test]
fn any_crash_leaves_what_was_synced_and_a_prefix_of_the_rest() {
    let seeds = std::env::var("LOG_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    let mut crashes = 0;
    for seed in 0..seeds.unwrap_or(SEEDS) {
        let mut driver = Driver::new(seed);
        for step in 0..120 {
            if let Err(what) = driver.step() {
                panic!("seed {seed}, step {step}: {what}");
            }
        }
        crashes += driver.crashes;
    }
    assert!(crashes > 2000, "only {crashes} crashes");
}
