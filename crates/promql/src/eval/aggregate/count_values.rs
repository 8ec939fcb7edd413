//! The aggregation `count_values`: how many series have each value.

use hashbrown::HashMap;
use metricstor_model::{Labels, METRIC_NAME};

use crate::QueryError;
use crate::eval::Evaluator;
use crate::eval::aggregate::grouping::{Grouping, Groups};
use crate::eval::frame::{Cell, Frame, Head, is_absent};
use crate::eval::grid::Grid;
use crate::eval::number::decimal;
use crate::plan::{Aggregate, Kind};
use crate::print::quote_bytes;

/// A value, as what tells it from others.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Value {
    Float(u64),
    Histogram(String),
}

impl<'a> Evaluator<'a> {
    pub(super) fn count_values(
        &mut self,
        aggregate: &'a Aggregate,
        grid: Grid,
    ) -> Result<Frame, QueryError> {
        let label = match aggregate.param.as_ref().map(|param| &param.kind) {
            Some(Kind::Text(label)) if !label.is_empty() => label,
            Some(Kind::Bytes(bytes)) => {
                let text = format!("invalid label name {}", quote_bytes(bytes));
                return Err(QueryError::execution(text));
            }
            _ => return Err(QueryError::execution("invalid label name \"\"")),
        };
        // `without` takes the metric's name away, whoever gave it.
        let is_dropped = label == METRIC_NAME || aggregate.grouping.contains(label);
        let held = self.held.now;
        let input = self.vector(&aggregate.inner, grid)?;
        self.held.now = held;
        let mut counts = Counts {
            label,
            keeps_label: !(aggregate.without && is_dropped),
            groups: Groups::new(Grouping::new(aggregate).ignoring(label)),
            by_value: HashMap::new(),
            by_labels: HashMap::new(),
            output: input.empty_like(),
        };
        for (head, column) in input.columns() {
            self.query.interrupt.check()?;
            let group = counts.group(&head.labels)?;
            for step in 0..grid.len {
                match column.get(step) {
                    Cell::Absent => {}
                    Cell::Float(value) => {
                        counts.add(group, step, Value::Float(value.to_bits()))?;
                    }
                    Cell::Histogram(h) => {
                        counts.add(group, step, Value::Histogram(h.to_string()))?;
                    }
                }
            }
        }
        Ok(counts.output)
    }
}

struct Counts<'a> {
    /// The label that gets the value.
    label: &'a str,
    keeps_label: bool,
    groups: Groups,
    /// The row of a group's value.
    by_value: HashMap<(usize, Value), usize>,
    by_labels: HashMap<Labels, usize>,
    output: Frame,
}

impl Counts<'_> {
    fn group(&mut self, labels: &Labels) -> Result<usize, QueryError> {
        let known = self.groups.len();
        let group = self.groups.group(labels);
        if group == known {
            self.output.charge(self.groups.size_of(group))?;
        }
        Ok(group)
    }

    fn add(&mut self, group: usize, step: usize, value: Value) -> Result<(), QueryError> {
        let key = (group, value);
        let row = match self.by_value.get(&key) {
            Some(row) => *row,
            None => {
                let row = self.row(group, &key.1)?;
                self.by_value.insert(key, row);
                row
            }
        };
        let cell = &mut self.output.cells_mut(row)[step];
        *cell = if is_absent(*cell) { 1.0 } else { *cell + 1.0 };
        Ok(())
    }

    fn row(&mut self, group: usize, value: &Value) -> Result<usize, QueryError> {
        let text = match value {
            Value::Float(bits) => decimal(f64::from_bits(*bits)),
            Value::Histogram(text) => text.clone(),
        };
        let mut labels = self.groups.labels()[group].clone();
        if self.keeps_label {
            labels = Labels::from_pairs(labels.iter().chain([(self.label, text.as_str())]))
                .map_err(|error| QueryError::execution(error.to_string()))?;
        }
        // NaN has many bits, but one text.
        if let Some(row) = self.by_labels.get(&labels) {
            return Ok(*row);
        }
        self.output.reserve(1)?;
        self.output.charge(2 * (labels.size() + text.len()))?;
        let row = self.output.push_absent(Head::new(labels.clone()));
        self.by_labels.insert(labels, row);
        Ok(row)
    }
}
