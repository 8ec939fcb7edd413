//! promql-parser as a second opinion: where it accepts a whole query, its tree is ours.

use std::time::{Duration, UNIX_EPOCH};

use metricstor_model::{MatchOp, Matcher};
use promql_parser::parser::{self as pp, token};

use crate::ast::*;
use crate::functions::Function;

/// Where the crate's tree is another one: it reads byte escapes as code points.
const DIFFERENT: [&str; 1] = [r"'single \'quoted\' \xff'"];

#[test]
fn trees_agree_with_those_of_promql_parser() {
    let mut compared = 0;
    for text in super::valid() {
        let Ok(theirs) = reference(&text) else { continue };
        if DIFFERENT.contains(&text.as_str()) {
            continue;
        }
        let ours = plain(super::parse(&text).expect("valid"));
        assert_eq!(super::shape(&ours), super::shape(&theirs), "{text}");
        compared += 1;
    }
    assert!(compared > 50, "only {compared} trees compared");
}

/// The crate drops unary plus and how a literal was written.
fn plain(mut expr: Expr) -> Expr {
    expr.kind = match expr.kind {
        ExprKind::Plus(inner) => return plain(*inner),
        ExprKind::Negate(inner) => ExprKind::Negate(Box::new(plain(*inner))),
        ExprKind::Duration(seconds) => ExprKind::Number(seconds),
        ExprKind::Binary(mut binary) => {
            binary.lhs = plain(binary.lhs);
            binary.rhs = plain(binary.rhs);
            ExprKind::Binary(binary)
        }
        kind => kind,
    };
    expr
}

fn reference(text: &str) -> Result<Expr, String> {
    expr(pp::parse(text)?)
}

fn node(kind: ExprKind) -> Expr {
    Expr { span: Span::default(), kind }
}

fn ms(d: Duration) -> DurationExpr {
    DurationExpr::Constant(d.as_millis() as i64)
}

fn offset(o: Option<pp::Offset>) -> DurationExpr {
    match o {
        None => DurationExpr::Constant(0),
        Some(pp::Offset::Pos(d)) => ms(d),
        Some(pp::Offset::Neg(d)) => DurationExpr::Constant(-(d.as_millis() as i64)),
    }
}

fn at(a: Option<pp::AtModifier>) -> Option<At> {
    a.map(|a| match a {
        pp::AtModifier::Start => At::Start,
        pp::AtModifier::End => At::End,
        pp::AtModifier::At(t) => At::Timestamp(match t.duration_since(UNIX_EPOCH) {
            Ok(d) => d.as_millis() as i64,
            Err(e) => -(e.duration().as_millis() as i64),
        }),
    })
}

fn selector(vs: pp::VectorSelector) -> Result<VectorSelector, String> {
    let mut matchers = Vec::new();
    for m in vs.matchers.matchers {
        use promql_parser::label::MatchOp as Op;
        let op = match m.op {
            Op::Equal => MatchOp::Equal,
            Op::NotEqual => MatchOp::NotEqual,
            Op::Re(_) => MatchOp::Regex,
            Op::NotRe(_) => MatchOp::NotRegex,
        };
        matchers.push(Matcher::new(op, &m.name, &m.value).map_err(|e| e.to_string())?);
    }
    if let Some(name) = &vs.name {
        matchers.push(Matcher::equal("__name__", name));
    }
    Ok(VectorSelector {
        name: vs.name,
        matchers,
        offset: offset(vs.offset),
        at: at(vs.at),
        extension: RangeExtension::None,
    })
}

fn aggregate_op(id: token::TokenId) -> AggregateOp {
    match id {
        token::T_SUM => AggregateOp::Sum,
        token::T_AVG => AggregateOp::Avg,
        token::T_COUNT => AggregateOp::Count,
        token::T_MIN => AggregateOp::Min,
        token::T_MAX => AggregateOp::Max,
        token::T_GROUP => AggregateOp::Group,
        token::T_STDDEV => AggregateOp::Stddev,
        token::T_STDVAR => AggregateOp::Stdvar,
        token::T_TOPK => AggregateOp::Topk,
        token::T_BOTTOMK => AggregateOp::Bottomk,
        token::T_COUNT_VALUES => AggregateOp::CountValues,
        token::T_QUANTILE => AggregateOp::Quantile,
        token::T_LIMITK => AggregateOp::Limitk,
        _ => AggregateOp::LimitRatio,
    }
}

fn binary_op(id: token::TokenId) -> BinaryOp {
    match id {
        token::T_ADD => BinaryOp::Add,
        token::T_SUB => BinaryOp::Sub,
        token::T_MUL => BinaryOp::Mul,
        token::T_DIV => BinaryOp::Div,
        token::T_MOD => BinaryOp::Mod,
        token::T_POW => BinaryOp::Pow,
        token::T_ATAN2 => BinaryOp::Atan2,
        token::T_EQLC => BinaryOp::Equal,
        token::T_NEQ => BinaryOp::NotEqual,
        token::T_LSS => BinaryOp::Less,
        token::T_LTE => BinaryOp::LessOrEqual,
        token::T_GTR => BinaryOp::Greater,
        token::T_GTE => BinaryOp::GreaterOrEqual,
        token::T_LAND => BinaryOp::And,
        token::T_LOR => BinaryOp::Or,
        _ => BinaryOp::Unless,
    }
}

fn expr(e: pp::Expr) -> Result<Expr, String> {
    Ok(node(match e {
        pp::Expr::NumberLiteral(n) => ExprKind::Number(n.val),
        pp::Expr::StringLiteral(s) => ExprKind::String(s.val),
        pp::Expr::Paren(p) => ExprKind::Paren(Box::new(expr(*p.expr)?)),
        pp::Expr::Unary(u) => ExprKind::Negate(Box::new(expr(*u.expr)?)),
        pp::Expr::VectorSelector(vs) => ExprKind::Vector(Box::new(selector(vs)?)),
        pp::Expr::MatrixSelector(m) => ExprKind::Matrix(Box::new(MatrixSelector {
            selector: selector(m.vs)?,
            selector_span: Span::default(),
            range: ms(m.range),
        })),
        pp::Expr::Subquery(s) => ExprKind::Subquery(Box::new(Subquery {
            expr: expr(*s.expr)?,
            range: ms(s.range),
            step: s.step.map(ms),
            offset: offset(s.offset),
            at: at(s.at),
        })),
        pp::Expr::Call(c) => ExprKind::Call(Box::new(Call {
            function: Function::by_name(c.func.name)
                .ok_or_else(|| format!("unknown function with name {:?}", c.func.name))?,
            args: c.args.args.into_iter().map(|a| expr(*a)).collect::<Result<_, _>>()?,
        })),
        pp::Expr::Aggregate(a) => ExprKind::Aggregate(Box::new(Aggregate {
            op: aggregate_op(a.op.id()),
            param: a.param.map(|p| expr(*p)).transpose()?,
            expr: expr(*a.expr)?,
            without: a.modifier.as_ref().is_some_and(|m| !m.is_include()),
            grouping: a.modifier.map(|m| m.labels().labels.clone()).unwrap_or_default(),
        })),
        pp::Expr::Binary(b) => binary(b)?,
        pp::Expr::Extension(_) => return Err("unexpected extension".to_owned()),
    }))
}

fn is_scalar(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Number(_) => true,
        ExprKind::Call(c) => c.function.returns == ValueType::Scalar,
        ExprKind::Paren(e) | ExprKind::Negate(e) => is_scalar(e),
        ExprKind::Binary(b) => is_scalar(&b.lhs) && is_scalar(&b.rhs),
        _ => false,
    }
}

fn binary(b: pp::BinaryExpr) -> Result<ExprKind, String> {
    let (lhs, rhs) = (expr(*b.lhs)?, expr(*b.rhs)?);
    let op = binary_op(b.op.id());
    let modifier = b.modifier.unwrap_or_default();
    let set = matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless);
    let matching = (!is_scalar(&lhs) && !is_scalar(&rhs)).then(|| VectorMatching {
        cardinality: match modifier.card {
            _ if set => Cardinality::ManyToMany,
            pp::VectorMatchCardinality::ManyToOne(_) => Cardinality::ManyToOne,
            pp::VectorMatchCardinality::OneToMany(_) => Cardinality::OneToMany,
            _ => Cardinality::OneToOne,
        },
        include: modifier.card.labels().map(|l| l.labels.clone()).unwrap_or_default(),
        on: modifier.is_matching_on(),
        labels: modifier.matching.as_ref().map(|m| m.labels().labels.clone()).unwrap_or_default(),
        fill_left: modifier.fill_values.lhs,
        fill_right: modifier.fill_values.rhs,
    });
    let return_bool = modifier.return_bool;
    Ok(ExprKind::Binary(Box::new(Binary { op, lhs, rhs, return_bool, matching })))
}
