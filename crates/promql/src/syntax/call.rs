//! Calls and aggregations from their arguments: names and numbers of arguments; types are checked
//! when the whole query is known.

use super::cursor::{Fault, Parsed};
use super::expression::{AggregateHead, Node};
use super::token::Token;
use crate::ast::{Aggregate, Call, Expr, ExprKind, Span};
use crate::functions::Function;
use crate::print::quote;

pub fn call(text: &str, name: Token, arguments: Vec<Node>, end: usize) -> Parsed<Node> {
    let written = name.text(text);
    let function = Function::by_name(written).ok_or_else(|| {
        Fault::new(name.span, format!("unknown function with name {}", quote(written)))
    })?;
    let span = Span { start: name.span.start, end };
    let depth = depth(&arguments);
    let args = arguments.into_iter().map(|node| node.expr).collect();
    Node::above(depth, Expr { span, kind: ExprKind::Call(Box::new(Call { function, args })) })
}

pub fn aggregate(head: AggregateHead, mut arguments: Vec<Node>, end: usize) -> Parsed<Node> {
    let span = Span { start: head.start, end };
    let wanted = if head.op.param().is_some() { 2 } else { 1 };
    let depth = depth(&arguments);
    let got = arguments.len();
    let fault = || {
        Fault::new(
            span,
            match got {
                0 => "no arguments for aggregate expression provided".to_owned(),
                _ => format!(
                    "wrong number of arguments for aggregate expression provided, \
                     expected {wanted}, got {got}"
                ),
            },
        )
    };
    if got != wanted {
        return Err(fault());
    }
    let expr = arguments.pop().ok_or_else(fault)?.expr;
    let param = arguments.pop().map(|node| node.expr);
    let (grouping, without) =
        head.grouping.map_or((Vec::new(), false), |grouping| (grouping.labels, grouping.without));
    let aggregate = Aggregate { op: head.op, param, expr, grouping, without };
    Node::above(depth, Expr { span, kind: ExprKind::Aggregate(Box::new(aggregate)) })
}

fn depth(arguments: &[Node]) -> usize {
    arguments.iter().map(|node| node.depth).max().unwrap_or(0)
}
