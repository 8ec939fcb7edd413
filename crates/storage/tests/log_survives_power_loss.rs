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

#[test]
fn every_operation_of_a_course_can_be_the_last() {
    for seed in 1000..1006 {
        let mut cuts = 0;
        for operations in 0.. {
            let mut driver = Driver::until_power_cut(seed, operations);
            for step in 0..100 {
                if let Err(what) = driver.step() {
                    panic!("seed {seed}, cut after {operations}, step {step}: {what}");
                }
                if driver.crashes > 0 {
                    break;
                }
            }
            if driver.crashes == 0 {
                break;
            }
            cuts += 1;
        }
        assert!(cuts > 100, "seed {seed}: only {cuts} operations");
    }
}
