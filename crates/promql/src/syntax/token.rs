//! The words of the language, and how an error names them.

use crate::ast::{AggregateOp, BinaryOp, Span};
use crate::print::quote;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    pub kind: TokenKind,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// End of the text.
    End,
    /// What follows is not a word of the language; always the last token.
    Invalid,
    /// A name without colon that is no keyword.
    Identifier,
    /// A name with a colon.
    MetricIdentifier,
    String,
    Number,
    Duration,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    /// `=`
    Assign,
    /// `=~`
    Matches,
    /// `!~`
    MatchesNot,
    At,
    Operator(BinaryOp),
    Aggregate(AggregateOp),
    Keyword(Keyword),
    Builtin(Builtin),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keyword {
    Anchored,
    Bool,
    By,
    Fill,
    FillLeft,
    FillRight,
    GroupLeft,
    GroupRight,
    Ignoring,
    Offset,
    On,
    Smoothed,
    Without,
}

/// Names of functions that also occur inside durations or after `@`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builtin {
    End,
    MaxOf,
    MinOf,
    Range,
    Start,
    Step,
}

impl TokenKind {
    /// Is this word, which may be a keyword elsewhere, the name of a metric here?
    pub fn is_metric_name(self) -> bool {
        use Keyword::*;
        match self {
            Self::Identifier | Self::MetricIdentifier | Self::Aggregate(_) | Self::Builtin(_) => {
                true
            }
            Self::Operator(op) => op.is_set_operator(),
            Self::Keyword(keyword) => matches!(
                keyword,
                Anchored | By | Fill | FillLeft | FillRight | Offset | Smoothed | Without
            ),
            _ => false,
        }
    }

    /// Is this word, which may be a keyword elsewhere, a label in a list like `by (...)`?
    pub fn is_label_name(self) -> bool {
        match self {
            Self::Keyword(keyword) => keyword != Keyword::Without,
            Self::Operator(op) => op == BinaryOp::Atan2 || op.is_set_operator(),
            _ => self.is_metric_name(),
        }
    }

    pub fn starts_expression(self) -> bool {
        match self {
            Self::LeftParen | Self::LeftBrace | Self::String | Self::Number | Self::Duration => {
                true
            }
            Self::Operator(BinaryOp::Add | BinaryOp::Sub) => true,
            _ => self.is_metric_name(),
        }
    }
}

impl Token {
    pub fn text(self, query: &str) -> &str {
        &query[self.span.start..self.span.end]
    }

    /// The token as "unexpected ..." names it.
    pub fn describe(self, query: &str) -> String {
        let text = self.text(query);
        let class = match self.kind {
            TokenKind::End | TokenKind::Invalid => return "end of input".to_owned(),
            TokenKind::Keyword(_) => return format!("<{text}>"),
            TokenKind::Aggregate(_) => return format!("<aggr:{text}>"),
            TokenKind::Operator(_) | TokenKind::Matches | TokenKind::MatchesNot | TokenKind::At => {
                return format!("<op:{text}>");
            }
            TokenKind::Identifier => return format!("identifier {}", quote(text)),
            TokenKind::MetricIdentifier => return format!("metric identifier {}", quote(text)),
            TokenKind::String => "string ",
            TokenKind::Number => "number ",
            TokenKind::Duration => "duration ",
            _ => "",
        };
        if text.len() > 10 {
            let head: String = text.chars().take(10).collect();
            format!("{class}{}...", quote(&head))
        } else {
            format!("{class}{}", quote(text))
        }
    }
}

/// The keyword of this name, in any case of letters.
pub fn keyword(word: &str) -> Option<TokenKind> {
    use TokenKind::{Aggregate, Builtin as B, Keyword as K, Operator};
    let lower = word.to_ascii_lowercase();
    if let Some(op) = AggregateOp::by_name(&lower) {
        return Some(Aggregate(op));
    }
    Some(match lower.as_str() {
        "and" => Operator(BinaryOp::And),
        "or" => Operator(BinaryOp::Or),
        "unless" => Operator(BinaryOp::Unless),
        "atan2" => Operator(BinaryOp::Atan2),
        "anchored" => K(Keyword::Anchored),
        "bool" => K(Keyword::Bool),
        "by" => K(Keyword::By),
        "fill" => K(Keyword::Fill),
        "fill_left" => K(Keyword::FillLeft),
        "fill_right" => K(Keyword::FillRight),
        "group_left" => K(Keyword::GroupLeft),
        "group_right" => K(Keyword::GroupRight),
        "ignoring" => K(Keyword::Ignoring),
        "offset" => K(Keyword::Offset),
        "on" => K(Keyword::On),
        "smoothed" => K(Keyword::Smoothed),
        "without" => K(Keyword::Without),
        "start" => B(Builtin::Start),
        "end" => B(Builtin::End),
        "inf" | "nan" => TokenKind::Number,
        _ => return duration_keyword(&lower),
    })
}

/// The function of this name that a duration may contain, in any case of letters.
pub fn duration_keyword(word: &str) -> Option<TokenKind> {
    Some(TokenKind::Builtin(match word.to_ascii_lowercase().as_str() {
        "step" => Builtin::Step,
        "range" => Builtin::Range,
        "max_of" => Builtin::MaxOf,
        "min_of" => Builtin::MinOf,
        _ => return None,
    }))
}
