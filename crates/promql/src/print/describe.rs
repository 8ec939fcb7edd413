//! A syntax tree as plain data, in the shape of Prometheus' `/api/v1/parse_query`.
//!
//! Keys are sorted, so that any writer of maps gives Prometheus' bytes.

use metricstor_model::Matcher;

use super::expression::match_symbol;
use super::number::plain;
use crate::ast::{
    Aggregate, At, Binary, Call, Cardinality, DurationExpr, Expr, ExprKind, RangeExtension,
    Subquery, VectorMatching, VectorSelector,
};
use crate::duration::{DurationKind, DurationNode};

/// Data without a format.
#[derive(Debug, Clone, PartialEq)]
pub enum Description {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Description>),
    Map(Vec<(&'static str, Description)>),
}

use Description::{Bool, Float, Integer, List, Map, Null, Text};

/// Recursion is bounded by the depth that the parser allows.
pub fn describe(expr: &Expr) -> Description {
    match &expr.kind {
        ExprKind::Number(value) | ExprKind::Duration(value) => number(*value),
        ExprKind::String(value) => string(value.clone()),
        ExprKind::Bytes(bytes) => string(String::from_utf8_lossy(bytes).into_owned()),
        ExprKind::Paren(inner) => Map(vec![("expr", describe(inner)), ("type", text("parenExpr"))]),
        ExprKind::Negate(inner) => unary("-", inner),
        ExprKind::Plus(inner) => unary("+", inner),
        ExprKind::Binary(binary) => describe_binary(binary),
        ExprKind::Aggregate(aggregate) => describe_aggregate(aggregate),
        ExprKind::Call(call) => describe_call(call),
        ExprKind::Vector(selector) => describe_selector(selector, None),
        ExprKind::Matrix(matrix) => describe_selector(&matrix.selector, Some(&matrix.range)),
        ExprKind::Subquery(subquery) => describe_subquery(subquery),
    }
}

fn text(text: &str) -> Description {
    Text(text.to_owned())
}

fn texts(list: &[String]) -> Description {
    List(list.iter().map(|item| text(item)).collect())
}

fn string(value: String) -> Description {
    Map(vec![("type", text("stringLiteral")), ("val", Text(value))])
}

fn number(value: f64) -> Description {
    Map(vec![("type", text("numberLiteral")), ("val", Text(plain(value)))])
}

fn unary(op: &str, operand: &Expr) -> Description {
    Map(vec![("expr", describe(operand)), ("op", text(op)), ("type", text("unaryExpr"))])
}

fn describe_binary(binary: &Binary) -> Description {
    Map(vec![
        ("bool", Bool(binary.return_bool)),
        ("lhs", describe(&binary.lhs)),
        ("matching", binary.matching.as_ref().map_or(Null, describe_matching)),
        ("op", text(binary.op.symbol())),
        ("rhs", describe(&binary.rhs)),
        ("type", text("binaryExpr")),
    ])
}

fn describe_matching(matching: &VectorMatching) -> Description {
    let card = match matching.cardinality {
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
        Cardinality::ManyToMany => "many-to-many",
    };
    let fill = |value: Option<f64>| value.map_or(Null, Float);
    let fills = vec![("lhs", fill(matching.fill_left)), ("rhs", fill(matching.fill_right))];
    Map(vec![
        ("card", text(card)),
        ("fillValues", Map(fills)),
        ("include", texts(&matching.include)),
        ("labels", texts(&matching.labels)),
        ("on", Bool(matching.on)),
    ])
}

fn describe_aggregate(aggregate: &Aggregate) -> Description {
    Map(vec![
        ("expr", describe(&aggregate.expr)),
        ("grouping", texts(&aggregate.grouping)),
        ("op", text(aggregate.op.name())),
        ("param", aggregate.param.as_ref().map_or(Null, describe)),
        ("type", text("aggregation")),
        ("without", Bool(aggregate.without)),
    ])
}

fn describe_call(call: &Call) -> Description {
    let function = call.function;
    let types = function.args.iter().map(|value_type| text(value_type.name())).collect();
    let description = vec![
        ("argTypes", List(types)),
        ("name", text(function.name)),
        ("returnType", text(function.returns.name())),
        ("variadic", Integer(function.variadic.into())),
    ];
    Map(vec![
        ("args", List(call.args.iter().map(describe).collect())),
        ("func", Map(description)),
        ("type", text("call")),
    ])
}

fn describe_selector(selector: &VectorSelector, range: Option<&DurationExpr>) -> Description {
    let (timestamp, start_or_end) = at(selector.at);
    let mut map = vec![
        ("anchored", Bool(selector.extension == RangeExtension::Anchored)),
        ("matchers", List(selector.matchers.iter().map(describe_matcher).collect())),
        ("name", text(selector.name.as_deref().unwrap_or_default())),
        ("offset", constant(&selector.offset)),
        ("offsetExpr", computed(&selector.offset)),
    ];
    if let Some(range) = range {
        map.extend([("range", constant(range)), ("rangeExpr", computed(range))]);
    }
    map.extend([
        ("smoothed", Bool(selector.extension == RangeExtension::Smoothed)),
        ("startOrEnd", start_or_end),
        ("timestamp", timestamp),
        ("type", text(if range.is_some() { "matrixSelector" } else { "vectorSelector" })),
    ]);
    Map(map)
}

fn describe_matcher(matcher: &Matcher) -> Description {
    Map(vec![
        ("name", text(&matcher.name)),
        ("type", text(match_symbol(matcher.op))),
        ("value", text(&matcher.value)),
    ])
}

fn describe_subquery(subquery: &Subquery) -> Description {
    let (timestamp, start_or_end) = at(subquery.at);
    let step = subquery.step.as_ref();
    Map(vec![
        ("expr", describe(&subquery.expr)),
        ("offset", constant(&subquery.offset)),
        ("offsetExpr", computed(&subquery.offset)),
        ("range", constant(&subquery.range)),
        ("rangeExpr", computed(&subquery.range)),
        ("startOrEnd", start_or_end),
        ("step", step.map_or(Integer(0), constant)),
        ("stepExpr", step.map_or(Null, computed)),
        ("timestamp", timestamp),
        ("type", text("subquery")),
    ])
}

/// `timestamp` and `startOrEnd`.
fn at(at: Option<At>) -> (Description, Description) {
    match at {
        None => (Null, Null),
        Some(At::Timestamp(milliseconds)) => (Integer(milliseconds), Null),
        Some(At::Start) => (Null, text("start")),
        Some(At::End) => (Null, text("end")),
    }
}

/// Milliseconds; 0 for what is computed.
fn constant(duration: &DurationExpr) -> Description {
    match duration {
        DurationExpr::Constant(milliseconds) => Integer(*milliseconds),
        DurationExpr::Computed(_) => Integer(0),
    }
}

fn computed(duration: &DurationExpr) -> Description {
    match duration {
        DurationExpr::Constant(_) => Null,
        DurationExpr::Computed(node) => describe_duration(node),
    }
}

fn describe_duration(node: &DurationNode) -> Description {
    let (op, lhs, rhs) = match &node.kind {
        DurationKind::Number(value) => return duration_literal(*value, false),
        DurationKind::Duration(value) => return duration_literal(*value, true),
        DurationKind::Step => ("step", Null, Null),
        DurationKind::Range => ("range", Null, Null),
        DurationKind::Plus(inner) => ("+", Null, describe_duration(inner)),
        DurationKind::Negate(inner) => ("-", Null, describe_duration(inner)),
        DurationKind::Binary(op, lhs, rhs) => {
            (op.symbol(), describe_duration(lhs), describe_duration(rhs))
        }
    };
    Map(vec![
        ("lhs", lhs),
        ("op", text(op)),
        ("rhs", rhs),
        ("type", text("durationExpr")),
        ("wrapped", Bool(node.wrapped)),
    ])
}

fn duration_literal(value: f64, duration: bool) -> Description {
    Map(vec![
        ("duration", Bool(duration)),
        ("type", text("numberLiteral")),
        ("val", Text(plain(value))),
    ])
}
