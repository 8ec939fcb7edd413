//! Scalars, and the functions that look at a whole vector or at labels.

mod absent;
mod histogram;
mod info;
mod labels;
mod natural;
mod sort;

use crate::QueryError;
use crate::ast::Span;
use crate::eval::Evaluator;
use crate::eval::calendar::Date;
use crate::eval::frame::{Cell, Frame, Head};
use crate::eval::grid::Grid;
use crate::eval::scalar::Scalar;
use crate::eval::stage::{maximum, minimum};
use crate::eval::stream::date_function;
use crate::plan::{Call, Kind, Node};

/// The text of a string expression.
pub(super) fn text(node: &Node) -> String {
    match &node.kind {
        Kind::Text(text) => text.clone(),
        Kind::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    }
}

impl<'a> Evaluator<'a> {
    /// The value of a scalar expression.
    pub(super) fn scalar(&mut self, node: &'a Node, grid: Grid) -> Result<Scalar, QueryError> {
        self.query.interrupt.check()?;
        let begun = self.begin();
        // Room for one number a step.
        self.query.budget.claim().grow(grid.len.saturating_mul(8))?;
        let scalar = if node.once && !grid.is_instant() && grid.len > 0 {
            let scalar = self.at_first(grid, |this| this.scalar_at_once(node, grid.first()))?;
            Scalar::Constant(scalar.at(0))
        } else {
            self.scalar_at_once(node, grid)?
        };
        self.end(node, begun, || scalar.cost());
        Ok(scalar)
    }

    fn scalar_at_once(&mut self, node: &'a Node, grid: Grid) -> Result<Scalar, QueryError> {
        match &node.kind {
            Kind::Number(value) => Ok(Scalar::Constant(*value)),
            Kind::Negate(inner) => Ok(self.scalar(inner, grid)?.map(|value| -value)),
            Kind::Plus(inner) => self.scalar(inner, grid),
            Kind::Binary(binary) => {
                let lhs = self.scalar(&binary.lhs, grid)?;
                let rhs = self.scalar(&binary.rhs, grid)?;
                if binary.op.is_trim() {
                    let symbol = binary.op.symbol();
                    let text = format!("operator \"{symbol}\" not allowed for Scalar operations");
                    return Err(QueryError::execution(text));
                }
                Ok(lhs.zip(rhs, |a, b| binary.op.on_floats(a, b)))
            }
            Kind::Call(call) => self.scalar_call(call, grid),
            _ => Err(QueryError::execution("unexpected expression where a scalar belongs")),
        }
    }

    fn scalar_call(&mut self, call: &'a Call, grid: Grid) -> Result<Scalar, QueryError> {
        let pair = |this: &mut Self| -> Result<_, QueryError> {
            Ok((this.scalar(&call.args[0], grid)?, this.scalar(&call.args[1], grid)?))
        };
        Ok(match call.function.name {
            "pi" => Scalar::Constant(std::f64::consts::PI),
            "time" => Scalar::Steps(grid.times().map(|time| time as f64 / 1000.0).collect()),
            "max_of" => {
                let (a, b) = pair(self)?;
                a.zip(b, maximum)
            }
            "min_of" => {
                let (a, b) = pair(self)?;
                a.zip(b, minimum)
            }
            "scalar" => {
                let frame = self.vector(&call.args[0], grid)?;
                single_floats(&frame, grid)
            }
            name => return Err(QueryError::execution(format!("unknown function {name}"))),
        })
    }

    /// Functions that are neither stages nor range functions over selectors.
    pub(super) fn call(
        &mut self,
        call: &'a Call,
        span: Span,
        grid: Grid,
    ) -> Result<Frame, QueryError> {
        let subquery = call.args.iter().position(|arg| matches!(arg.kind, Kind::Subquery(_)));
        match (call.function.name, subquery) {
            ("absent_over_time", _) => self.absent_over_time(call, grid),
            (_, Some(at)) => self.over_subquery(call, at, grid),
            ("absent", _) => self.absent(call, grid),
            ("vector", _) => {
                let scalar = self.scalar(&call.args[0], grid)?;
                self.vector_of(&scalar, grid)
            }
            ("sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc", _) => {
                self.sort(call, span, grid)
            }
            ("label_replace", _) => self.label_replace(call, grid),
            ("label_join", _) => self.label_join(call, grid),
            ("info", _) => self.info(call, grid),
            ("histogram_quantile" | "histogram_quantiles" | "histogram_fraction", _) => {
                self.histogram_function(call, grid)
            }
            (name, _) => match date_function(name) {
                Some(part) => {
                    let of = |time: i64| part(&Date::of(time / 1000)) as f64;
                    self.vector_of(&Scalar::Steps(grid.times().map(of).collect()), grid)
                }
                None => Err(QueryError::execution(format!("unknown function {name}"))),
            },
        }
    }

    /// A vector of one series without labels.
    pub(super) fn vector_of(&mut self, scalar: &Scalar, grid: Grid) -> Result<Frame, QueryError> {
        let mut frame = self.empty(grid);
        if grid.len > 0 {
            frame.reserve(1)?;
            let values: Vec<f64> = scalar.values(grid.len).collect();
            frame.push(Head::new(self.query.no_labels.clone()), &values, Vec::new());
        }
        Ok(frame)
    }
}

/// The only float at each step; NaN if there is none, or more than one.
fn single_floats(frame: &Frame, grid: Grid) -> Scalar {
    let mut seen = vec![0u8; grid.len];
    let mut values = vec![f64::NAN; grid.len];
    for (_, column) in frame.columns() {
        for step in 0..grid.len {
            if let Cell::Float(value) = column.get(step) {
                seen[step] = seen[step].saturating_add(1);
                values[step] = if seen[step] == 1 { value } else { f64::NAN };
            }
        }
    }
    Scalar::Steps(values)
}
