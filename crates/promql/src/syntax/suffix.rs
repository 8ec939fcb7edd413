//! What hangs on an operand: `[range]`, `[range:step]`, `offset`, `@`, `anchored`, `smoothed`.

use super::cursor::{Context, Fault, Parsed};
use super::expression::{Node, Parser};
use super::token::{Builtin, Keyword, Token, TokenKind};
use crate::ast::{
    At, DurationExpr, Expr, ExprKind, MatrixSelector, RangeExtension, Span, Subquery,
};

const RANGE: Context = Context {
    place: "subquery or range selector",
    expected: "number, duration, step(), or range()",
};
const AFTER_RANGE: Context = Context { place: "subquery or range", expected: "\":\" or \"]\"" };
const STEP: Context =
    Context { place: "subquery selector", expected: "number, duration, step(), range(), or \"]\"" };
const AFTER_STEP: Context = Context { place: "subquery selector", expected: "\"]\"" };
const TIMESTAMP: Context = Context { place: "@", expected: "timestamp" };

/// Far beyond any sample, and far enough from overflow to add offsets and ranges.
const TIMESTAMP_MAX: i64 = i64::MAX / 4;

const NO_OFFSET: DurationExpr = DurationExpr::Constant(0);

impl Parser<'_> {
    pub fn suffixes(&mut self, mut node: Node) -> Parsed<Node> {
        loop {
            match self.cursor.peek().kind {
                TokenKind::LeftBracket => node = self.brackets(node)?,
                TokenKind::At => self.at(&mut node.expr)?,
                TokenKind::Keyword(Keyword::Offset) => self.offset(&mut node.expr)?,
                TokenKind::Keyword(Keyword::Anchored) => {
                    self.extend(&mut node.expr, RangeExtension::Anchored)?;
                }
                TokenKind::Keyword(Keyword::Smoothed) => {
                    self.extend(&mut node.expr, RangeExtension::Smoothed)?;
                }
                _ => return Ok(node),
            }
        }
    }

    fn brackets(&mut self, node: Node) -> Parsed<Node> {
        let open = self.cursor.next();
        let range = self.cursor.positive_duration(RANGE)?;
        if let Some(close) = self.cursor.take(TokenKind::RightBracket) {
            return matrix(node, range, open.span.to(close.span));
        }
        self.cursor.expect(TokenKind::Colon, AFTER_RANGE)?;
        let step = match self.cursor.peek().kind {
            TokenKind::RightBracket => None,
            _ => Some(self.cursor.positive_duration(STEP)?),
        };
        let close = self.cursor.expect(TokenKind::RightBracket, AFTER_STEP)?;
        let span = node.expr.span.to(close.span);
        let subquery = Subquery { expr: node.expr, range, step, offset: NO_OFFSET, at: None };
        Node::above(node.depth, Expr { span, kind: ExprKind::Subquery(Box::new(subquery)) })
    }

    fn offset(&mut self, expr: &mut Expr) -> Parsed<()> {
        self.cursor.next();
        let duration = self.cursor.offset_duration()?;
        match time_modifiers(&mut expr.kind) {
            None => Err(Fault::new(
                expr.span,
                "offset modifier must be preceded by an instant vector selector or range vector \
                 selector or a subquery",
            )),
            Some((offset, _)) if *offset != NO_OFFSET => {
                Err(Fault::new(expr.span, "offset may not be set multiple times"))
            }
            Some((offset, _)) => {
                *offset = duration;
                expr.span.end = self.cursor.last_end();
                Ok(())
            }
        }
    }

    fn at(&mut self, expr: &mut Expr) -> Parsed<()> {
        self.cursor.next();
        let value = match self.cursor.peek().kind {
            TokenKind::Builtin(Builtin::Start) => self.at_call(At::Start)?,
            TokenKind::Builtin(Builtin::End) => self.at_call(At::End)?,
            _ => self.timestamp(expr.span)?,
        };
        match time_modifiers(&mut expr.kind) {
            None => Err(Fault::new(
                expr.span,
                "@ modifier must be preceded by an instant vector selector or range vector \
                 selector or a subquery",
            )),
            Some((_, Some(_))) => {
                Err(Fault::new(expr.span, "@ <timestamp> may not be set multiple times"))
            }
            Some((_, at)) => {
                *at = Some(value);
                expr.span.end = self.cursor.last_end();
                Ok(())
            }
        }
    }

    fn at_call(&mut self, value: At) -> Parsed<At> {
        self.cursor.next();
        self.cursor.expect(TokenKind::LeftParen, TIMESTAMP)?;
        self.cursor.expect(TokenKind::RightParen, TIMESTAMP)?;
        Ok(value)
    }

    fn timestamp(&mut self, selector: Span) -> Parsed<At> {
        let seconds = self.cursor.signed_number(TIMESTAMP)?;
        if !seconds.is_finite() || seconds.abs() >= i64::MAX as f64 {
            let seconds = crate::print::fixed(seconds, 6);
            let message = format!("timestamp out of bounds for @ modifier: {seconds}");
            return Err(Fault::new(selector, message));
        }
        let milliseconds = (seconds * 1000.0).round() as i64;
        Ok(At::Timestamp(milliseconds.clamp(-TIMESTAMP_MAX, TIMESTAMP_MAX)))
    }

    fn extend(&mut self, expr: &mut Expr, extension: RangeExtension) -> Parsed<()> {
        let keyword: Token = self.cursor.next();
        let name = keyword.text(self.cursor.text).to_ascii_lowercase();
        let current = match &mut expr.kind {
            ExprKind::Vector(selector) => &mut selector.extension,
            ExprKind::Matrix(matrix) => &mut matrix.selector.extension,
            ExprKind::Subquery(_) => {
                let message = format!("{name} modifier is not supported for subqueries");
                return Err(Fault::new(expr.span, message));
            }
            _ => return Err(Fault::new(expr.span, format!("{name} modifier not implemented"))),
        };
        if *current != RangeExtension::None && *current != extension {
            let message = "anchored and smoothed modifiers cannot be used together";
            return Err(Fault::new(expr.span, message));
        }
        *current = extension;
        Ok(())
    }
}

fn matrix(node: Node, range: DurationExpr, brackets: Span) -> Parsed<Node> {
    let ExprKind::Vector(selector) = node.expr.kind else {
        return Err(Fault::new(brackets, "ranges only allowed for vector selectors"));
    };
    if selector.offset != NO_OFFSET {
        return Err(Fault::new(brackets, "no offset modifiers allowed before range"));
    }
    if selector.at.is_some() {
        return Err(Fault::new(brackets, "no @ modifiers allowed before range"));
    }
    let selector_span = node.expr.span;
    let matrix = MatrixSelector { selector: *selector, selector_span, range };
    let span = selector_span.to(brackets);
    Ok(Node { expr: Expr { span, kind: ExprKind::Matrix(Box::new(matrix)) }, depth: node.depth })
}

fn time_modifiers(kind: &mut ExprKind) -> Option<(&mut DurationExpr, &mut Option<At>)> {
    match kind {
        ExprKind::Vector(selector) => Some((&mut selector.offset, &mut selector.at)),
        ExprKind::Matrix(matrix) => Some((&mut matrix.selector.offset, &mut matrix.selector.at)),
        ExprKind::Subquery(subquery) => Some((&mut subquery.offset, &mut subquery.at)),
        _ => None,
    }
}
