//! The parts of a query that later versions answer differently by themselves: a difference is
//! explained by such a part only if the part alone, asked of both servers, differs as predicted.

use metricstor_promql::Expr;
use metricstor_promql::ast::{AggregateOp, At, DurationExpr, ExprKind};
use serde_json::Value;

use crate::answer::{Outcome, by_time, chosen, compare, differing, how_many};

struct Changed {
    reason: &'static str,
    /// What is to be asked alone, if this part is answered differently.
    of: fn(&Expr) -> Option<&Expr>,
    /// May the part's answers, the reference's and ours, differ like this?
    fits: fn(&Outcome, &Outcome) -> bool,
}

const CHANGED: [Changed; 7] = [
    Changed {
        reason: "3.8: a histogram's extrapolation ends where its count would be zero",
        of: |part| calls(part, &["rate", "increase"]).then_some(part),
        fits: |reference, own| differ_all(reference, own, is_scaled_down),
    },
    Changed {
        reason: "3.8: histogram_fraction interpolates in the first bucket",
        of: |part| calls(part, &["histogram_fraction"]).then_some(part),
        fits: |reference, own| {
            differ_all(reference, own, |theirs, own| is_nan(theirs) && !is_nan(own))
        },
    },
    Changed {
        reason: "3.14: mad_over_time of NaN is NaN",
        of: |part| calls(part, &["mad_over_time"]).then_some(part),
        fits: |reference, own| {
            differ_all(reference, own, |theirs, own| !is_nan(theirs) && is_nan(own))
        },
    },
    Changed {
        reason: "3.9: the mean of infinite histograms is infinite",
        of: |part| {
            let is_mean = aggregates(part, &[AggregateOp::Avg]) || calls(part, &["avg_over_time"]);
            is_mean.then_some(part)
        },
        fits: |reference, own| {
            let is_infinite =
                |value: &Value| value["count"].as_str().is_some_and(|n| n.ends_with("Inf"));
            let fits = |theirs: &Value, own: &Value| theirs["count"] == "NaN" && is_infinite(own);
            differ_all(reference, own, fits)
        },
    },
    Changed {
        reason: "of equal values any is chosen: the order of series is the store's",
        of: |part| aggregates(part, &[AggregateOp::Topk, AggregateOp::Bottomk]).then_some(part),
        fits: |reference, own| chosen(reference) == chosen(own),
    },
    Changed {
        reason: "limitk takes the first series, and their order is the store's",
        of: |part| aggregates(part, &[AggregateOp::Limitk]).then_some(part),
        fits: |reference, own| how_many(reference) == how_many(own),
    },
    Changed {
        reason: "the last digit of a function, made visible by what looks for differences",
        of: |part| {
            subquery_of(
                part,
                &["rate", "increase", "irate", "idelta", "delta", "resets", "changes"],
            )
        },
        fits: |reference, own| {
            compare(reference, own).is_ok() && by_time(reference) != by_time(own)
        },
    },
];

/// Why a query may be answered differently. `ask` gives both answers to a part of it, at several
/// choices of times if they differ.
pub fn reason(text: &str, ask: impl Fn(&str) -> Vec<(Outcome, Outcome)>) -> Option<&'static str> {
    let whole = metricstor_promql::parse(text).ok()?;
    let mut parts = Vec::new();
    collect(&whole, &mut parts);
    parts.into_iter().find_map(|part| {
        CHANGED.iter().find_map(|changed| {
            let asked = (changed.of)(part)?;
            let answers = ask(&text[asked.span.start..asked.span.end]);
            let fits = answers.iter().any(|(theirs, own)| (changed.fits)(theirs, own));
            fits.then_some(changed.reason)
        })
    })
}

/// Is there a selector with `@` in an aggregation's parameter? Prometheus forgets that such a parameter
/// is the same at every step.
pub fn has_moving_parameter(text: &str) -> bool {
    let Ok(whole) = metricstor_promql::parse(text) else { return false };
    let mut parts = Vec::new();
    collect(&whole, &mut parts);
    let parameters = parts.into_iter().filter_map(|part| match &part.kind {
        ExprKind::Aggregate(aggregate) => aggregate.param.as_ref(),
        _ => None,
    });
    let mut inside = Vec::new();
    parameters.for_each(|parameter| collect(parameter, &mut inside));
    inside.into_iter().any(has_time)
}

/// Is there `@` in a subquery whose first step is the start of what it stands in? Prometheus adjusts the
/// selectors inside to the subquery's own start, but not if that is where the evaluation begins anyway.
pub fn has_misplaced_time(text: &str, start: i64, end: i64) -> bool {
    metricstor_promql::parse(text).is_ok_and(|whole| is_misplaced(&whole, start, end))
}

fn is_misplaced(expr: &Expr, start: i64, end: i64) -> bool {
    /// Of a subquery that names none: a minute, as the servers are configured.
    const STEP: DurationExpr = DurationExpr::Constant(60_000);
    let ExprKind::Subquery(subquery) = &expr.kind else {
        return children(expr).into_iter().any(|child| is_misplaced(child, start, end));
    };
    let step = subquery.step.as_ref().unwrap_or(&STEP);
    let (
        DurationExpr::Constant(range),
        DurationExpr::Constant(step),
        DurationExpr::Constant(offset),
    ) = (&subquery.range, step, &subquery.offset)
    else {
        return false;
    };
    let at = match subquery.at {
        Some(At::Timestamp(at)) => at,
        Some(At::End) => end,
        Some(At::Start) | None => start,
    };
    let first = (at - offset - range).div_euclid(*step) * step + step;
    let mut inside = Vec::new();
    collect(&subquery.expr, &mut inside);
    first == start && inside.into_iter().any(has_time) || is_misplaced(&subquery.expr, first, end)
}

/// Is this a selector or subquery with `@`?
fn has_time(part: &Expr) -> bool {
    match &part.kind {
        ExprKind::Vector(selector) => selector.at.is_some(),
        ExprKind::Matrix(matrix) => matrix.selector.at.is_some(),
        ExprKind::Subquery(subquery) => subquery.at.is_some(),
        _ => false,
    }
}

/// The tree's nodes, the innermost first.
fn collect<'a>(expr: &'a Expr, parts: &mut Vec<&'a Expr>) {
    children(expr).into_iter().for_each(|child| collect(child, parts));
    parts.push(expr);
}

fn children(expr: &Expr) -> Vec<&Expr> {
    match &expr.kind {
        ExprKind::Paren(inner) | ExprKind::Negate(inner) | ExprKind::Plus(inner) => vec![inner],
        ExprKind::Binary(binary) => vec![&binary.lhs, &binary.rhs],
        ExprKind::Aggregate(aggregate) => aggregate.param.iter().chain([&aggregate.expr]).collect(),
        ExprKind::Call(call) => call.args.iter().collect(),
        ExprKind::Subquery(subquery) => vec![&subquery.expr],
        _ => vec![],
    }
}

fn calls(part: &Expr, names: &[&str]) -> bool {
    matches!(&part.kind, ExprKind::Call(call) if names.contains(&call.function.name))
}

/// What the subquery evaluates that one of these functions is called with.
fn subquery_of<'a>(part: &'a Expr, names: &[&str]) -> Option<&'a Expr> {
    let ExprKind::Call(call) = &part.kind else { return None };
    let [argument] = &call.args[..] else { return None };
    let ExprKind::Subquery(subquery) = &argument.kind else { return None };
    names.contains(&call.function.name).then_some(&subquery.expr)
}

fn aggregates(part: &Expr, ops: &[AggregateOp]) -> bool {
    matches!(&part.kind, ExprKind::Aggregate(aggregate) if ops.contains(&aggregate.op))
}

/// Do the same series have the same points, but for some values, all of which differ like this?
fn differ_all(reference: &Outcome, own: &Outcome, like: impl Fn(&Value, &Value) -> bool) -> bool {
    differing(reference, own)
        .is_some_and(|pairs| !pairs.is_empty() && pairs.iter().all(|(a, b)| like(a, b)))
}

fn is_nan(value: &Value) -> bool {
    value == "NaN"
}

/// Is the second histogram a fraction of the first, in every part alike?
fn is_scaled_down(theirs: &Value, own: &Value) -> bool {
    let number = |value: &Value| value.as_str().and_then(|text| text.parse::<f64>().ok());
    let (Some(before), Some(now)) = (number(&theirs["count"]), number(&own["count"])) else {
        return false;
    };
    let factor = now / before;
    let scaled = |a: &Value, b: &Value| {
        number(a)
            .zip(number(b))
            .is_some_and(|(a, b)| (a * factor - b).abs() <= 1e-6 * b.abs().max(1e-9))
    };
    let buckets = |h: &Value| h["buckets"].as_array().cloned().unwrap_or_default();
    let (a, b) = (buckets(theirs), buckets(own));
    let mut pairs = a.iter().zip(&b);
    (0.0..1.0).contains(&factor)
        && scaled(&theirs["sum"], &own["sum"])
        && a.len() == b.len()
        && pairs.all(|(a, b)| a[1] == b[1] && a[2] == b[2] && scaled(&a[3], &b[3]))
}
