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

impl Span {
    /// From the start of `self` to the end of `other`.
    pub fn to(self, other: Span) -> Span {
        Span { start: self.start, end: other.end }
    }
}

impl Expr {
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            ExprKind::Number(_) | ExprKind::Duration(_) => ValueType::Scalar,
            ExprKind::String(_) | ExprKind::Bytes(_) => ValueType::String,
            ExprKind::Paren(inner) | ExprKind::Negate(inner) | ExprKind::Plus(inner) => {
                inner.value_type()
            }
            ExprKind::Binary(binary) => {
                let scalar = |side: &Expr| side.value_type() == ValueType::Scalar;
                if scalar(&binary.lhs) && scalar(&binary.rhs) {
                    ValueType::Scalar
                } else {
                    ValueType::InstantVector
                }
            }
            ExprKind::Call(call) => call.function.returns,
            ExprKind::Aggregate(_) | ExprKind::Vector(_) => ValueType::InstantVector,
            ExprKind::Matrix(_) | ExprKind::Subquery(_) => ValueType::RangeVector,
        }
    }
}

impl ValueType {
    /// As documentation and errors for people call it.
    pub fn documented(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::String => "string",
            Self::InstantVector => "instant vector",
            Self::RangeVector => "range vector",
        }
    }

    /// As the HTTP API calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::String => "string",
            Self::InstantVector => "vector",
            Self::RangeVector => "matrix",
        }
    }
}

impl AggregateOp {
    const NAMES: [(&'static str, Self); 14] = [
        ("avg", Self::Avg),
        ("bottomk", Self::Bottomk),
        ("count", Self::Count),
        ("count_values", Self::CountValues),
        ("group", Self::Group),
        ("limit_ratio", Self::LimitRatio),
        ("limitk", Self::Limitk),
        ("max", Self::Max),
        ("min", Self::Min),
        ("quantile", Self::Quantile),
        ("stddev", Self::Stddev),
        ("stdvar", Self::Stdvar),
        ("sum", Self::Sum),
        ("topk", Self::Topk),
    ];

    pub fn by_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, op)| *op)
    }

    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, op)| *op == self).map_or("", |(name, _)| name)
    }

    /// The type of the parameter before the vector, for those that take one.
    pub fn param(self) -> Option<ValueType> {
        match self {
            Self::CountValues => Some(ValueType::String),
            Self::Topk | Self::Bottomk | Self::Quantile | Self::Limitk | Self::LimitRatio => {
                Some(ValueType::Scalar)
            }
            _ => None,
        }
    }

    pub fn is_experimental(self) -> bool {
        matches!(self, Self::Limitk | Self::LimitRatio)
    }
}

impl BinaryOp {
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::TrimUpper => "</",
            Self::TrimLower => ">/",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
        }
    }

    pub fn is_set_operator(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }

    pub fn is_comparison(self) -> bool {
        use BinaryOp::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        matches!(self, Equal | NotEqual | Less | LessOrEqual | Greater | GreaterOrEqual)
    }
}
