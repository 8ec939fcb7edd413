//! An expression over several lines: what is longer than a line is split at its outermost node.

use std::fmt::{self, Write};

use super::expression::{aggregation, operator, subquery_suffix};
use crate::ast::{Expr, ExprKind};

/// The longest expression that stays on one line, in bytes.
const LINE_MAX: usize = 100;

/// As Prometheus' formatter lays an expression out.
pub fn pretty(expr: &Expr) -> String {
    lay_out(expr, 0, LINE_MAX)
}

/// A line that takes no more than its length.
struct Line {
    text: String,
    max: usize,
}

impl Write for Line {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.text.push_str(part);
        if self.text.len() > self.max { Err(fmt::Error) } else { Ok(()) }
    }
}

/// The expression on one line, if it fits; whole trees are not printed to find that they do not.
fn on_one_line(expr: &Expr, max: usize) -> Option<String> {
    let mut line = Line { text: String::new(), max };
    write!(line, "{expr}").ok().map(|()| line.text)
}

fn lay_out(expr: &Expr, level: usize, max: usize) -> String {
    let indent = "  ".repeat(level);
    if let Some(line) = on_one_line(expr, max) {
        // Prometheus does not indent a subquery that fits its line.
        return if matches!(expr.kind, ExprKind::Subquery(_)) { line } else { indent + &line };
    }
    let inner = |expr: &Expr| lay_out(expr, level + 1, max);
    match &expr.kind {
        ExprKind::Paren(content) => format!("{indent}(\n{}\n{indent})", inner(content)),
        ExprKind::Negate(operand) => format!("{indent}-{}", lay_out(operand, level, max).trim()),
        ExprKind::Plus(operand) => format!("{indent}+{}", lay_out(operand, level, max).trim()),
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
            lay_out(&subquery.expr, level, max) + &subquery_suffix(subquery)
        }
        _ => format!("{indent}{expr}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_longer_than_a_line_is_split_at_its_outermost_node() {
        let cases = [
            ("a + b", "a + b"),
            ("first + on(a) second", "  first\n+ on (a)\n  second"),
            ("a + b + third_metric", "  a + b\n+\n  third_metric"),
            ("topk(5, some_metric)", "topk(\n  5,\n  some_metric\n)"),
            ("sum(m) by (label)", "sum by (label) (\n  m\n)"),
            ("-(first_metric)", "-(\n  first_metric\n)"),
            ("rate(metric[5m])[1h:] @ 5", "rate(\n  metric[5m]\n)[1h:] @ 5.000"),
            ("abs(deriv(m[5m:]))", "abs(\n  deriv(\nm[5m:]\n  )\n)"),
        ];
        for (text, wanted) in cases {
            let expr = crate::syntax::parse(text).expect("valid");
            assert_eq!(lay_out(&expr, 0, 10), wanted, "{text}");
        }
    }
}
