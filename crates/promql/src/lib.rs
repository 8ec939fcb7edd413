//! PromQL: text → syntax tree → plan → evaluation in columns.
//!
//! Floor 0 (pure): the engine reads series through [`Source`] and knows neither clock nor disk.

mod answer;
pub mod ast;
mod duration;
mod engine;
mod error;
mod eval;
mod explain;
mod functions;
mod histogram;
mod interrupt;
mod plan;
mod print;
mod selectors;
mod source;
mod syntax;

pub use answer::{Answer, MatrixSeries, SampleValue, Stats, Value, VectorSample};
pub use ast::Expr;
pub use engine::{Engine, EngineOptions, HelpersError, QueryOptions, QueryTime};
pub use error::QueryError;
pub use explain::{Explanation, Stopwatch};
pub use functions::functions;
pub use interrupt::Interrupt;
pub use print::{Description, describe, pretty};
pub use selectors::selectors;
pub use source::{Hints, Source};
pub use syntax::{ParseError, ParseOptions, Place, parse, parse_selector, parse_with};
