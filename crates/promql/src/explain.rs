//! What evaluating a query took, operation by operation.

use std::time::Duration;

/// Reads a clock that never goes back; only differences of its values are looked at.
pub type Stopwatch = fn() -> Duration;

/// One operation of a query's plan with what it took, its operands below it.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// What is done: `sum by (mode)`, `rate`, `*`, `selector`, ….
    pub operation: String,
    /// The part of the query's text that asks for it.
    pub expression: String,
    /// Series of the result; those that matched, for a selector.
    pub series: u64,
    /// Samples of the result over all steps; those that were read, for a selector.
    pub samples: u64,
    /// Memory of the result, about.
    pub bytes: u64,
    /// From the first operand's begin to the end.
    pub time: Duration,
    /// The result is the same at every step and was worked out once.
    pub once: bool,
    /// Worked out series by series together with the operation above; the times of all threads that
    /// took part are added up.
    pub streamed: bool,
    pub operands: Vec<Explanation>,
}
