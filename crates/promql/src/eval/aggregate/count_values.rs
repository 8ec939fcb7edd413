//! The aggregation `count_values`: how many series have each value.

use hashbrown::HashMap;
use metricstor_model::Labels;

use crate::QueryError;
use crate::eval::Evaluator;
use crate::eval::aggregate::grouping::Grouping;
use crate::eval::frame::{Cell, Frame, Head, is_absent};
use crate::eval::grid::Grid;
use crate::eval::number::{decimal, quoted_bytes};
use crate::plan::{Aggregate, Kind};

impl<'a> Evaluator<'a> {
    pub(super) fn count_values(
        &mut self,
        aggregate: &'a Aggregate,
        grid: Grid,
    ) -> Result<Frame, QueryError> {
        let label = match aggregate.param.as_ref().map(|param| &param.kind) {
            Some(Kind::Text(label)) if !label.is_empty() => label,
            Some(Kind::Bytes(bytes)) => {
                let text = format!("invalid label name {}", quoted_bytes(bytes));
                return Err(QueryError::execution(text));
            }
            _ => return Err(QueryError::execution("invalid label name \"\"")),
        };
        let grouping = Grouping::new(aggregate).keeping(label);
        let held = self.held.now;
        let input = self.vector(&aggregate.inner, grid)?;
        self.held.now = held;
        let mut output = input.empty_like();
        let mut rows: HashMap<Labels, usize> = HashMap::new();
        for (head, column) in input.columns() {
            self.query.interrupt.check()?;
            // Neighbouring samples are often equal.
            let mut last: Option<(String, usize)> = None;
            for step in 0..grid.len {
                let value = match column.get(step) {
                    Cell::Absent => continue,
                    Cell::Float(value) => decimal(value),
                    Cell::Histogram(h) => h.to_string(),
                };
                let row = match last {
                    Some((known, row)) if known == value => row,
                    _ => {
                        let mut labels = head.labels.to_builder();
                        labels.set(label, &value);
                        let labels =
                            labels.build().map_err(|e| QueryError::execution(e.to_string()))?;
                        row_of(&grouping.of(&labels), &mut rows, &mut output)?
                    }
                };
                let cell = &mut output.cells_mut(row)[step];
                *cell = if is_absent(*cell) { 1.0 } else { *cell + 1.0 };
                last = Some((value, row));
            }
        }
        Ok(output)
    }
}

fn row_of(
    labels: &Labels,
    rows: &mut HashMap<Labels, usize>,
    output: &mut Frame,
) -> Result<usize, QueryError> {
    if let Some(row) = rows.get(labels) {
        return Ok(*row);
    }
    output.reserve(1)?;
    let row = output.push_absent(Head::new(labels.clone()));
    rows.insert(labels.clone(), row);
    Ok(row)
}
