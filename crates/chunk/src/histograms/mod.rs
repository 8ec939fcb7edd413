//! The native histograms of one chunk, column by column: each bucket over time is a column of
//! values, as are zero count, count and sum. Lossless, also for histograms that nobody validated.
//!
//! Layout: `count positions shapes shape-of-each hints zero-counts counts sums`, then for each
//! shape one column per bucket. Columns of values are preceded by their size.

mod decode;
mod encode;
mod shape;
#[cfg(test)]
pub(crate) mod tests;

pub use decode::decode;
pub use encode::encode;

use crate::DecodeError;
use metricstor_model::CounterResetHint;

const HINTS: [CounterResetHint; 4] = [
    CounterResetHint::Unknown,
    CounterResetHint::Reset,
    CounterResetHint::NotReset,
    CounterResetHint::Gauge,
];

fn hint_code(hint: CounterResetHint) -> i64 {
    match hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::Reset => 1,
        CounterResetHint::NotReset => 2,
        CounterResetHint::Gauge => 3,
    }
}

fn hint_from_code(code: i64) -> Result<CounterResetHint, DecodeError> {
    let hint = usize::try_from(code).ok().and_then(|code| HINTS.get(code));
    hint.copied().ok_or(DecodeError::Invalid("counter reset hint"))
}
