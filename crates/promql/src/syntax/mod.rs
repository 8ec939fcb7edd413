//! Query text → the project's syntax tree.

mod convert;

use crate::ast::{Expr, Span};

/// Why a text is not a query; displayed as Prometheus does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: parse error: {message}")]
pub struct ParseError {
    pub span: Span,
    /// Counted from 1; columns in bytes.
    pub line: usize,
    pub column: usize,
    pub message: String,
}

/// Parses and type-checks a query.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    convert::parse(text).map_err(|message| ParseError {
        span: Span::default(),
        line: 1,
        column: 1,
        message,
    })
}
