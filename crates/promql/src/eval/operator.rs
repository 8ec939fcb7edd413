//! Arithmetic and comparison of two samples.

use metricstor_model::{CounterResetHint, FloatHistogram, Trim};

use crate::ast::{BinaryOp, Span};
use crate::eval::annotations::{Annotations, Operation};
use crate::eval::frame::Cell;

impl BinaryOp {
    pub(crate) fn is_trim(self) -> bool {
        matches!(self, Self::TrimUpper | Self::TrimLower)
    }

    /// Is the result another quantity than the operands, so that the metric name no longer fits?
    pub(crate) fn changes_metric(self) -> bool {
        use BinaryOp::*;
        matches!(self, Add | Sub | Mul | Div | Mod | Pow | Atan2)
    }

    /// The result of arithmetic on floats, or 1 or 0 for a comparison.
    #[inline]
    pub(crate) fn on_floats(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::Mod => a % b,
            Self::Pow => a.powf(b),
            Self::Atan2 => atan2(a, b),
            _ => f64::from(u8::from(self.compare(a, b))),
        }
    }

    #[inline]
    pub(crate) fn compare(self, a: f64, b: f64) -> bool {
        match self {
            Self::Equal => a == b,
            Self::NotEqual => a != b,
            Self::Less => a < b,
            Self::LessOrEqual => a <= b,
            Self::Greater => a > b,
            Self::GreaterOrEqual => a >= b,
            _ => false,
        }
    }
}

/// Go looks at the sign of the quotient, which is lost when that becomes too small.
fn atan2(y: f64, x: f64) -> f64 {
    let is_lost = x.is_finite() && x < 0.0 && y < 0.0 && y / x == 0.0;
    if is_lost { std::f64::consts::PI } else { y.atan2(x) }
}

/// What an operator makes of two samples.
#[derive(Debug)]
pub(crate) enum Combined {
    /// Nothing, because the operator is not for such samples.
    Impossible,
    Float {
        value: f64,
        keep: bool,
    },
    Histogram {
        value: FloatHistogram,
        keep: bool,
    },
}

/// Applies an operator to two samples, of which at least one is there. A comparison yields its left
/// side, and whether it holds in `keep`. Remarks go to `notes`, if somebody wants them.
pub(crate) fn combine(
    op: BinaryOp,
    lhs: Cell<'_>,
    rhs: Cell<'_>,
    span: Span,
    notes: &mut Annotations,
) -> Combined {
    match (lhs, rhs) {
        (Cell::Float(a), Cell::Float(b)) if !op.is_trim() => {
            if op.is_comparison() {
                Combined::Float { value: a, keep: op.compare(a, b) }
            } else {
                Combined::Float { value: op.on_floats(a, b), keep: true }
            }
        }
        (Cell::Float(a), Cell::Histogram(h)) if op == BinaryOp::Mul => scaled(h, |h| h.mul(a)),
        (Cell::Histogram(h), Cell::Float(b)) if op == BinaryOp::Mul => scaled(h, |h| h.mul(b)),
        (Cell::Histogram(h), Cell::Float(b)) if op == BinaryOp::Div => scaled(h, |h| h.div(b)),
        (Cell::Histogram(h), Cell::Float(b)) if op.is_trim() => {
            let trim = if op == BinaryOp::TrimUpper { Trim::KeepBelow } else { Trim::KeepAbove };
            let mut value = (**h).clone();
            value.trim(b, trim);
            Combined::Histogram { value, keep: true }
        }
        (Cell::Histogram(a), Cell::Histogram(b)) => on_histograms(op, a, b, span, notes),
        _ => {
            incompatible(op, lhs, rhs, span, notes);
            Combined::Impossible
        }
    }
}

fn scaled(h: &FloatHistogram, scale: impl Fn(&mut FloatHistogram)) -> Combined {
    let mut value = h.clone();
    scale(&mut value);
    value.compact();
    Combined::Histogram { value, keep: true }
}

fn on_histograms(
    op: BinaryOp,
    a: &FloatHistogram,
    b: &FloatHistogram,
    span: Span,
    notes: &mut Annotations,
) -> Combined {
    let (outcome, mut value, operation) = match op {
        BinaryOp::Add => {
            let mut sum = a.clone();
            (sum.add(b), sum, Operation::Addition)
        }
        BinaryOp::Sub => {
            let mut difference = a.clone();
            let outcome = difference.sub(b);
            difference.counter_reset_hint = CounterResetHint::Gauge;
            (outcome, difference, Operation::Subtraction)
        }
        BinaryOp::Equal | BinaryOp::NotEqual => {
            let keep = a.same_data(b) == (op == BinaryOp::Equal);
            return Combined::Histogram { value: a.clone(), keep };
        }
        _ => {
            notes.incompatible_types("histogram", op.symbol(), "histogram", span);
            return Combined::Impossible;
        }
    };
    match outcome {
        Err(_) => {
            notes.incompatible_bucket_layout(op.symbol(), span);
            return Combined::Impossible;
        }
        Ok(reconciled) if reconciled.counter_reset_collision => {
            notes.counter_reset_collision(operation, span);
            return Combined::Impossible;
        }
        Ok(reconciled) if reconciled.custom_bounds => {
            notes.mismatched_custom_buckets(operation, span);
        }
        Ok(_) => {}
    }
    value.compact();
    Combined::Histogram { value, keep: true }
}

fn incompatible(op: BinaryOp, lhs: Cell<'_>, rhs: Cell<'_>, span: Span, notes: &mut Annotations) {
    let name = |cell| if matches!(cell, Cell::Histogram(_)) { "histogram" } else { "float" };
    notes.incompatible_types(name(lhs), op.symbol(), name(rhs), span);
}
