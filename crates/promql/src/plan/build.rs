//! From the syntax tree to the plan.
//!
//! Recursion is bounded: the parser refuses deep expressions.

use super::select::{Times, share};
use super::{
    Aggregate, Binary, Call, Kind, Node, Plan, RangeSelector, Selection, Selector, Subquery,
};
use crate::ast::{self, At, BinaryOp, Expr, ExprKind, Span, ValueType};
use crate::duration::{DurationContext, DurationError};
use crate::eval::grid::{Grid, Shift};
use crate::functions::Function;
use crate::{Hints, QueryError};

/// What the plan depends on besides the query. Milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub lookback: i64,
    pub subquery_step: i64,
    /// The step of a range query; 0 for an instant.
    pub step: i64,
}

/// Works out what to evaluate on `grid`.
pub(crate) fn plan(expr: &Expr, grid: Grid, settings: Settings) -> Result<Plan, QueryError> {
    let mut planner = Planner { grid, settings, selections: Vec::new(), nodes: 0 };
    let scope = Scope {
        times: Times { start: grid.start, end: grid.end },
        step: settings.step,
        func: "",
        totals: false,
        buckets: false,
    };
    let root = planner.node(expr, scope)?.once_if(|built| built.wrap);
    Ok(Plan { root, selections: planner.selections, grid, nodes: planner.nodes })
}

impl From<DurationError> for QueryError {
    fn from(error: DurationError) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// What the surroundings of an expression say about it.
#[derive(Clone, Copy)]
struct Scope {
    times: Times,
    step: i64,
    /// The innermost function or aggregation above.
    func: &'static str,
    /// Inside a function that looks at the totals of histograms only.
    totals: bool,
    /// Inside something that needs the buckets of histograms.
    buckets: bool,
}

/// A node, and whether its value is the same at every step; if so, `wrap` tells whether it is worth
/// (and possible) to evaluate it once.
struct Built {
    node: Node,
    invariant: bool,
    wrap: bool,
}

impl Built {
    fn once_if(mut self, condition: impl Fn(&Self) -> bool) -> Node {
        self.node.once = condition(&self);
        self.node
    }
}

struct Planner {
    grid: Grid,
    settings: Settings,
    selections: Vec<Selection>,
    /// How many there are so far.
    nodes: usize,
}

impl Planner {
    fn node(&mut self, expr: &Expr, scope: Scope) -> Result<Built, QueryError> {
        let constant = |kind| Ok((kind, true, false));
        let (kind, invariant, wrap) = match &expr.kind {
            ExprKind::Number(value) | ExprKind::Duration(value) => constant(Kind::Number(*value)),
            ExprKind::String(text) => constant(Kind::Text(text.clone())),
            ExprKind::Bytes(bytes) => constant(Kind::Bytes(bytes.clone())),
            ExprKind::Paren(inner) => return self.node(inner, scope),
            ExprKind::Negate(inner) => {
                let inner = self.node(inner, scope)?;
                Ok((Kind::Negate(Box::new(inner.node)), inner.invariant, inner.wrap))
            }
            ExprKind::Plus(inner) => {
                let inner = self.node(inner, scope)?;
                Ok((Kind::Plus(Box::new(inner.node)), inner.invariant, inner.wrap))
            }
            ExprKind::Binary(binary) => self.binary(binary, scope),
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate, scope),
            ExprKind::Call(call) => self.call(call, scope),
            ExprKind::Vector(selector) => {
                let selector = self.selector(selector, 0, scope)?;
                let fixed = selector.shift.at.is_some();
                Ok((Kind::Selector(selector), fixed, fixed))
            }
            ExprKind::Matrix(matrix) => {
                let range = matrix.range.resolve(self.context())?;
                let selector = self.selector(&matrix.selector, range, scope)?;
                let fixed = selector.shift.at.is_some();
                Ok((Kind::Range(RangeSelector { selector, range }), fixed, false))
            }
            ExprKind::Subquery(subquery) => self.subquery(subquery, scope),
        }?;
        let node = self.numbered(expr.span, kind, expr.value_type());
        Ok(Built { node, invariant, wrap })
    }

    fn numbered(&mut self, span: Span, kind: Kind, value_type: ValueType) -> Node {
        self.nodes += 1;
        Node { number: self.nodes - 1, span, kind, value_type, once: false }
    }

    fn context(&self) -> DurationContext {
        DurationContext {
            step: self.settings.step,
            range: self.grid.end.saturating_sub(self.grid.start),
        }
    }

    fn at(&self, at: Option<At>) -> Option<i64> {
        Some(match at? {
            At::Timestamp(time) => time,
            At::Start => self.grid.start,
            At::End => self.grid.end,
        })
    }

    fn selector(
        &mut self,
        selector: &ast::VectorSelector,
        range: i64,
        scope: Scope,
    ) -> Result<Selector, QueryError> {
        let offset = selector.offset.resolve_offset(self.context())?;
        let shift = Shift { at: self.at(selector.at), offset };
        let times = scope.times.shifted(shift);
        let samples = times.samples(range, self.settings.lookback, selector.extension);
        let hints = Hints { step: scope.step, range, func: scope.func };
        Ok(Selector {
            selection: share(&mut self.selections, &selector.matchers, samples, hints),
            matchers: selector.matchers.clone(),
            shift,
            extension: selector.extension,
            totals_only: scope.totals && !scope.buckets,
        })
    }

    fn subquery(
        &mut self,
        subquery: &ast::Subquery,
        scope: Scope,
    ) -> Result<(Kind, bool, bool), QueryError> {
        let range = subquery.range.resolve(self.context())?;
        let step = match &subquery.step {
            Some(step) => step.resolve(self.context())?,
            None => self.settings.subquery_step,
        };
        let offset = subquery.offset.resolve_offset(self.context())?;
        let shift = Shift { at: self.at(subquery.at), offset };
        let times = scope.times.shifted(shift).widened(range);
        // Counter resets can only be told from the buckets once samples are picked out.
        let inner = self.node(&subquery.expr, Scope { times, step, buckets: true, ..scope })?;
        let inner = inner.once_if(|built| built.invariant);
        let kind = Kind::Subquery(Box::new(Subquery { inner, range, step, shift }));
        Ok((kind, shift.at.is_some(), false))
    }

    fn binary(
        &mut self,
        binary: &ast::Binary,
        scope: Scope,
    ) -> Result<(Kind, bool, bool), QueryError> {
        let trims = matches!(binary.op, BinaryOp::TrimUpper | BinaryOp::TrimLower);
        let scope = Scope { func: "", buckets: scope.buckets || trims, ..scope };
        let lhs = self.node(&binary.lhs, scope)?;
        let rhs = self.node(&binary.rhs, scope)?;
        let invariant = lhs.invariant && rhs.invariant;
        let once = |built: &Built| !invariant && built.wrap;
        let kind = Kind::Binary(Box::new(Binary {
            op: binary.op,
            lhs: lhs.once_if(once),
            rhs: rhs.once_if(once),
            return_bool: binary.return_bool,
            matching: binary.matching.clone(),
        }));
        Ok((kind, invariant, invariant))
    }

    fn aggregate(
        &mut self,
        aggregate: &ast::Aggregate,
        scope: Scope,
    ) -> Result<(Kind, bool, bool), QueryError> {
        let scope = Scope { func: aggregate.op.name(), ..scope };
        let inner = self.node(&aggregate.expr, scope)?;
        let param = match &aggregate.param {
            Some(param) => Some(self.node(param, scope)?.once_if(|built| built.wrap)),
            None => None,
        };
        let (invariant, wrap) = (inner.invariant, inner.wrap);
        let mut grouping = aggregate.grouping.clone();
        grouping.sort();
        let (op, without) = (aggregate.op, aggregate.without);
        let node = Aggregate { op, param, inner: inner.node, grouping, without };
        Ok((Kind::Aggregate(Box::new(node)), invariant, wrap))
    }

    fn call(&mut self, call: &ast::Call, scope: Scope) -> Result<(Kind, bool, bool), QueryError> {
        if let Some(value) = self.query_constant(call.function.name) {
            return Ok((Kind::Number(value), true, false));
        }
        let name = call.function.name;
        let scope = Scope {
            func: name,
            totals: scope.totals || looks_at_totals(name),
            buckets: scope.buckets || looks_at_buckets(name),
            ..scope
        };
        let mut args = Vec::with_capacity(call.args.len());
        for (i, arg) in call.args.iter().enumerate() {
            args.push(match &arg.kind {
                ExprKind::Vector(selector) if name == "info" && i == 1 => {
                    self.matchers(&selector.matchers, arg.span)
                }
                _ => self.node(arg, scope)?,
            });
        }
        let all = args.iter().all(|arg| arg.invariant);
        let of_selector = |arg: &Built| matches!(arg.node.kind, Kind::Selector(_));
        let invariant = all
            && (!depends_on_time(call.function)
                || (name == "timestamp" && args.iter().all(of_selector)));
        let once = |built: &Built| !invariant && built.wrap;
        let args = args.into_iter().map(|built| built.once_if(once)).collect();
        let kind = Kind::Call(Box::new(Call { function: call.function, args }));
        Ok((kind, invariant, invariant))
    }

    fn matchers(&mut self, matchers: &[metricstor_model::Matcher], span: Span) -> Built {
        let kind = Kind::Matchers(matchers.to_vec());
        let node = self.numbered(span, kind, ValueType::InstantVector);
        Built { node, invariant: true, wrap: false }
    }

    /// Functions of the query alone.
    fn query_constant(&self, name: &str) -> Option<f64> {
        let Grid { start, end, .. } = self.grid;
        let milliseconds = match name {
            "start" => start,
            "end" => end,
            "range" => end.saturating_sub(start),
            "step" if start == end => 0,
            "step" => self.settings.step,
            _ => return None,
        };
        Some(milliseconds as f64 / 1000.0)
    }
}

fn looks_at_totals(function: &str) -> bool {
    matches!(function, "histogram_count" | "histogram_sum" | "histogram_avg")
}

fn looks_at_buckets(function: &str) -> bool {
    matches!(function, "histogram_quantile" | "histogram_quantiles" | "histogram_fraction")
}

/// Can the value change with the evaluation time although no argument does?
fn depends_on_time(function: &Function) -> bool {
    matches!(
        function.name,
        "days_in_month"
            | "day_of_month"
            | "day_of_week"
            | "day_of_year"
            | "hour"
            | "minute"
            | "month"
            | "year"
            | "predict_linear"
            | "time"
            | "timestamp"
    )
}
