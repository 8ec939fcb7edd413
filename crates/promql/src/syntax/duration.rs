//! Durations in brackets and after `offset`: literals, or arithmetic over the query's step and range.
//!
//! A literal becomes a constant, checked here; arithmetic stays a tree until the query is known.

use super::cursor::{Context, Cursor, Fault, Parsed};
use super::literal;
use super::operators::{Stack, Symbol, resolve};
use super::token::{Builtin, Token, TokenKind};
use crate::ast::{BinaryOp, Span};
use crate::duration::{DURATION_MAX_SECONDS, DurationExpr, DurationKind, DurationNode, DurationOp};

/// The longest arithmetic, in tokens; no tree can be deeper than that.
const TOKENS_MAX: usize = 256;

const OFFSET: Context =
    Context { place: "offset", expected: "number, duration, step(), or range()" };

/// One part of a chain of durations.
enum Part {
    Operand(DurationNode),
    Sign { negative: bool, span: Span },
    Binary { op: BinaryOp, span: Span },
}

impl Cursor<'_> {
    /// The value of a number or duration literal, which is the next token.
    pub fn number_value(&mut self) -> Parsed<f64> {
        let token = self.next();
        let text = token.text(self.text);
        match token.kind {
            TokenKind::Duration => literal::duration(text),
            _ => literal::number(text),
        }
        .map_err(|message| Fault::new(token.span, message))
    }

    /// A range or a step; a literal must be positive.
    pub fn positive_duration(&mut self, context: Context) -> Parsed<DurationExpr> {
        let node = self.duration(context, self.position())?;
        if literal_seconds(&node).is_some_and(|seconds| seconds <= 0.0) {
            return Err(Fault::new(node.span, "duration must be greater than 0"));
        }
        Ok(finish(node))
    }

    /// What follows `offset`. A literal or a call, signed or not, is taken alone, so that
    /// `x offset 5m + 1` adds 1 to x; what begins with a parenthesis or two signs is arithmetic.
    pub fn offset_duration(&mut self) -> Parsed<DurationExpr> {
        let signed = self.sign_at(0).is_some();
        let arithmetic = match self.peek().kind {
            TokenKind::LeftParen => true,
            _ => signed && self.sign_at(1).is_some(),
        };
        let node = if arithmetic {
            self.duration(OFFSET, self.position())?
        } else {
            let sign = signed.then(|| self.next());
            let operand = match self.peek().kind {
                TokenKind::Number | TokenKind::Duration => self.duration_literal()?,
                _ => self.duration_operand(OFFSET, self.position())?,
            };
            match sign {
                Some(sign) => apply_sign(is_minus(sign), sign.span, operand)?,
                None => in_range(operand.span, operand)?,
            }
        };
        Ok(finish(node))
    }

    fn sign_at(&self, distance: usize) -> Option<bool> {
        match self.peek_at(distance).kind {
            TokenKind::Operator(BinaryOp::Add) => Some(false),
            TokenKind::Operator(BinaryOp::Sub) => Some(true),
            _ => None,
        }
    }

    /// `begin` is where the whole duration began, in tokens.
    fn duration(&mut self, context: Context, begin: usize) -> Parsed<DurationNode> {
        let mut chain = Vec::new();
        loop {
            if let Some(negative) = self.sign_at(0).filter(|_| chain.len() < TOKENS_MAX) {
                chain.push(Part::Sign { negative, span: self.next().span });
                continue;
            }
            chain.push(Part::Operand(self.duration_operand(context, begin)?));
            match self.peek().kind {
                TokenKind::Operator(op) if arithmetic(op).is_some() => {
                    chain.push(Part::Binary { op, span: self.next().span });
                }
                _ => break,
            }
        }
        // What follows has been looked at to see that the chain ends.
        match self.lexical_fault() {
            Some(fault) => Err(fault),
            None => resolve(chain, symbol, reduce),
        }
    }

    fn duration_operand(&mut self, context: Context, begin: usize) -> Parsed<DurationNode> {
        let first = self.peek();
        if self.position() - begin > TOKENS_MAX {
            return Err(Fault::new(first.span, "duration expression too long"));
        }
        match first.kind {
            TokenKind::Number | TokenKind::Duration => {
                in_range(first.span, self.duration_literal()?)
            }
            TokenKind::Builtin(Builtin::Step) => self.duration_call(DurationKind::Step, context),
            TokenKind::Builtin(Builtin::Range) => self.duration_call(DurationKind::Range, context),
            TokenKind::Builtin(Builtin::MinOf) => self.of_two(DurationOp::MinOf, context, begin),
            TokenKind::Builtin(Builtin::MaxOf) => self.of_two(DurationOp::MaxOf, context, begin),
            TokenKind::LeftParen => {
                self.next();
                let inner = self.duration(context, begin)?;
                let close = self.expect(TokenKind::RightParen, context)?;
                Ok(wrap(inner, first.span.to(close.span)))
            }
            _ => Err(self.unexpected(context)),
        }
    }

    /// A literal, which may be out of range.
    fn duration_literal(&mut self) -> Parsed<DurationNode> {
        let token = self.peek();
        let seconds = self.number_value()?;
        let kind = match token.kind {
            TokenKind::Number => DurationKind::Number(seconds),
            _ => DurationKind::Duration(seconds),
        };
        Ok(DurationNode { span: token.span, kind, wrapped: false })
    }

    fn duration_call(&mut self, kind: DurationKind, context: Context) -> Parsed<DurationNode> {
        let name = self.next();
        self.expect(TokenKind::LeftParen, context)?;
        let close = self.expect(TokenKind::RightParen, context)?;
        Ok(DurationNode { span: name.span.to(close.span), kind, wrapped: false })
    }

    fn of_two(&mut self, op: DurationOp, context: Context, begin: usize) -> Parsed<DurationNode> {
        let name = self.next();
        self.expect(TokenKind::LeftParen, context)?;
        let lhs = self.duration(context, begin)?;
        self.expect(TokenKind::Comma, context)?;
        let rhs = self.duration(context, begin)?;
        let close = self.expect(TokenKind::RightParen, context)?;
        let kind = DurationKind::Binary(op, Box::new(lhs), Box::new(rhs));
        Ok(DurationNode { span: name.span.to(close.span), kind, wrapped: false })
    }
}

fn is_minus(token: Token) -> bool {
    token.kind == TokenKind::Operator(BinaryOp::Sub)
}

fn arithmetic(op: BinaryOp) -> Option<DurationOp> {
    Some(match op {
        BinaryOp::Add => DurationOp::Add,
        BinaryOp::Sub => DurationOp::Sub,
        BinaryOp::Mul => DurationOp::Mul,
        BinaryOp::Div => DurationOp::Div,
        BinaryOp::Mod => DurationOp::Mod,
        BinaryOp::Pow => DurationOp::Pow,
        _ => return None,
    })
}

/// The seconds of a bare literal.
fn literal_seconds(node: &DurationNode) -> Option<f64> {
    match node.kind {
        DurationKind::Number(seconds) | DurationKind::Duration(seconds) => Some(seconds),
        _ => None,
    }
}

/// A literal becomes a constant; Prometheus rounds it to nanoseconds and cuts off below milliseconds.
fn finish(node: DurationNode) -> DurationExpr {
    match literal_seconds(&node) {
        Some(seconds) => DurationExpr::Constant(((seconds * 1e9).round() / 1e6) as i64),
        None => DurationExpr::Computed(Box::new(node)),
    }
}

/// NaN, which compares with nothing, is out of range too.
fn in_range(span: Span, node: DurationNode) -> Parsed<DurationNode> {
    match literal_seconds(&node) {
        Some(seconds) if seconds.is_nan() || seconds.abs() > DURATION_MAX_SECONDS => {
            Err(Fault::new(span, "duration out of range"))
        }
        _ => Ok(node),
    }
}

/// Parentheses around a literal make it arithmetic: Prometheus sees a unary plus there.
fn wrap(inner: DurationNode, span: Span) -> DurationNode {
    match literal_seconds(&inner) {
        Some(_) => DurationNode { span, kind: DurationKind::Plus(Box::new(inner)), wrapped: true },
        None => DurationNode { wrapped: true, ..inner },
    }
}

fn apply_sign(negative: bool, span: Span, mut operand: DurationNode) -> Parsed<DurationNode> {
    match &mut operand.kind {
        DurationKind::Number(seconds) | DurationKind::Duration(seconds) => {
            if negative {
                *seconds = -*seconds;
            }
            operand.span.start = span.start;
            in_range(span, operand)
        }
        _ if negative => Ok(DurationNode {
            span: span.to(operand.span),
            kind: DurationKind::Negate(Box::new(operand)),
            wrapped: false,
        }),
        _ => Ok(operand),
    }
}

fn combine(op: BinaryOp, span: Span, lhs: DurationNode, rhs: DurationNode) -> Parsed<DurationNode> {
    let op = arithmetic(op).ok_or_else(|| Fault::new(span, "no operator of durations"))?;
    if literal_seconds(&rhs) == Some(0.0) {
        match op {
            DurationOp::Div => return Err(Fault::new(span, "division by zero")),
            DurationOp::Mod => return Err(Fault::new(span, "modulo by zero")),
            _ => {}
        }
    }
    Ok(DurationNode {
        span: lhs.span.to(rhs.span),
        kind: DurationKind::Binary(op, Box::new(lhs), Box::new(rhs)),
        wrapped: false,
    })
}

fn symbol(part: &Part) -> Symbol {
    match part {
        Part::Operand(_) => Symbol::Operand,
        Part::Sign { .. } => Symbol::Sign,
        Part::Binary { op, .. } => Symbol::Binary(*op),
    }
}

fn reduce(part: Part, stack: &mut Stack<DurationNode>) -> Parsed<DurationNode> {
    match part {
        Part::Operand(node) => Ok(node),
        Part::Sign { negative, span } => apply_sign(negative, span, stack.pop()?),
        Part::Binary { op, span } => {
            let rhs = stack.pop()?;
            combine(op, span, stack.pop()?, rhs)
        }
    }
}
