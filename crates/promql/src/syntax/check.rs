//! Types and everything else that holds for whole expressions, in the order in which Prometheus
//! finds fault; settles which binary expressions match vectors.

use std::fmt;

use super::cursor::{Fault, Parsed};
use crate::ast::{
    Aggregate, Binary, Call, Cardinality, DurationExpr, Expr, ExprKind, RangeExtension, Span,
    Subquery, ValueType, VectorSelector,
};
use crate::print::quote;

/// The check of one query.
pub struct Check<'a> {
    pub text: &'a str,
    /// Whether experimental syntax and functions may be used.
    pub experimental: bool,
}

impl Check<'_> {
    /// Recursion is bounded by the depth that the parser allows.
    pub fn expr(&self, expr: &mut Expr) -> Parsed<ValueType> {
        let span = expr.span;
        match &mut expr.kind {
            ExprKind::Number(_)
            | ExprKind::Duration(_)
            | ExprKind::String(_)
            | ExprKind::Bytes(_) => {}
            ExprKind::Paren(inner) => return self.expr(inner),
            ExprKind::Negate(inner) | ExprKind::Plus(inner) => return self.unary(inner, span),
            ExprKind::Binary(binary) => self.binary(binary, span)?,
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate, span)?,
            ExprKind::Call(call) => self.call(call, span)?,
            ExprKind::Vector(selector) => {
                self.selector(selector, span)?;
                non_empty(selector, span)?;
            }
            ExprKind::Matrix(matrix) => {
                self.duration(&matrix.range)?;
                self.selector(&matrix.selector, matrix.selector_span)?;
                non_empty(&matrix.selector, matrix.selector_span)?;
            }
            ExprKind::Subquery(subquery) => self.subquery(subquery, span)?,
        }
        Ok(expr.value_type())
    }

    fn unary(&self, operand: &mut Expr, span: Span) -> Parsed<ValueType> {
        let found = self.expr(operand)?;
        if matches!(found, ValueType::Scalar | ValueType::InstantVector) {
            return Ok(found);
        }
        let found = quote(found.documented());
        Err(Fault::new(
            span,
            format!(
                "unary expression only allowed on expressions of type scalar or instant vector, \
                 got {found}"
            ),
        ))
    }

    fn subquery(&self, subquery: &mut Subquery, span: Span) -> Parsed<()> {
        self.duration(&subquery.range)?;
        self.duration(&subquery.offset)?;
        subquery.step.as_ref().map_or(Ok(()), |step| self.duration(step))?;
        match self.expr(&mut subquery.expr)? {
            ValueType::InstantVector => Ok(()),
            found => {
                let found = found.name();
                Err(Fault::new(
                    span,
                    format!("subquery is only allowed on instant vector, got {found} instead"),
                ))
            }
        }
    }

    fn aggregate(&self, aggregate: &mut Aggregate, span: Span) -> Parsed<()> {
        if aggregate.op.is_experimental() && !self.experimental {
            let name = aggregate.op.name();
            return Err(Fault::new(
                span,
                format!(
                    "{name}() is experimental and must be enabled with \
                     --enable-feature=promql-experimental-functions"
                ),
            ));
        }
        self.expect(
            &mut aggregate.expr,
            ValueType::InstantVector,
            format_args!("aggregation expression"),
        )?;
        match (&mut aggregate.param, aggregate.op.param()) {
            (Some(param), Some(wanted)) => {
                self.expect(param, wanted, format_args!("aggregation parameter"))
            }
            _ => Ok(()),
        }
    }

    fn expect(&self, expr: &mut Expr, wanted: ValueType, place: fmt::Arguments<'_>) -> Parsed<()> {
        let found = self.expr(expr)?;
        if found == wanted { Ok(()) } else { Err(unexpected(expr.span, wanted, found, place)) }
    }

    /// Nothing is formatted before the arguments are checked: calls may be nested deep.
    fn call(&self, call: &mut Call, span: Span) -> Parsed<()> {
        let name = call.function.name;
        self.arity(call, span)?;
        if name == "info" {
            call.args.get(1).map_or(Ok(()), |labels| label_selectors(labels, span))?;
        }
        let types = call.function.args;
        for (index, argument) in call.args.iter_mut().enumerate() {
            if name == "info" && index == 1 {
                self.info_selector(argument)?;
            } else if let Some(wanted) = types.get(index).or(types.last()) {
                self.expect(argument, *wanted, format_args!("call to function \"{name}\""))?;
            }
        }
        Ok(())
    }

    fn arity(&self, call: &Call, span: Span) -> Parsed<()> {
        let name = quote(call.function.name);
        if call.function.experimental && !self.experimental {
            return Err(Fault::new(span, format!("function {name} is not enabled")));
        }
        let got = call.args.len();
        let (least, most) = call.function.arity();
        let wanted = match most {
            Some(most) if most == least && got != least => format!("{least}"),
            _ if got < least => format!("at least {least}"),
            Some(most) if got > most => format!("at most {most}"),
            _ => return Ok(()),
        };
        Err(Fault::new(span, format!("expected {wanted} argument(s) in call to {name}, got {got}")))
    }

    fn info_selector(&self, labels: &Expr) -> Parsed<()> {
        match &labels.kind {
            ExprKind::Vector(selector) => self.selector(selector, labels.span),
            _ => Ok(()),
        }
    }

    fn selector(&self, selector: &VectorSelector, span: Span) -> Parsed<()> {
        self.duration(&selector.offset)?;
        if self.experimental {
            return Ok(());
        }
        let name = match selector.extension {
            RangeExtension::None => return Ok(()),
            RangeExtension::Anchored => "anchored",
            RangeExtension::Smoothed => "smoothed",
        };
        Err(Fault::new(span, format!("{name} modifier is experimental and not enabled")))
    }

    fn duration(&self, duration: &DurationExpr) -> Parsed<()> {
        match duration {
            DurationExpr::Computed(node) if !self.experimental => {
                Err(Fault::new(node.span, "experimental duration expression is not enabled"))
            }
            _ => Ok(()),
        }
    }

    fn binary(&self, binary: &mut Binary, span: Span) -> Parsed<()> {
        let lhs = self.expr(&mut binary.lhs)?;
        let rhs = self.expr(&mut binary.rhs)?;
        self.operator(binary, lhs, rhs)?;
        for (side, found) in [(&binary.lhs, lhs), (&binary.rhs, rhs)] {
            if !matches!(found, ValueType::Scalar | ValueType::InstantVector) {
                let message = "binary expression must contain only scalar and instant vector types";
                return Err(Fault::new(side.span, message));
            }
        }
        let vectors = lhs == ValueType::InstantVector && rhs == ValueType::InstantVector;
        self.matching(binary, vectors).map_err(|message| Fault::new(span, message))
    }

    /// Faults that lie at the operator itself.
    fn operator(&self, binary: &Binary, lhs: ValueType, rhs: ValueType) -> Parsed<()> {
        let fault = |message: String| Err(Fault::new(self.operator_span(binary), message));
        if binary.return_bool && !binary.op.is_comparison() {
            return fault("bool modifier can only be used on comparison operators".to_owned());
        }
        let scalars = lhs == ValueType::Scalar && rhs == ValueType::Scalar;
        if binary.op.is_comparison() && !binary.return_bool && scalars {
            return fault("comparisons between scalars must use BOOL modifier".to_owned());
        }
        let Some(matching) = binary.matching.as_ref().filter(|matching| matching.on) else {
            return Ok(());
        };
        match matching.labels.iter().find(|label| matching.include.contains(label)) {
            None => Ok(()),
            Some(label) => fault(format!(
                "label {} must not occur in ON and GROUP clause at once",
                quote(label)
            )),
        }
    }

    fn operator_span(&self, binary: &Binary) -> Span {
        let between = self.text.get(binary.lhs.span.end..).unwrap_or_default();
        let spaces = between.len() - between.trim_start().len();
        Span { start: binary.lhs.span.end + spaces, end: binary.rhs.span.start }
    }

    fn matching(&self, binary: &mut Binary, vectors: bool) -> Result<(), String> {
        let Some(matching) = &mut binary.matching else { return Ok(()) };
        let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
        if fills && !self.experimental {
            return Err("binop fill modifiers are experimental and not enabled".to_owned());
        }
        let set = binary.op.is_set_operator();
        let operator = quote(binary.op.symbol());
        if !vectors {
            if !matching.labels.is_empty() {
                return Err("vector matching only allowed between instant vectors".to_owned());
            }
            if fills {
                return Err(
                    "filling in missing series only allowed between instant vectors".to_owned()
                );
            }
            binary.matching = None;
            return match set {
                true => {
                    Err(format!("set operator {operator} not allowed in binary scalar expression"))
                }
                false => Ok(()),
            };
        }
        if !set {
            return Ok(());
        }
        if matching.cardinality != Cardinality::OneToOne {
            return Err(format!("no grouping allowed for {operator} operation"));
        }
        if fills {
            return Err("filling in missing series not allowed for set operators".to_owned());
        }
        matching.cardinality = Cardinality::ManyToMany;
        Ok(())
    }
}

/// A name twice, or nothing that keeps a selector from selecting everything.
fn non_empty(selector: &VectorSelector, span: Span) -> Parsed<()> {
    let Some(name) = &selector.name else {
        if selector.matchers.iter().all(|matcher| matcher.matches("")) {
            let message = "vector selector must contain at least one non-empty matcher";
            return Err(Fault::new(span, message));
        }
        return Ok(());
    };
    let others = &selector.matchers[..selector.matchers.len().saturating_sub(1)];
    match others.iter().find(|matcher| matcher.name == "__name__") {
        None => Ok(()),
        Some(other) => {
            let (name, other) = (quote(name), quote(&other.value));
            Err(Fault::new(span, format!("metric name must not be set twice: {name} or {other}")))
        }
    }
}

fn unexpected(span: Span, wanted: ValueType, found: ValueType, place: fmt::Arguments<'_>) -> Fault {
    let (wanted, found) = (wanted.documented(), found.documented());
    Fault::new(span, format!("expected type {wanted} in {place}, got {found}"))
}

/// The second argument of `info`: braces, which may match everything.
fn label_selectors(argument: &Expr, call: Span) -> Parsed<()> {
    let found = argument.value_type();
    if found != ValueType::InstantVector {
        let found = found.documented();
        let message =
            format!("expected type instant vector in call to function \"info\", got {found}");
        return Err(Fault::new(call, message));
    }
    match &argument.kind {
        ExprKind::Vector(selector) if selector.name.is_none() => Ok(()),
        ExprKind::Vector(_) => Err(Fault::new(
            argument.span,
            "expected label selectors only, got vector selector instead",
        )),
        _ => Err(Fault::new(argument.span, "expected label selectors only")),
    }
}
