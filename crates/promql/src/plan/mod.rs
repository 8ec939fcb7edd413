//! What is to be evaluated: the syntax tree with every duration, time and selection worked out.
//!
//! Invariants: parentheses are gone; `start()`, `end()`, `range()` and `step()` are numbers; the parts
//! whose value is the same at every step are marked, at the highest place possible.

mod build;
mod operation;
mod select;

use metricstor_model::{Matcher, TimeRange};

use crate::Hints;
use crate::ast::{AggregateOp, BinaryOp, RangeExtension, Span, ValueType, VectorMatching};
use crate::eval::grid::{Grid, Shift};
use crate::functions::Function;

pub(crate) use build::{Settings, plan};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub root: Node,
    /// Everything to be asked of the source, each once.
    pub selections: Vec<Selection>,
    pub grid: Grid,
    /// How many nodes there are.
    pub nodes: usize,
}

/// One question to the source.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Selection {
    pub matchers: Vec<Matcher>,
    pub range: TimeRange,
    pub hints: Hints,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// Tells it from the plan's other nodes; below [`Plan::nodes`].
    pub number: usize,
    pub span: Span,
    pub kind: Kind,
    pub value_type: ValueType,
    /// The value is the same at every step: it is evaluated at the first one alone.
    pub once: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Number(f64),
    Text(String),
    /// A text that is no UTF-8.
    Bytes(Vec<u8>),
    Selector(Selector),
    Range(RangeSelector),
    Subquery(Box<Subquery>),
    Negate(Box<Node>),
    /// A unary plus: the operand's value, but no selector any more.
    Plus(Box<Node>),
    Binary(Box<Binary>),
    Aggregate(Box<Aggregate>),
    Call(Box<Call>),
    /// The second argument of `info`.
    Matchers(Vec<Matcher>),
}

/// The samples of an instant selector, or of a range selector without its range.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Selector {
    /// Index into [`Plan::selections`].
    pub selection: usize,
    pub matchers: Vec<Matcher>,
    pub shift: Shift,
    pub extension: RangeExtension,
    /// Of histograms, only count and sum will be looked at.
    pub totals_only: bool,
}

impl Selector {
    /// The metric name, if the matchers allow one only.
    pub fn name(&self) -> Option<&str> {
        select::fixed_name(&self.matchers)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RangeSelector {
    pub selector: Selector,
    /// Milliseconds.
    pub range: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Subquery {
    pub inner: Node,
    /// Milliseconds.
    pub range: i64,
    pub step: i64,
    pub shift: Shift,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Binary {
    pub op: BinaryOp,
    pub lhs: Node,
    pub rhs: Node,
    pub return_bool: bool,
    pub matching: Option<VectorMatching>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Aggregate {
    pub op: AggregateOp,
    pub param: Option<Node>,
    pub inner: Node,
    /// Sorted.
    pub grouping: Vec<String>,
    pub without: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub function: &'static Function,
    pub args: Vec<Node>,
}

impl Node {
    /// When and where `info` looks for its labels: as the first selector below does.
    pub fn first_shift(&self) -> Option<Shift> {
        match &self.kind {
            Kind::Selector(selector) => Some(selector.shift),
            Kind::Range(range) => Some(range.selector.shift),
            Kind::Subquery(subquery) => {
                let inner = subquery.inner.first_shift()?;
                Some(match inner.at {
                    Some(_) => inner,
                    None => Shift {
                        at: subquery.shift.at,
                        offset: inner.offset.saturating_add(subquery.shift.offset),
                    },
                })
            }
            Kind::Negate(inner) | Kind::Plus(inner) => inner.first_shift(),
            Kind::Binary(binary) => binary.lhs.first_shift().or_else(|| binary.rhs.first_shift()),
            Kind::Aggregate(aggregate) => aggregate
                .inner
                .first_shift()
                .or_else(|| aggregate.param.as_ref().and_then(Node::first_shift)),
            Kind::Call(call) => call.args.iter().find_map(Node::first_shift),
            Kind::Number(_) | Kind::Text(_) | Kind::Bytes(_) | Kind::Matchers(_) => None,
        }
    }
}
