//! The usual case of matching: one series on each side, floats only.

use crate::ast::BinaryOp;
use crate::eval::frame::{ABSENT, is_float};

/// Applies an operator to two columns of floats.
pub(super) fn apply(op: BinaryOp, return_bool: bool, lhs: &[f64], rhs: &[f64], out: &mut [f64]) {
    macro_rules! zip {
        ($f:expr) => {
            for ((out, &a), &b) in out.iter_mut().zip(lhs).zip(rhs) {
                *out = if is_float(a) && is_float(b) { $f(a, b) } else { ABSENT };
            }
        };
    }
    match op {
        BinaryOp::Add => zip!(|a: f64, b: f64| a + b),
        BinaryOp::Sub => zip!(|a: f64, b: f64| a - b),
        BinaryOp::Mul => zip!(|a: f64, b: f64| a * b),
        BinaryOp::Div => zip!(|a: f64, b: f64| a / b),
        _ if op.is_comparison() && !return_bool => {
            zip!(|a, b| if op.compare(a, b) { a } else { ABSENT });
        }
        _ => zip!(|a, b| op.on_floats(a, b)),
    }
}
