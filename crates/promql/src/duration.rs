//! Durations of ranges, steps and offsets: constants, or expressions over the query's step and range.
//!
//! A constant is checked when it is parsed; a computed one when it is resolved.

use crate::ast::Span;

/// A duration, constant or to be computed when step and range of the query are known.
#[derive(Debug, Clone, PartialEq)]
pub enum DurationExpr {
    /// Milliseconds; negative only for offsets.
    Constant(i64),
    Computed(Box<DurationNode>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct DurationNode {
    pub span: Span,
    pub kind: DurationKind,
    /// Written inside parentheses.
    pub wrapped: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum DurationKind {
    /// Seconds, written as a number.
    Number(f64),
    /// Seconds, written as a duration (`1h`).
    Duration(f64),
    /// `step()`
    Step,
    /// `range()`: the query's end minus its start.
    Range,
    Negate(Box<DurationNode>),
    Plus(Box<DurationNode>),
    Binary(DurationOp, Box<DurationNode>, Box<DurationNode>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DurationOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    /// `min_of(a, b)`
    MinOf,
    /// `max_of(a, b)`
    MaxOf,
}

/// What a query knows when its durations are computed, in milliseconds; both 0 for an instant query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DurationContext {
    pub step: i64,
    /// The query's end minus its start.
    pub range: i64,
}

/// Displayed as Prometheus does: byte offsets, then the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{}: {reason}", span.start, span.end)]
pub struct DurationError {
    pub span: Span,
    pub reason: &'static str,
}

/// The longest duration, in seconds: Prometheus counts nanoseconds in 64 bits.
pub const DURATION_MAX_SECONDS: f64 = i64::MAX as f64 / 1e9;

impl DurationExpr {
    /// Milliseconds of a range or a step, which must be positive.
    pub fn resolve(&self, context: DurationContext) -> Result<i64, DurationError> {
        self.resolve_signed(context, false)
    }

    /// Milliseconds of an offset, which may be negative.
    pub fn resolve_offset(&self, context: DurationContext) -> Result<i64, DurationError> {
        self.resolve_signed(context, true)
    }

    fn resolve_signed(&self, context: DurationContext, signed: bool) -> Result<i64, DurationError> {
        let node = match self {
            Self::Constant(milliseconds) => return Ok(*milliseconds),
            Self::Computed(node) => node,
        };
        let seconds = node.seconds(context)?;
        let error = |reason| Err(DurationError { span: node.span, reason });
        if !seconds.is_finite() {
            error("duration is NaN or infinite")
        } else if seconds <= 0.0 && !signed {
            error("duration must be greater than 0")
        } else if seconds.abs() > DURATION_MAX_SECONDS {
            error("duration is out of range")
        } else {
            Ok((seconds * 1000.0) as i64)
        }
    }
}

impl DurationNode {
    /// Recursion is bounded: the parser refuses deep expressions.
    fn seconds(&self, context: DurationContext) -> Result<f64, DurationError> {
        Ok(match &self.kind {
            DurationKind::Number(seconds) | DurationKind::Duration(seconds) => *seconds,
            DurationKind::Step => context.step as f64 / 1000.0,
            DurationKind::Range => context.range as f64 / 1000.0,
            DurationKind::Negate(operand) => -operand.seconds(context)?,
            DurationKind::Plus(operand) => operand.seconds(context)?,
            DurationKind::Binary(op, lhs, rhs) => {
                let (lhs, rhs) = (lhs.seconds(context)?, rhs.seconds(context)?);
                let error = |reason| Err(DurationError { span: self.span, reason });
                match op {
                    DurationOp::Div if rhs == 0.0 => return error("division by zero"),
                    DurationOp::Mod if rhs == 0.0 => return error("modulo by zero"),
                    _ => op.apply(lhs, rhs),
                }
            }
        })
    }
}

impl DurationOp {
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::MinOf => "min_of",
            Self::MaxOf => "max_of",
        }
    }

    fn apply(self, lhs: f64, rhs: f64) -> f64 {
        // f64::min and max drop NaN; here NaN must survive, to be refused.
        let nan = lhs.is_nan() || rhs.is_nan();
        match self {
            Self::Add => lhs + rhs,
            Self::Sub => lhs - rhs,
            Self::Mul => lhs * rhs,
            Self::Div => lhs / rhs,
            Self::Mod => lhs % rhs,
            Self::Pow => lhs.powf(rhs),
            Self::MinOf | Self::MaxOf if nan => f64::NAN,
            Self::MinOf => lhs.min(rhs),
            Self::MaxOf => lhs.max(rhs),
        }
    }
}
