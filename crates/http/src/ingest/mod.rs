//! Samples coming in.

mod answer;
mod remote_write;

pub use remote_write::remote_write;
