//! What stands between an operator and its right side, and lists of labels:
//! `bool on (...) group_left (...) fill (...)`, `by (...)`.

use super::cursor::{Context, Cursor, Fault, Parsed};
use super::literal::unquote;
use super::token::{Keyword, TokenKind};
use crate::ast::{BinaryOp, Cardinality, Span, VectorMatching};
use crate::print::quote_bytes;

#[derive(Debug)]
pub struct Modifiers {
    pub return_bool: bool,
    pub matching: VectorMatching,
}

const fn expected(expected: &'static str) -> Context {
    Context { place: "grouping opts", expected }
}

impl Cursor<'_> {
    /// All modifiers of a binary operator; `outer` is the context of what does not fit.
    pub fn modifiers(&mut self, outer: Context) -> Parsed<Modifiers> {
        let return_bool = self.keyword(Keyword::Bool);
        let mut matching = VectorMatching {
            cardinality: Cardinality::OneToOne,
            labels: Vec::new(),
            on: self.keyword(Keyword::On),
            include: Vec::new(),
            fill_left: None,
            fill_right: None,
        };
        if matching.on || self.keyword(Keyword::Ignoring) {
            matching.labels = self.labels()?;
            self.group_modifier(&mut matching)?;
        }
        self.fill_modifiers(&mut matching, outer)?;
        Ok(Modifiers { return_bool, matching })
    }

    fn keyword(&mut self, keyword: Keyword) -> bool {
        self.take(TokenKind::Keyword(keyword)).is_some()
    }

    fn group_modifier(&mut self, matching: &mut VectorMatching) -> Parsed<()> {
        matching.cardinality = if self.keyword(Keyword::GroupLeft) {
            Cardinality::ManyToOne
        } else if self.keyword(Keyword::GroupRight) {
            Cardinality::OneToMany
        } else {
            return Ok(());
        };
        let follows = self.peek().kind;
        let fills = [Keyword::Fill, Keyword::FillLeft, Keyword::FillRight].map(TokenKind::Keyword);
        if follows == TokenKind::LeftParen
            || !(follows.starts_expression() || fills.contains(&follows))
        {
            matching.include = self.labels()?;
        }
        Ok(())
    }

    /// `fill` for both sides, or `fill_left` and `fill_right`, each at most once.
    fn fill_modifiers(&mut self, matching: &mut VectorMatching, outer: Context) -> Parsed<()> {
        if self.keyword(Keyword::Fill) {
            let value = self.fill_value(outer)?;
            (matching.fill_left, matching.fill_right) = (Some(value), Some(value));
            return Ok(());
        }
        loop {
            if matching.fill_left.is_none() && self.keyword(Keyword::FillLeft) {
                matching.fill_left = Some(self.fill_value(outer)?);
            } else if matching.fill_right.is_none() && self.keyword(Keyword::FillRight) {
                matching.fill_right = Some(self.fill_value(outer)?);
            } else {
                return Ok(());
            }
        }
    }

    fn fill_value(&mut self, outer: Context) -> Parsed<f64> {
        self.expect(TokenKind::LeftParen, outer)?;
        let value = self.signed_number(outer)?;
        self.expect(TokenKind::RightParen, outer)?;
        Ok(value)
    }

    /// A number or a duration with an optional sign.
    pub fn signed_number(&mut self, context: Context) -> Parsed<f64> {
        let negative = self.take(TokenKind::Operator(BinaryOp::Sub)).is_some();
        if !negative {
            self.take(TokenKind::Operator(BinaryOp::Add));
        }
        match self.peek().kind {
            TokenKind::Number | TokenKind::Duration => {
                let magnitude = self.number_value()?;
                Ok(if negative { -magnitude } else { magnitude })
            }
            _ => Err(self.unexpected(context)),
        }
    }

    /// `(label, "label", ...)`
    pub fn labels(&mut self) -> Parsed<Vec<String>> {
        self.expect(TokenKind::LeftParen, expected("\"(\""))?;
        let mut labels = Vec::new();
        while self.take(TokenKind::RightParen).is_none() {
            labels.push(self.label()?);
            if self.take(TokenKind::Comma).is_none() && self.peek().kind != TokenKind::RightParen {
                return Err(self.unexpected(expected("\",\" or \")\"")));
            }
        }
        Ok(labels)
    }

    fn label(&mut self) -> Parsed<String> {
        let token = self.peek();
        let name = match token.kind {
            TokenKind::String => unquote(token.text(self.text)),
            kind if kind.is_label_name() => token.text(self.text).as_bytes().to_vec(),
            _ => return Err(self.unexpected(expected("label"))),
        };
        self.next();
        match String::from_utf8(name) {
            Ok(name) if !name.is_empty() => Ok(name),
            Ok(_) => Err(invalid_label(token.span, b"")),
            Err(error) => Err(invalid_label(token.span, error.as_bytes())),
        }
    }
}

fn invalid_label(span: Span, name: &[u8]) -> Fault {
    Fault::new(span, format!("invalid label name for grouping: {}", quote_bytes(name)))
}
