//! PromQL: text → syntax tree → plan → evaluation in columns.
//!
//! Floor 0 (pure): the engine reads series through [`Source`] and knows neither clock nor disk.

mod ast;
mod duration;
mod functions;
mod source;
mod syntax;

pub use source::{Hints, Source};
pub use syntax::{ParseError, parse};
