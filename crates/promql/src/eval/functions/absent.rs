//! `absent` and `absent_over_time`: 1 where there is nothing.

use std::collections::BTreeSet;

use metricstor_model::{Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher};

use crate::QueryError;
use crate::eval::Evaluator;
use crate::eval::frame::{ABSENT, Frame, Head, is_absent};
use crate::eval::grid::Grid;
use crate::eval::pipeline::{Intake, Pipeline};
use crate::plan::{Call, Kind, Node};

/// The labels that a selector asks for by name and value, each once.
fn expected_labels(node: &Node) -> Result<Labels, QueryError> {
    let matchers: &[Matcher] = match &node.kind {
        Kind::Selector(selector) => &selector.matchers,
        Kind::Range(range) => &range.selector.matchers,
        _ => &[],
    };
    let mut labels = LabelsBuilder::new();
    let mut seen = BTreeSet::new();
    for matcher in matchers.iter().filter(|matcher| matcher.name != METRIC_NAME) {
        if matcher.op == MatchOp::Equal && seen.insert(&matcher.name) {
            labels.set(&matcher.name, &matcher.value);
        } else {
            labels.remove(&matcher.name);
        }
    }
    labels.build().map_err(|error| QueryError::execution(error.to_string()))
}

impl<'a> Evaluator<'a> {
    pub(super) fn absent(&mut self, call: &'a Call, grid: Grid) -> Result<Frame, QueryError> {
        let argument = &call.args[0];
        let held = self.held.now;
        let present = self.vector(argument, grid)?;
        self.held.now = held;
        self.absence(&present, argument, grid, false)
    }

    pub(super) fn absent_over_time(
        &mut self,
        call: &'a Call,
        grid: Grid,
    ) -> Result<Frame, QueryError> {
        let argument = &call.args[0];
        let held = self.held.now;
        let present = match &argument.kind {
            Kind::Range(range) => {
                let scalars = Vec::new();
                let intake =
                    Intake::Range { name: call.function.name, scalars, range: range.range };
                let pipeline = Pipeline {
                    query: self.query,
                    selector: &range.selector,
                    span: argument.span,
                    grid,
                    intake,
                    stages: Vec::new(),
                    by_step: !self.reads.total_by_step.is_empty(),
                };
                pipeline.check()?;
                self.collect(&pipeline)?
            }
            _ => self.over_subquery(call, 0, grid)?,
        };
        self.held.now = held;
        self.absence(&present, argument, grid, true)
    }

    fn absence(
        &self,
        present: &Frame,
        argument: &Node,
        grid: Grid,
        drop_name: bool,
    ) -> Result<Frame, QueryError> {
        let mut cells = vec![1.0; grid.len];
        for (_, column) in present.columns() {
            for (cell, sample) in cells.iter_mut().zip(column.cells) {
                if !is_absent(*sample) {
                    *cell = ABSENT;
                }
            }
        }
        let mut frame = self.empty(grid);
        if cells.iter().any(|cell| !is_absent(*cell)) {
            frame.reserve(1)?;
            let labels = expected_labels(argument)?;
            frame.push(Head { labels, drop_name }, &cells, Vec::new());
        }
        Ok(frame)
    }
}
