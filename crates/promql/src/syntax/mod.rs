//! Query text → the project's syntax tree, or an error as Prometheus words it, with its place.
//!
//! Bounds on length, depth and chains of operators come before everything that recurses, so that
//! no text exhausts the stack, here or in whatever walks the tree later.

mod call;
mod check;
mod cursor;
mod duration;
mod expression;
mod lexer;
mod literal;
mod modifier;
mod operators;
mod selector;
mod suffix;
#[cfg(test)]
mod tests;
mod token;

use metricstor_model::{Matcher, Programs};

use crate::ast::{Expr, ExprKind, Span};
use cursor::{Context, Cursor, Fault};
use token::TokenKind;

/// The deepest tree, in nodes from the root to a leaf.
pub const DEPTH_MAX: usize = 500;
/// The longest chain of operators and operands without parentheses.
const CHAIN_MAX: usize = 2000;

const TOO_DEEP: &str = "query is nested more than 500 levels deep";
const TOO_LONG: &str = "more than 2000 operators and operands in one chain";

/// What a query may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseOptions {
    /// The longest query in bytes.
    pub length_max: usize,
    /// Bytes of memory of all its regular expressions.
    pub regex_memory_max: usize,
    /// Only regular expressions that are compiled in a moment.
    pub light_regexes: bool,
    /// Whether what Prometheus calls experimental is part of the language.
    pub experimental: bool,
}

impl Default for ParseOptions {
    fn default() -> Self {
        let light_regexes = false;
        Self { length_max: 1 << 20, regex_memory_max: 64 << 20, light_regexes, experimental: true }
    }
}

/// Why a text is not a query; displayed as Prometheus does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: parse error: {message}")]
pub struct ParseError {
    /// Bytes of the text.
    pub span: Span,
    pub place: Place,
    pub message: String,
    /// The limit that the query exceeds, if it is not wrong but too large.
    pub limit: Option<&'static str>,
}

/// Line and column of a byte, both counted from 1, columns in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    /// The place of a byte offset in a text; line 0 in an empty text.
    pub fn of(text: &str, offset: usize) -> Self {
        if text.is_empty() {
            return Self { line: 0, column: 0 };
        }
        let before = &text.as_bytes()[..offset.min(text.len())];
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Self { line, column: before.len() - line_start + 1 }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => f.write_str("unknown position"),
            _ => write!(f, "{}:{}", self.line, self.column),
        }
    }
}

/// Parses and type-checks a query.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    parse_with(text, ParseOptions::default())
}

/// As [`parse`], within the given options.
pub fn parse_with(text: &str, options: ParseOptions) -> Result<Expr, ParseError> {
    expression(text, options).map_err(|fault| located(text, fault))
}

/// The matchers of a bare selector, as the parameter `match[]` takes it, within the given options.
pub fn parse_selector(text: &str, options: ParseOptions) -> Result<Vec<Matcher>, ParseError> {
    selector(text, options).map_err(|fault| located(text, fault))
}

fn located(text: &str, fault: Fault) -> ParseError {
    let place = Place::of(text, fault.span.start);
    ParseError { span: fault.span, place, message: fault.message, limit: fault.limit }
}

fn expression(text: &str, options: ParseOptions) -> Result<Expr, Fault> {
    let cursor = bounded(text, options)?;
    if cursor.is_at_end() {
        return Err(Fault::new(Span::default(), "no expression found in input"));
    }
    let mut expr = expression::Parser::new(cursor).expression()?;
    check::Check { text, experimental: options.experimental }.expr(&mut expr)?;
    Ok(expr)
}

fn selector(text: &str, options: ParseOptions) -> Result<Vec<Matcher>, Fault> {
    let mut cursor = bounded(text, options)?;
    let first = cursor.peek().kind;
    if first != TokenKind::LeftBrace && !first.is_metric_name() {
        return Err(cursor.unexpected(Context::default()));
    }
    let expr = cursor.selector()?;
    match expr.kind {
        ExprKind::Vector(selector) if cursor.is_at_end() => Ok(selector.matchers),
        _ => Err(cursor.unexpected(Context::default())),
    }
}

fn bounded(text: &str, options: ParseOptions) -> Result<Cursor<'_>, Fault> {
    if text.len() > options.length_max {
        let message = format!(
            "query is {} bytes long, more than the {} allowed",
            text.len(),
            options.length_max
        );
        return Err(Fault::beyond("query_length", Span::default(), message));
    }
    let programs = if options.light_regexes { Programs::light } else { Programs::new };
    Ok(Cursor::new(text, lexer::tokens(text), programs(options.regex_memory_max)))
}
