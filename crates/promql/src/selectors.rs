//! The selectors of an expression, for calls that look series up without evaluating anything.

use metricstor_model::Matcher;

use crate::ast::{Expr, ExprKind};

/// The matchers of every selector, in the order of the text. Recursion is bounded by the depth that
/// the parser allows.
pub fn selectors(expr: &Expr) -> Vec<&[Matcher]> {
    let mut found = Vec::new();
    collect(expr, &mut found);
    found
}

fn collect<'e>(expr: &'e Expr, found: &mut Vec<&'e [Matcher]>) {
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::Duration(_) | ExprKind::String(_) | ExprKind::Bytes(_) => {}
        ExprKind::Paren(inner) | ExprKind::Negate(inner) | ExprKind::Plus(inner) => {
            collect(inner, found);
        }
        ExprKind::Binary(binary) => {
            collect(&binary.lhs, found);
            collect(&binary.rhs, found);
        }
        ExprKind::Aggregate(aggregate) => {
            aggregate.param.iter().for_each(|param| collect(param, found));
            collect(&aggregate.expr, found);
        }
        ExprKind::Call(call) => call.args.iter().for_each(|arg| collect(arg, found)),
        ExprKind::Vector(selector) => found.push(&selector.matchers),
        ExprKind::Matrix(matrix) => found.push(&matrix.selector.matchers),
        ExprKind::Subquery(subquery) => collect(&subquery.expr, found),
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
