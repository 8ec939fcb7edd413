//! `metric{label="value", ...}`

use metricstor_model::{MatchOp, Matcher, RegexError};

use super::cursor::{Context, Cursor, Fault, Parsed};
use super::literal::unquote;
use super::token::{Token, TokenKind};
use crate::ast::{BinaryOp, DurationExpr, Expr, ExprKind, RangeExtension, Span, VectorSelector};

const METRIC_NAME: &str = "__name__";

const fn expected(expected: &'static str) -> Context {
    Context { place: "label matching", expected }
}

impl Cursor<'_> {
    /// A selector whose name, if it has one, is the next token.
    pub fn selector(&mut self) -> Parsed<Expr> {
        let first = self.peek();
        let named = first.kind != TokenKind::LeftBrace;
        let name = named.then(|| self.next().text(self.text).to_owned());
        let mut span = first.span;
        let mut matchers = Vec::new();
        if self.take(TokenKind::LeftBrace).is_some() {
            span = span.to(self.matchers(&mut matchers)?);
        }
        matchers.extend(name.as_deref().map(|name| Matcher::equal(METRIC_NAME, name)));
        let selector = VectorSelector {
            name,
            matchers,
            offset: DurationExpr::Constant(0),
            at: None,
            extension: RangeExtension::None,
        };
        Ok(Expr { span, kind: ExprKind::Vector(Box::new(selector)) })
    }

    /// What follows `{`; returns the place of `}`.
    fn matchers(&mut self, matchers: &mut Vec<Matcher>) -> Parsed<Span> {
        loop {
            if let Some(brace) = self.take(TokenKind::RightBrace) {
                return Ok(brace.span);
            }
            matchers.push(self.matcher()?);
            if self.take(TokenKind::Comma).is_none() && self.peek().kind != TokenKind::RightBrace {
                return Err(self.unexpected(expected("\",\" or \"}\"")));
            }
        }
    }

    fn matcher(&mut self) -> Parsed<Matcher> {
        let name = self.peek();
        match name.kind {
            TokenKind::Identifier | TokenKind::String => self.next(),
            _ => return Err(self.unexpected(expected("identifier or \"}\""))),
        };
        let op = match self.peek().kind {
            TokenKind::Assign => MatchOp::Equal,
            TokenKind::Matches => MatchOp::Regex,
            TokenKind::MatchesNot => MatchOp::NotRegex,
            TokenKind::Operator(BinaryOp::NotEqual) => MatchOp::NotEqual,
            _ if name.kind == TokenKind::String => {
                return Ok(Matcher::equal(METRIC_NAME, &self.lossy_string(name)));
            }
            _ => return Err(self.unexpected(expected("label matching operator"))),
        };
        self.next();
        let value = self.expect(TokenKind::String, expected("string"))?;
        let label = match name.kind {
            TokenKind::String => self.lossy_string(name),
            _ => name.text(self.text).to_owned(),
        };
        let span = name.span.to(value.span);
        let message = |error: RegexError| format!("error parsing regexp: {}", error.reason);
        let text = self.lossy_string(value);
        self.programs.matcher(op, &label, &text).map_err(|error| match error.is_beyond {
            true => Fault::beyond("query_regexes", span, message(error)),
            false => Fault::new(span, message(error)),
        })
    }

    /// Labels are UTF-8, so a byte that is not equals none in any label.
    fn lossy_string(&self, token: Token) -> String {
        String::from_utf8_lossy(&unquote(token.text(self.text))).into_owned()
    }
}
