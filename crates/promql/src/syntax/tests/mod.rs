//! What parses and what does not, with places and messages; the trees are compared with
//! promql-parser's in `reference`, hostile texts are in `hostile`.

mod hostile;
mod reference;
mod selector;

use super::*;
use crate::ast::{DurationExpr, ExprKind};
use crate::print::{Description, describe, pretty};

/// One expression a line; `⏎` stands for a newline.
const VALID: &str = include_str!("valid.txt");
/// `expression | error`
const INVALID: &str = include_str!("invalid.txt");

/// The valid expressions; comments reach to the end of the line, so some take several.
fn valid() -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    let mut open = false;
    for line in VALID.lines() {
        match list.last_mut().filter(|_| open) {
            Some(last) => *last = format!("{last}\n{line}"),
            None => list.push(line.to_owned()),
        }
        open = line.ends_with("comment") || (open && line != "}");
    }
    list
}

/// Everything about a tree but its spans and the order of matchers, which printing sorts.
fn shape(expr: &Expr) -> String {
    let mut description = describe(expr);
    sort_matchers(&mut description);
    format!("{expr} {description:?}")
}

fn sort_matchers(description: &mut Description) {
    match description {
        Description::List(list) => list.iter_mut().for_each(sort_matchers),
        Description::Map(map) => {
            for (key, value) in map {
                sort_matchers(value);
                if let ("matchers", Description::List(list)) = (*key, value) {
                    list.sort_by_key(|matcher| format!("{matcher:?}"));
                }
            }
        }
        _ => {}
    }
}

#[test]
fn valid_expressions_parse_and_print_to_themselves() {
    for text in valid() {
        let expr = parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let printed = expr.to_string();
        let again = parse(&printed).unwrap_or_else(|error| panic!("{printed}: {error}"));
        assert_eq!(shape(&again), shape(&expr), "{text}");
        let laid_out = pretty(&expr);
        let again = parse(&laid_out).unwrap_or_else(|error| panic!("{laid_out}: {error}"));
        assert_eq!(shape(&again), shape(&expr), "{text}");
    }
}

#[test]
fn errors_have_prometheus_places_and_words() {
    for line in INVALID.lines() {
        let (text, error) = line.split_once(" | ").expect("two columns");
        let text = text.replace('⏎', "\n");
        match parse(&text) {
            Ok(expr) => panic!("{text} parses to {expr}"),
            Err(found) => assert_eq!(found.to_string(), error, "{text}"),
        }
    }
}

#[test]
fn spans_cover_what_prometheus_points_at() {
    let text = "  sum(foo{a=\"b\"} offset 5m) by (a)  +  -deriv(rate( bar [5m] @ 1 )[1h:5m]) ";
    let expr = parse(text).expect("valid");
    let mut found = Vec::new();
    collect(&expr, text, &mut found);
    assert_eq!(
        found,
        [
            "sum(foo{a=\"b\"} offset 5m) by (a)  +  -deriv(rate( bar [5m] @ 1 )[1h:5m])",
            "sum(foo{a=\"b\"} offset 5m) by (a)",
            "foo{a=\"b\"} offset 5m",
            "-deriv(rate( bar [5m] @ 1 )[1h:5m])",
            "deriv(rate( bar [5m] @ 1 )[1h:5m])",
            "rate( bar [5m] @ 1 )[1h:5m]",
            "rate( bar [5m] @ 1 )",
            "bar [5m] @ 1",
        ]
    );
}

fn collect<'a>(expr: &Expr, text: &'a str, found: &mut Vec<&'a str>) {
    found.push(&text[expr.span.start..expr.span.end]);
    match &expr.kind {
        ExprKind::Paren(inner) | ExprKind::Negate(inner) | ExprKind::Plus(inner) => {
            collect(inner, text, found);
        }
        ExprKind::Binary(binary) => {
            collect(&binary.lhs, text, found);
            collect(&binary.rhs, text, found);
        }
        ExprKind::Aggregate(aggregate) => collect(&aggregate.expr, text, found),
        ExprKind::Call(call) => call.args.iter().for_each(|arg| collect(arg, text, found)),
        ExprKind::Subquery(subquery) => collect(&subquery.expr, text, found),
        _ => {}
    }
}

#[test]
fn a_sign_belongs_to_the_literal_behind_it() {
    let expr = parse("foo - -5").expect("valid");
    let ExprKind::Binary(binary) = expr.kind else { panic!("a difference") };
    assert_eq!(binary.rhs.kind, ExprKind::Number(-5.0));
    assert_eq!(binary.rhs.span, Span { start: 6, end: 8 });
}

#[test]
fn string_escapes_may_leave_utf8() {
    assert_eq!(parse(r#""a\xc5z""#).expect("valid").kind, ExprKind::Bytes(b"a\xc5z".to_vec()));
    assert_eq!(parse(r#""\xc3\xa4""#).expect("valid").kind, ExprKind::String("ä".to_owned()));
}

#[test]
fn offsets_take_a_literal_alone_and_arithmetic_whole() {
    let offset = |text: &str| match parse(text).expect("valid").kind {
        ExprKind::Vector(selector) => Some(selector.offset),
        _ => None,
    };
    assert_eq!(offset("foo offset 90"), Some(DurationExpr::Constant(90_000)));
    assert_eq!(offset("foo offset -1.5"), Some(DurationExpr::Constant(-1500)));
    assert_eq!(offset("foo offset 5m + 1"), None);
    assert_eq!(offset("foo offset -step() + 1"), None);
    let Some(computed) = offset("foo offset (5m) + step() * 2") else { panic!("a selector") };
    let context = crate::duration::DurationContext { step: 15_000, range: 0 };
    assert_eq!(computed.resolve_offset(context), Ok(330_000));
}

#[test]
fn experimental_syntax_can_be_switched_off() {
    let options = ParseOptions { experimental: false, ..ParseOptions::default() };
    let cases = [
        (
            "limitk(1, foo)",
            "1:1: parse error: limitk() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
        ),
        ("1 + start()", "1:5: parse error: function \"start\" is not enabled"),
        ("foo[5m * 2]", "1:5: parse error: experimental duration expression is not enabled"),
        ("foo offset (5)", "1:12: parse error: experimental duration expression is not enabled"),
        ("foo[5m] anchored", "1:1: parse error: anchored modifier is experimental and not enabled"),
        (
            "a + fill(1) b",
            "1:1: parse error: binop fill modifiers are experimental and not enabled",
        ),
    ];
    for (text, error) in cases {
        let found = parse_with(text, options).expect_err(text);
        assert_eq!(found.to_string(), error);
        assert!(parse(text).is_ok(), "{text}");
    }
}
