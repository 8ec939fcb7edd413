//! The engine through its public face: what it explains, and that no query leaves its bounds.

#![allow(clippy::unwrap_used)] // a panic is the failure report

mod agreement;
mod bounds;
mod explain;
mod notes;
mod stats;
mod store;
