//! Expressions: one pass over the tokens, with a stack of open parentheses instead of recursion.
//!
//! Operands and what hangs on them are built here; operators are collected in chains and resolved
//! when the parenthesis closes. No tree is ever deeper than [`DEPTH_MAX`].

use super::call::{aggregate, call};
use super::cursor::{Context, Cursor, Fault, Parsed};
use super::literal::unquote;
use super::modifier::Modifiers;
use super::operators::{Stack, Symbol, resolve};
use super::token::{Keyword, Token, TokenKind};
use super::{CHAIN_MAX, DEPTH_MAX, TOO_DEEP, TOO_LONG};
use crate::ast::{AggregateOp, Binary, BinaryOp, Expr, ExprKind, Span};

/// A tree and its depth.
pub struct Node {
    pub expr: Expr,
    pub depth: usize,
}

impl Node {
    fn leaf(span: Span, kind: ExprKind) -> Self {
        Self { expr: Expr { span, kind }, depth: 1 }
    }

    pub fn above(depth: usize, expr: Expr) -> Parsed<Self> {
        if depth >= DEPTH_MAX {
            return Err(Fault::beyond("query_depth", expr.span, TOO_DEEP));
        }
        Ok(Self { expr, depth: depth + 1 })
    }
}

/// What an open parenthesis, or the query itself, belongs to.
pub enum Opener {
    Query,
    Paren(Token),
    Call(Token),
    Aggregate(AggregateHead),
}

pub struct AggregateHead {
    pub op: AggregateOp,
    pub start: usize,
    pub grouping: Option<Grouping>,
}

pub struct Grouping {
    pub labels: Vec<String>,
    pub without: bool,
}

enum Part {
    Operand(Node),
    Sign { negative: bool, span: Span },
    Binary { op: BinaryOp, modifiers: Modifiers },
}

struct Group {
    opener: Opener,
    arguments: Vec<Node>,
    chain: Vec<Part>,
}

pub struct Parser<'a> {
    pub cursor: Cursor<'a>,
    /// Never empty: the first group is the query's.
    groups: Vec<Group>,
}

impl<'a> Parser<'a> {
    pub fn new(cursor: Cursor<'a>) -> Self {
        let mut parser = Self { cursor, groups: Vec::new() };
        parser.open(Opener::Query);
        parser
    }

    pub fn expression(mut self) -> Parsed<Expr> {
        loop {
            let Some(operand) = self.operand()? else { continue };
            if let Some(whole) = self.after_operand(operand)? {
                return Ok(whole.expr);
            }
        }
    }

    /// An error inside an aggregation is said to be there.
    pub fn context(&self) -> Context {
        let inside = |group: &Group| matches!(group.opener, Opener::Aggregate(_));
        let place = if self.groups.iter().any(inside) { "aggregation" } else { "" };
        Context { place, expected: "" }
    }

    fn open(&mut self, opener: Opener) {
        self.groups.push(Group { opener, arguments: Vec::new(), chain: Vec::new() });
    }

    fn group(&mut self) -> &mut Group {
        self.groups.last_mut().expect("the query's group is closed last")
    }

    fn push(&mut self, part: Part, span: Span) -> Parsed<()> {
        let chain = &mut self.group().chain;
        if chain.len() >= CHAIN_MAX {
            return Err(Fault::beyond("query_chain", span, TOO_LONG));
        }
        chain.push(part);
        Ok(())
    }

    /// One step where an operand is due: `None` after a sign or an opening parenthesis.
    fn operand(&mut self) -> Parsed<Option<Node>> {
        let token = self.cursor.peek();
        let opens = self.cursor.peek_at(1).kind == TokenKind::LeftParen;
        match token.kind {
            TokenKind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) => {
                let span = self.cursor.next().span;
                self.push(Part::Sign { negative: op == BinaryOp::Sub, span }, span)?;
                Ok(None)
            }
            TokenKind::LeftParen => {
                self.cursor.next();
                self.open_nested(Opener::Paren(token))?;
                Ok(None)
            }
            TokenKind::Identifier | TokenKind::Builtin(_) if opens => {
                self.cursor.next();
                self.open_arguments(Opener::Call(token))
            }
            TokenKind::Aggregate(op) if opens || self.grouping_follows(1) => {
                self.cursor.next();
                let grouping = self.grouping()?;
                self.open_arguments(Opener::Aggregate(AggregateHead {
                    op,
                    start: token.span.start,
                    grouping,
                }))
            }
            TokenKind::Number => {
                let kind = ExprKind::Number(self.cursor.number_value()?);
                Ok(Some(Node::leaf(token.span, kind)))
            }
            TokenKind::Duration => {
                let kind = ExprKind::Duration(self.cursor.number_value()?);
                Ok(Some(Node::leaf(token.span, kind)))
            }
            TokenKind::String => {
                self.cursor.next();
                let kind = match String::from_utf8(unquote(token.text(self.cursor.text))) {
                    Ok(text) => ExprKind::String(text),
                    Err(error) => ExprKind::Bytes(error.into_bytes()),
                };
                Ok(Some(Node::leaf(token.span, kind)))
            }
            kind if kind == TokenKind::LeftBrace || kind.is_metric_name() => {
                Ok(Some(Node { expr: self.cursor.selector()?, depth: 1 }))
            }
            _ => Err(self.cursor.unexpected(self.context())),
        }
    }

    fn grouping_follows(&self, distance: usize) -> bool {
        matches!(
            self.cursor.peek_at(distance).kind,
            TokenKind::Keyword(Keyword::By | Keyword::Without)
        )
    }

    /// `by (...)` or `without (...)`, if it comes next.
    fn grouping(&mut self) -> Parsed<Option<Grouping>> {
        if !self.grouping_follows(0) {
            return Ok(None);
        }
        let without = self.cursor.next().kind == TokenKind::Keyword(Keyword::Without);
        Ok(Some(Grouping { labels: self.cursor.labels()?, without }))
    }

    fn open_nested(&mut self, opener: Opener) -> Parsed<()> {
        if self.groups.len() >= DEPTH_MAX {
            return Err(Fault::beyond("query_depth", self.cursor.peek().span, TOO_DEEP));
        }
        self.open(opener);
        Ok(())
    }

    /// The opening parenthesis of arguments; the finished node if there are none.
    fn open_arguments(&mut self, opener: Opener) -> Parsed<Option<Node>> {
        self.open_nested(opener)?;
        self.cursor.expect(TokenKind::LeftParen, self.context())?;
        match self.cursor.take(TokenKind::RightParen) {
            Some(_) => self.close().map(Some),
            None => Ok(None),
        }
    }

    /// Everything that may follow an operand up to the next one; the whole query at its end.
    fn after_operand(&mut self, mut operand: Node) -> Parsed<Option<Node>> {
        loop {
            operand = self.suffixes(operand)?;
            let token = self.cursor.peek();
            let takes_arguments =
                matches!(self.group().opener, Opener::Call(_) | Opener::Aggregate(_));
            match token.kind {
                TokenKind::Operator(op) => {
                    self.push(Part::Operand(operand), token.span)?;
                    self.cursor.next();
                    let modifiers = self.cursor.modifiers(self.context())?;
                    self.push(Part::Binary { op, modifiers }, token.span)?;
                    return Ok(None);
                }
                TokenKind::Comma if takes_arguments => {
                    self.argument(operand)?;
                    self.comma()?;
                    return Ok(None);
                }
                TokenKind::RightParen if self.groups.len() > 1 => {
                    self.cursor.next();
                    self.argument(operand)?;
                    operand = self.close()?;
                }
                TokenKind::End if self.groups.len() == 1 => {
                    self.argument(operand)?;
                    return Ok(self.group().arguments.pop());
                }
                _ => return Err(self.cursor.unexpected(self.context())),
            }
        }
    }

    fn comma(&mut self) -> Parsed<()> {
        let comma = self.cursor.next();
        if self.cursor.peek().kind.starts_expression() {
            return Ok(());
        }
        Err(self.cursor.lexical_fault().unwrap_or_else(|| {
            Fault::new(comma.span, "trailing commas not allowed in function call args")
        }))
    }

    /// Resolves the chain that ends with this operand into one argument of the innermost group.
    fn argument(&mut self, last: Node) -> Parsed<()> {
        let span = last.expr.span;
        self.push(Part::Operand(last), span)?;
        let group = self.group();
        let chain = std::mem::take(&mut group.chain);
        group.arguments.push(resolve(chain, symbol, reduce)?);
        Ok(())
    }

    /// The innermost group as a node; its closing parenthesis has been consumed.
    fn close(&mut self) -> Parsed<Node> {
        if let Opener::Aggregate(AggregateHead { grouping: None, .. }) = self.group().opener {
            let trailing = self.grouping()?;
            if let Some(fault) = self.cursor.lexical_fault().filter(|_| trailing.is_none()) {
                return Err(fault);
            }
            if let Opener::Aggregate(head) = &mut self.group().opener {
                head.grouping = trailing;
            }
        }
        let end = self.cursor.last_end();
        let mut group = self.groups.pop().expect("only an open group is closed");
        match group.opener {
            Opener::Call(name) => call(self.cursor.text, name, group.arguments, end),
            Opener::Aggregate(head) => aggregate(head, group.arguments, end),
            Opener::Query => Err(self.cursor.unexpected(Context::default())),
            Opener::Paren(open) => {
                let inner = group.arguments.pop().expect("a parenthesis closes after an operand");
                let span = Span { start: open.span.start, end };
                let kind = ExprKind::Paren(Box::new(inner.expr));
                Node::above(inner.depth, Expr { span, kind })
            }
        }
    }
}

fn symbol(part: &Part) -> Symbol {
    match part {
        Part::Operand(_) => Symbol::Operand,
        Part::Sign { .. } => Symbol::Sign,
        Part::Binary { op, .. } => Symbol::Binary(*op),
    }
}

fn reduce(part: Part, stack: &mut Stack<Node>) -> Parsed<Node> {
    match part {
        Part::Operand(node) => Ok(node),
        Part::Sign { negative, span } => sign(negative, span, stack.pop()?),
        Part::Binary { op, modifiers } => {
            let rhs = stack.pop()?;
            let lhs = stack.pop()?;
            let span = lhs.expr.span.to(rhs.expr.span);
            let depth = lhs.depth.max(rhs.depth);
            let kind = ExprKind::Binary(Box::new(Binary {
                op,
                lhs: lhs.expr,
                rhs: rhs.expr,
                return_bool: modifiers.return_bool,
                matching: Some(modifiers.matching),
            }));
            Node::above(depth, Expr { span, kind })
        }
    }
}

/// A sign before a literal belongs to it.
fn sign(negative: bool, span: Span, mut operand: Node) -> Parsed<Node> {
    let whole = span.to(operand.expr.span);
    if let ExprKind::Number(value) | ExprKind::Duration(value) = &mut operand.expr.kind {
        if negative {
            *value = -*value;
        }
        operand.expr.span = whole;
        return Ok(operand);
    }
    let inner = Box::new(operand.expr);
    let kind = if negative { ExprKind::Negate(inner) } else { ExprKind::Plus(inner) };
    Node::above(operand.depth, Expr { span: whole, kind })
}
