//! PromQL: text → syntax tree → plan → evaluation in columns.
//!
//! Floor 0 (pure): the engine reads series through [`Source`] and knows neither clock nor disk.

mod ast;
mod functions;
mod source;

pub use source::{Hints, Source};
