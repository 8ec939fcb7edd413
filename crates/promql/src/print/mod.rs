//! Syntax trees as text and as data: Prometheus' spelling, layout and description of an expression.

mod describe;
mod expression;
mod number;
mod pretty;
mod quote;

pub use describe::{Description, describe};
pub use number::fixed;
pub use pretty::pretty;
pub use quote::{code_point, quote, quote_bytes, quote_char};
