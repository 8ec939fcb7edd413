//! The syntax tree that the rest of the crate works on: Prometheus' own, positions included.
//!
//! promql-parser's tree stays inside `syntax`; nothing else names its types.

use metricstor_model::Matcher;

pub use crate::duration::DurationExpr;

/// Byte offsets into the query text: `start` included, `end` excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    pub span: Span,
    pub kind: ExprKind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    Number(f64),
    /// A number written as a duration (`1h30m`), in seconds; evaluates as `Number` does.
    Duration(f64),
    String(String),
    /// A string literal whose byte escapes (`"\xff"`) leave UTF-8: no valid label name or value.
    Bytes(Vec<u8>),
    Paren(Box<Expr>),
    Negate(Box<Expr>),
    /// Unary plus: its operand's value, unchanged.
    Plus(Box<Expr>),
    Binary(Box<Binary>),
    Aggregate(Box<Aggregate>),
    Call(Box<Call>),
    Vector(Box<VectorSelector>),
    /// `selector[range]`
    Matrix(Box<MatrixSelector>),
    Subquery(Box<Subquery>),
}

/// The type of an expression's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    Scalar,
    String,
    InstantVector,
    RangeVector,
}

#[derive(Debug, Clone, PartialEq)]
pub struct VectorSelector {
    /// The metric name written before the braces, if any (also among `matchers`).
    pub name: Option<String>,
    pub matchers: Vec<Matcher>,
    pub offset: DurationExpr,
    pub at: Option<At>,
    pub extension: RangeExtension,
}

/// `anchored` / `smoothed` (extended range selectors).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RangeExtension {
    #[default]
    None,
    Anchored,
    Smoothed,
}

#[derive(Debug, Clone, PartialEq)]
pub struct MatrixSelector {
    pub selector: VectorSelector,
    pub selector_span: Span,
    pub range: DurationExpr,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Subquery {
    pub expr: Expr,
    pub range: DurationExpr,
    /// `None`: the engine's default step.
    pub step: Option<DurationExpr>,
    pub offset: DurationExpr,
    pub at: Option<At>,
}

/// The `@` modifier.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum At {
    /// Milliseconds since the epoch.
    Timestamp(i64),
    Start,
    End,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub function: &'static crate::functions::Function,
    pub args: Vec<Expr>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    pub op: AggregateOp,
    pub param: Option<Expr>,
    pub expr: Expr,
    pub grouping: Vec<String>,
    /// `without (...)` rather than `by (...)`.
    pub without: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AggregateOp {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    CountValues,
    Quantile,
    Limitk,
    LimitRatio,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Binary {
    pub op: BinaryOp,
    pub lhs: Expr,
    pub rhs: Expr,
    /// `bool` after a comparison.
    pub return_bool: bool,
    /// Present when both sides are instant vectors.
    pub matching: Option<VectorMatching>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// `</` and `>/`: trim a native histogram.
    TrimUpper,
    TrimLower,
    And,
    Or,
    Unless,
}

#[derive(Debug, Clone, PartialEq)]
pub struct VectorMatching {
    pub cardinality: Cardinality,
    pub labels: Vec<String>,
    /// `on (...)` rather than `ignoring (...)`.
    pub on: bool,
    /// Labels of `group_left(...)` / `group_right(...)`.
    pub include: Vec<String>,
    /// `fill`, `fill_left`, `fill_right`: values for sides without a match.
    pub fill_left: Option<f64>,
    pub fill_right: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cardinality {
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
    /// set operators
    ManyToMany,
}
