//! The aggregation `quantile`.

use crate::QueryError;
use crate::eval::Evaluator;
use crate::eval::aggregate::grouping::{Grouping, Groups};
use crate::eval::frame::{Cell, Frame, Head, float_cell};
use crate::eval::grid::Grid;
use crate::eval::quantile::quantile;
use crate::plan::Aggregate;

impl<'a> Evaluator<'a> {
    pub(super) fn quantile(
        &mut self,
        aggregate: &'a Aggregate,
        grid: Grid,
    ) -> Result<Frame, QueryError> {
        let Some(param) = &aggregate.param else {
            return Err(QueryError::execution("quantile needs a parameter"));
        };
        let q = self.scalar(param, grid)?;
        let held = self.held.now;
        let input = self.vector(&aggregate.inner, grid)?;
        self.held.now = held;
        for q in extremes(q.values(grid.len)) {
            self.notes.invalid_quantile(q, param.span);
        }
        let mut groups = Groups::new(Grouping::new(aggregate));
        let mut output = input.empty_like();
        let mut members: Vec<Vec<usize>> = Vec::new();
        for (i, head) in input.heads.iter().enumerate() {
            let group = groups.group(&head.labels);
            if group == members.len() {
                output.charge(groups.size_of(group))?;
                members.push(Vec::new());
            }
            members[group].push(i);
        }
        output.reserve(groups.len())?;
        let mut values = Vec::new();
        for (labels, members) in groups.labels().iter().zip(&members) {
            let drop_name = members.iter().any(|i| input.heads[*i].drop_name);
            let row = output.push_absent(Head { labels: labels.clone(), drop_name });
            for step in 0..grid.len {
                self.query.interrupt.check()?;
                values.clear();
                for &i in members {
                    match input.column(i).get(step) {
                        Cell::Absent => {}
                        Cell::Float(value) => values.push(value),
                        Cell::Histogram(_) => {
                            let span = aggregate.inner.span;
                            self.notes.histogram_ignored_in_aggregation("quantile", span);
                        }
                    }
                }
                if !values.is_empty() {
                    let value = quantile(q.at(step), &mut values);
                    output.cells_mut(row)[step] = float_cell(value);
                }
            }
        }
        output.compact();
        Ok(output)
    }
}

/// Those parameters that are worth a warning: NaN if there is any, the largest above 1 and the
/// smallest below 0.
fn extremes(values: impl Iterator<Item = f64>) -> impl Iterator<Item = f64> {
    let ParamRange { min, max, nan } = ParamRange::of(values);
    let nan = nan.then_some(f64::NAN);
    let outside = [Some(max).filter(|max| *max > 1.0), Some(min).filter(|min| *min < 0.0)];
    nan.into_iter().chain(outside.into_iter().flatten())
}

/// What values a parameter takes over the steps; where one is NaN, only an infinity is an extreme, as
/// for Go's `math.Min` and `math.Max`.
pub(super) struct ParamRange {
    pub min: f64,
    pub max: f64,
    pub nan: bool,
}

impl ParamRange {
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let start = Self { min: f64::INFINITY, max: f64::NEG_INFINITY, nan: false };
        let range = values.fold(start, |range, value| Self {
            min: range.min.min(value),
            max: range.max.max(value),
            nan: range.nan || value.is_nan(),
        });
        let extreme = |value: f64| if range.nan && value.is_finite() { f64::NAN } else { value };
        Self { min: extreme(range.min), max: extreme(range.max), ..range }
    }
}
