//! A walk over the tokens of a query, and the errors that name the token at hand.

use metricstor_model::Programs;

use super::lexer::Tokens;
use super::token::{Token, TokenKind};
use crate::ast::Span;

/// An error with its place; [`super::ParseError`] adds line and column.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    pub span: Span,
    pub message: String,
    /// What the query exceeds, if it is not wrong but too large.
    pub limit: Option<&'static str>,
}

impl Fault {
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), limit: None }
    }

    pub fn beyond(limit: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self { limit: Some(limit), ..Self::new(span, message) }
    }
}

pub type Parsed<T> = Result<T, Fault>;

/// Which construct a fault is in, and what would have been right there; both may be empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context {
    pub place: &'static str,
    pub expected: &'static str,
}

#[derive(Debug)]
pub struct Cursor<'a> {
    pub text: &'a str,
    tokens: Tokens,
    next: usize,
    pub(super) programs: Programs,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str, tokens: Tokens, programs: Programs) -> Self {
        Self { text, tokens, next: 0, programs }
    }

    pub fn is_at_end(&self) -> bool {
        self.peek().kind == TokenKind::End
    }

    /// How many tokens have been consumed.
    pub fn position(&self) -> usize {
        self.next
    }

    /// Where the last consumed token ends.
    pub fn last_end(&self) -> usize {
        let last = self.next.checked_sub(1).and_then(|last| self.tokens.list.get(last));
        last.map_or(0, |token| token.span.end)
    }

    /// The next token; at the end, the last one for ever.
    pub fn peek(&self) -> Token {
        self.peek_at(0)
    }

    pub fn peek_at(&self, distance: usize) -> Token {
        let list = &self.tokens.list;
        let last = list.len().saturating_sub(1);
        let end = Span { start: self.text.len(), end: self.text.len() };
        list.get((self.next + distance).min(last))
            .copied()
            .unwrap_or(Token { kind: TokenKind::End, span: end })
    }

    pub fn next(&mut self) -> Token {
        let token = self.peek();
        self.next += 1;
        token
    }

    /// Consumes the next token if it is of this kind.
    pub fn take(&mut self, kind: TokenKind) -> Option<Token> {
        (self.peek().kind == kind).then(|| self.next())
    }

    /// Consumes a token of this kind or fails.
    pub fn expect(&mut self, kind: TokenKind, context: Context) -> Parsed<Token> {
        self.take(kind).ok_or_else(|| self.unexpected(context))
    }

    /// What follows is no word of the language: that comes before what is wrong with the grammar.
    pub fn lexical_fault(&self) -> Option<Fault> {
        let message = self.tokens.error.clone()?;
        let token = self.peek();
        (token.kind == TokenKind::Invalid).then(|| Fault::new(token.span, message))
    }

    /// The next token does not belong there.
    pub fn unexpected(&self, context: Context) -> Fault {
        if let Some(fault) = self.lexical_fault() {
            return fault;
        }
        let token = self.peek();
        let mut message = format!("unexpected {}", token.describe(self.text));
        if !context.place.is_empty() {
            message.push_str(" in ");
            message.push_str(context.place);
        }
        if !context.expected.is_empty() {
            message.push_str(", expected ");
            message.push_str(context.expected);
        }
        Fault::new(token.span, message)
    }
}
