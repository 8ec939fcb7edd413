//! `absent` and `absent_over_time`: 1 where there is nothing.

use std::collections::BTreeSet;

use metricstor_model::{Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher};

use crate::QueryError;
use crate::eval::Evaluator;
use crate::eval::frame::{ABSENT, Frame, Head, is_absent};
use crate::eval::grid::Grid;
use crate::eval::names::Names;
use crate::eval::parallel::ordered;
use crate::eval::pipeline::{Intake, Pipeline};
use crate::eval::profile::absorb;
use crate::plan::{Call, Kind, Node};

/// The labels that a selector asks for by name and value, each once.
fn expected_labels(node: &Node) -> Result<Labels, QueryError> {
    let matchers: &[Matcher] = match &node.kind {
        Kind::Selector(selector) => &selector.matchers,
        Kind::Range(range) => &range.selector.matchers,
        _ => &[],
    };
    let mut ordered: Vec<&Matcher> =
        matchers.iter().filter(|matcher| matcher.name != METRIC_NAME).collect();
    ordered.sort_by_key(|matcher| subtracts(matcher, matchers));
    let mut labels = LabelsBuilder::new();
    let mut seen = BTreeSet::new();
    for matcher in ordered {
        if matcher.op == MatchOp::Equal && seen.insert(&matcher.name) {
            labels.set(&matcher.name, &matcher.value);
        } else {
            labels.remove(&matcher.name);
        }
    }
    labels.build().map_err(|error| QueryError::execution(error.to_string()))
}

/// Does a matcher only take series away from those that others find? Prometheus' store puts such
/// matchers last, and its `absent` sees them in that order.
fn subtracts(matcher: &Matcher, all: &[Matcher]) -> bool {
    let is_needed = all.iter().any(|other| other.name == matcher.name && !other.matches_empty());
    let is_negative = matches!(matcher.op, MatchOp::NotEqual | MatchOp::NotRegex);
    !is_needed || is_negative && matcher.matches_empty()
}

/// Unmarks the steps at which a series has a sample.
fn mark(frame: &Frame, absent: &mut [bool]) {
    for (_, column) in frame.columns() {
        for (absent, cell) in absent.iter_mut().zip(column.cells) {
            *absent &= is_absent(*cell);
        }
    }
}

impl<'a> Evaluator<'a> {
    pub(super) fn absent(&mut self, call: &'a Call, grid: Grid) -> Result<Frame, QueryError> {
        let argument = &call.args[0];
        let held = self.held.now;
        let frame = self.vector(argument, grid)?;
        self.held.now = held;
        let mut absent = vec![true; grid.len];
        mark(&frame, &mut absent);
        self.absence(&absent, argument, grid, false)
    }

    pub(super) fn absent_over_time(
        &mut self,
        call: &'a Call,
        grid: Grid,
    ) -> Result<Frame, QueryError> {
        let argument = &call.args[0];
        let held = self.held.now;
        let mut absent = vec![true; grid.len];
        match &argument.kind {
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
                    nodes: vec![argument.number],
                    stopwatch: self.stopwatch(),
                };
                pipeline.check()?;
                self.mark_absent(&pipeline, &mut absent)?;
            }
            _ => mark(&self.over_subquery(call, 0, grid)?, &mut absent),
        }
        self.held.now = held;
        self.absence(&absent, argument, grid, true)
    }

    /// Marks the steps at which some series of a pipeline has a sample, run by run.
    fn mark_absent(
        &mut self,
        pipeline: &Pipeline<'_>,
        absent: &mut [bool],
    ) -> Result<(), QueryError> {
        let Self { query, notes, reads, profile, .. } = self;
        ordered(
            query.threads(),
            pipeline.tasks(),
            || pipeline.scratch(),
            |scratch, series| pipeline.run(scratch, series, Names::None),
            |run| {
                notes.merge(run.notes);
                reads.merge(&run.reads);
                absorb(profile, &pipeline.nodes, &run.laps);
                mark(&run.frame, absent);
                Ok(())
            },
        )
    }

    fn absence(
        &self,
        absent: &[bool],
        argument: &Node,
        grid: Grid,
        drop_name: bool,
    ) -> Result<Frame, QueryError> {
        let mut frame = self.empty(grid);
        if absent.contains(&true) {
            frame.reserve(1)?;
            let cells: Vec<f64> =
                absent.iter().map(|absent| if *absent { 1.0 } else { ABSENT }).collect();
            let labels = expected_labels(argument)?;
            frame.push(Head { labels, drop_name }, &cells, Vec::new());
        }
        Ok(frame)
    }
}
