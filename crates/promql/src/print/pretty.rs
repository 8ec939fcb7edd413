//! An expression over several lines: what is longer than a line is split at its outermost node.

use super::expression::{aggregation, operator, subquery_suffix};
use crate::ast::{Expr, ExprKind};

/// The longest expression that stays on one line, in bytes.
const LINE_MAX: usize = 100;

/// As Prometheus' formatter lays an expression out.
pub fn pretty(expr: &Expr) -> String {
    at_level(expr, 0)
}

fn at_level(expr: &Expr, level: usize) -> String {
    let indent = "  ".repeat(level);
    let line = expr.to_string();
    if line.len() <= LINE_MAX {
        // Prometheus does not indent a subquery that fits its line.
        return match expr.kind {
            ExprKind::Subquery(_) => line,
            _ => indent + &line,
        };
    }
    let inner = |expr: &Expr| at_level(expr, level + 1);
    match &expr.kind {
        ExprKind::Paren(content) => format!("{indent}(\n{}\n{indent})", inner(content)),
        ExprKind::Negate(operand) => format!("{indent}-{}", at_level(operand, level).trim()),
        ExprKind::Plus(operand) => format!("{indent}+{}", at_level(operand, level).trim()),
        ExprKind::Binary(binary) => {
            let operator = operator(binary);
            format!("{}\n{indent}{operator}\n{}", inner(&binary.lhs), inner(&binary.rhs))
        }
        ExprKind::Aggregate(aggregate) => {
            let param = aggregate.param.as_ref().map(|param| inner(param) + ",\n");
            format!(
                "{indent}{}(\n{}{}\n{indent})",
                aggregation(aggregate),
                param.unwrap_or_default(),
                inner(&aggregate.expr)
            )
        }
        ExprKind::Call(call) => {
            let arguments: Vec<String> = call.args.iter().map(inner).collect();
            format!("{indent}{}(\n{}\n{indent})", call.function.name, arguments.join(",\n"))
        }
        ExprKind::Subquery(subquery) => {
            at_level(&subquery.expr, level) + &subquery_suffix(subquery)
        }
        _ => indent + &line,
    }
}
