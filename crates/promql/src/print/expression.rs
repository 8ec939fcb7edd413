//! An expression on one line, spelt as Prometheus spells it; it parses to the same tree.

use std::fmt::{self, Display, Formatter};

use metricstor_model::{MatchOp, Matcher};

use super::number::{duration, fixed, general, plain};
use super::quote::{quote, quote_bytes};
use crate::ast::{
    Aggregate, At, Binary, Cardinality, DurationExpr, Expr, ExprKind, MatrixSelector,
    RangeExtension, Subquery, VectorMatching, VectorSelector,
};
use crate::duration::{DurationKind, DurationNode, DurationOp};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number(value) => f.write_str(&plain(*value)),
            ExprKind::Duration(seconds) => f.write_str(&duration_literal(*seconds)),
            ExprKind::String(text) => f.write_str(&quote(text)),
            ExprKind::Bytes(bytes) => f.write_str(&quote_bytes(bytes)),
            ExprKind::Paren(inner) => write!(f, "({inner})"),
            ExprKind::Negate(inner) => write!(f, "-{inner}"),
            ExprKind::Plus(inner) => write!(f, "+{inner}"),
            ExprKind::Binary(binary) => {
                write!(f, "{} {} {}", binary.lhs, operator(binary), binary.rhs)
            }
            ExprKind::Aggregate(aggregate) => {
                f.write_str(&aggregation(aggregate))?;
                f.write_str("(")?;
                if let Some(param) = &aggregate.param {
                    write!(f, "{param}, ")?;
                }
                write!(f, "{})", aggregate.expr)
            }
            ExprKind::Call(call) => {
                write!(f, "{}(", call.function.name)?;
                for (index, argument) in call.args.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(f, "{separator}{argument}")?;
                }
                f.write_str(")")
            }
            ExprKind::Vector(selector) => {
                let (at, offset) = (at(selector.at), offset(&selector.offset));
                let extension = extension(selector.extension);
                write!(f, "{}{at}{extension}{offset}", head(selector))
            }
            ExprKind::Matrix(matrix) => f.write_str(&range_selector(matrix)),
            ExprKind::Subquery(subquery) => {
                write!(f, "{}{}", subquery.expr, subquery_suffix(subquery))
            }
        }
    }
}

/// Operator and modifiers of a binary expression.
pub fn operator(binary: &Binary) -> String {
    let bool_modifier = if binary.return_bool { " bool" } else { "" };
    let matching = binary.matching.as_ref().map(matching).unwrap_or_default();
    format!("{}{bool_modifier}{matching}", binary.op.symbol())
}

fn matching(matching: &VectorMatching) -> String {
    let mut text = String::new();
    let group = match matching.cardinality {
        Cardinality::ManyToOne => Some("left"),
        Cardinality::OneToMany => Some("right"),
        Cardinality::OneToOne | Cardinality::ManyToMany => None,
    };
    if matching.on || !matching.labels.is_empty() || group.is_some() {
        let word = if matching.on { "on" } else { "ignoring" };
        text.push_str(&format!(" {word} ({})", labels(&matching.labels)));
    }
    if let Some(side) = group {
        text.push_str(&format!(" group_{side} ({})", labels(&matching.include)));
    }
    match (matching.fill_left, matching.fill_right) {
        (Some(left), Some(right)) if left == right => {
            text.push_str(&format!(" fill ({})", general(left)));
        }
        (left, right) => {
            for (side, value) in [("left", left), ("right", right)] {
                if let Some(value) = value {
                    text.push_str(&format!(" fill_{side} ({})", general(value)));
                }
            }
        }
    }
    text
}

/// An aggregation up to its opening parenthesis.
pub fn aggregation(aggregate: &Aggregate) -> String {
    let name = aggregate.op.name();
    match (aggregate.without, aggregate.grouping.is_empty()) {
        (true, _) => format!("{name} without ({}) ", labels(&aggregate.grouping)),
        (false, false) => format!("{name} by ({}) ", labels(&aggregate.grouping)),
        (false, true) => name.to_owned(),
    }
}

fn labels(names: &[String]) -> String {
    names.iter().map(|name| label(name)).collect::<Vec<_>>().join(", ")
}

/// A label's name, quoted unless it is a plain identifier.
fn label(name: &str) -> String {
    let plain = |(index, c): (usize, char)| {
        c == '_' || c.is_ascii_alphabetic() || (index > 0 && c.is_ascii_digit())
    };
    if !name.is_empty() && name.chars().enumerate().all(plain) {
        name.to_owned()
    } else {
        quote(name)
    }
}

/// Name and matchers of a selector, the matchers in the order of their text.
fn head(selector: &VectorSelector) -> String {
    let name = selector.name.as_deref().unwrap_or_default();
    let mut matchers: Vec<String> = selector
        .matchers
        .iter()
        .filter(|matcher| name.is_empty() || **matcher != Matcher::equal("__name__", name))
        .map(matcher)
        .collect();
    matchers.sort_unstable();
    match matchers.is_empty() {
        true if name.is_empty() => "{}".to_owned(),
        true => name.to_owned(),
        false => format!("{name}{{{}}}", matchers.join(",")),
    }
}

fn matcher(matcher: &Matcher) -> String {
    format!("{}{}{}", label(&matcher.name), match_symbol(matcher.op), quote(&matcher.value))
}

pub fn match_symbol(op: MatchOp) -> &'static str {
    match op {
        MatchOp::Equal => "=",
        MatchOp::NotEqual => "!=",
        MatchOp::Regex => "=~",
        MatchOp::NotRegex => "!~",
    }
}

fn range_selector(matrix: &MatrixSelector) -> String {
    let selector = &matrix.selector;
    format!(
        "{}[{}]{}{}{}",
        head(selector),
        span_of_time(&matrix.range),
        extension(selector.extension),
        at(selector.at),
        offset(&selector.offset)
    )
}

/// `[range:step] @ t offset d`
pub fn subquery_suffix(subquery: &Subquery) -> String {
    let step = subquery.step.as_ref().map(span_of_time).unwrap_or_default();
    let (at, offset) = (at(subquery.at), offset(&subquery.offset));
    format!("[{}:{step}]{at}{offset}", span_of_time(&subquery.range))
}

fn extension(extension: RangeExtension) -> &'static str {
    match extension {
        RangeExtension::None => "",
        RangeExtension::Anchored => " anchored",
        RangeExtension::Smoothed => " smoothed",
    }
}

fn at(at: Option<At>) -> String {
    match at {
        None => String::new(),
        Some(At::Start) => " @ start()".to_owned(),
        Some(At::End) => " @ end()".to_owned(),
        Some(At::Timestamp(milliseconds)) => {
            format!(" @ {}", fixed(milliseconds as f64 / 1000.0, 3))
        }
    }
}

fn offset(offset: &DurationExpr) -> String {
    match offset {
        DurationExpr::Constant(0) => String::new(),
        other => format!(" offset {}", span_of_time(other)),
    }
}

fn span_of_time(expr: &DurationExpr) -> String {
    match expr {
        DurationExpr::Constant(milliseconds) => duration(*milliseconds),
        DurationExpr::Computed(node) => node.to_string(),
    }
}

pub fn duration_literal(seconds: f64) -> String {
    duration((seconds * 1000.0).round() as i64)
}

impl Display for DurationNode {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (open, close) = if self.wrapped { ("(", ")") } else { ("", "") };
        f.write_str(open)?;
        match &self.kind {
            DurationKind::Number(seconds) => f.write_str(&plain(*seconds)),
            DurationKind::Duration(seconds) => f.write_str(&duration_literal(*seconds)),
            DurationKind::Step => f.write_str("step()"),
            DurationKind::Range => f.write_str("range()"),
            DurationKind::Plus(inner) => write!(f, "{inner}"),
            DurationKind::Negate(inner) => write!(f, "-{inner}"),
            DurationKind::Binary(op @ (DurationOp::MinOf | DurationOp::MaxOf), lhs, rhs) => {
                write!(f, "{}({lhs}, {rhs})", op.symbol())
            }
            DurationKind::Binary(op, lhs, rhs) => write!(f, "{lhs} {} {rhs}", op.symbol()),
        }?;
        f.write_str(close)
    }
}
