//! The selectors of an expression, for calls that look series up without evaluating anything.

use metricstor_model::Matcher;

use crate::ast::{Expr, ExprKind};

/// The matchers of every selector, in the order of the text. Recursion is bounded by the depth that
/// the parser allows.
pub fn selectors(expr: &Expr) -> Vec<&[Matcher]> {
    let mut found: Vec<&[Matcher]> = Vec::new();
    visit(expr, &mut |expr| match &expr.kind {
        ExprKind::Vector(selector) => found.push(&selector.matchers),
        ExprKind::Matrix(matrix) => found.push(&matrix.selector.matchers),
        _ => {}
    });
    found
}

/// Does the expression look at more than its selectors tell: at steps of its own, or at series that
/// others lead to?
pub(crate) fn looks_further(expr: &Expr) -> bool {
    let mut found = false;
    visit(expr, &mut |expr| match &expr.kind {
        ExprKind::Subquery(_) => found = true,
        ExprKind::Call(call) => found |= call.function.name == "info",
        _ => {}
    });
    found
}

fn visit<'e>(expr: &'e Expr, see: &mut dyn FnMut(&'e Expr)) {
    see(expr);
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::Duration(_) | ExprKind::String(_) | ExprKind::Bytes(_) => {}
        ExprKind::Vector(_) | ExprKind::Matrix(_) => {}
        ExprKind::Paren(inner) | ExprKind::Negate(inner) | ExprKind::Plus(inner) => {
            visit(inner, see);
        }
        ExprKind::Binary(binary) => {
            visit(&binary.lhs, see);
            visit(&binary.rhs, see);
        }
        ExprKind::Aggregate(aggregate) => {
            aggregate.param.iter().for_each(|param| visit(param, see));
            visit(&aggregate.expr, see);
        }
        ExprKind::Call(call) => call.args.iter().for_each(|arg| visit(arg, see)),
        ExprKind::Subquery(subquery) => visit(&subquery.expr, see),
    }
}

#[cfg(test)]
mod tests {
    use super::selectors;

    #[test]
    fn every_selector_is_found_in_the_order_of_the_text() {
        let text =
            "-sum(rate(a[5m])) / on(x) (topk(scalar(b), c{d=\"e\"})) + max_over_time(f[1h:1m]) > 1";
        let expr = crate::parse(text).unwrap();
        let found = selectors(&expr);
        let names: Vec<&str> = found
            .iter()
            .map(|all| all.iter().find(|m| m.name == "__name__").map_or("", |m| m.value.as_str()))
            .collect();
        assert_eq!(names, ["a", "b", "c", "f"]);
        assert!(selectors(&crate::parse("1 + time()").unwrap()).is_empty());
    }
}
