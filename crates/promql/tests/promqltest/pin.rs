//! Fixes a query to a moment: evaluated at any other time it must answer the same.

use metricstor_promql::Expr;
use metricstor_promql::ast::{At, ExprKind};

/// Functions whose value depends on the time of the evaluation even if their arguments do not.
const TIME_DEPENDENT: [&str; 15] = [
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
    "end",
    "hour",
    "minute",
    "month",
    "predict_linear",
    "range",
    "start",
    "step",
    "time",
    "timestamp",
    "year",
];

/// Gives every selector and outermost subquery without `@ T` one; false if the query would still
/// depend on when it is evaluated.
pub fn pin(expr: &mut Expr, at: i64) -> bool {
    let moment = |old: &mut Option<At>| {
        if !matches!(old, Some(At::Timestamp(_))) {
            *old = Some(At::Timestamp(at));
        }
    };
    match &mut expr.kind {
        ExprKind::Number(_) | ExprKind::Duration(_) | ExprKind::String(_) | ExprKind::Bytes(_) => {
            true
        }
        ExprKind::Paren(inner) | ExprKind::Negate(inner) | ExprKind::Plus(inner) => pin(inner, at),
        ExprKind::Binary(binary) => pin(&mut binary.lhs, at) & pin(&mut binary.rhs, at),
        ExprKind::Aggregate(aggregate) => {
            aggregate.param.as_mut().is_none_or(|param| pin(param, at))
                & pin(&mut aggregate.expr, at)
        }
        ExprKind::Call(call) => {
            let steady = !TIME_DEPENDENT.contains(&call.function.name);
            call.args.iter_mut().fold(steady, |steady, arg| steady & pin(arg, at))
        }
        ExprKind::Vector(selector) => {
            moment(&mut selector.at);
            true
        }
        ExprKind::Matrix(matrix) => {
            moment(&mut matrix.selector.at);
            true
        }
        ExprKind::Subquery(subquery) => {
            moment(&mut subquery.at);
            is_steady(&subquery.expr)
        }
    }
}

/// Does the expression contain no function that depends on the time of the evaluation?
fn is_steady(expr: &Expr) -> bool {
    pin(&mut expr.clone(), 0)
}
