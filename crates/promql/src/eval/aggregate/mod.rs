//! Aggregations: many series become one per group, or some of each group are chosen.

mod choose;
mod columns;
mod count_values;
pub(super) mod grouping;
mod heap;
mod quantiles;
mod ratio;
mod totals;

use crate::QueryError;
use crate::ast::{AggregateOp, Span};
use crate::eval::Evaluator;
use crate::eval::frame::Frame;
use crate::eval::grid::Grid;
use crate::eval::names::Names;
use crate::eval::parallel::ordered;
use crate::eval::pipeline::Pipeline;
use crate::eval::profile::absorb;
use crate::plan::Aggregate;
use columns::{Avg, Count, Group, Max, Min, Reduce, Stddev, Stdvar, Sum};
use grouping::Grouping;
use totals::{Partial, Totals};

impl<'a> Evaluator<'a> {
    pub(super) fn aggregate(
        &mut self,
        aggregate: &'a Aggregate,
        span: Span,
        grid: Grid,
    ) -> Result<Frame, QueryError> {
        use AggregateOp as Op;
        match aggregate.op {
            Op::Sum => self.reduce::<Sum>(aggregate, grid),
            Op::Avg => self.reduce::<Avg>(aggregate, grid),
            Op::Count => self.reduce::<Count>(aggregate, grid),
            Op::Min => self.reduce::<Min>(aggregate, grid),
            Op::Max => self.reduce::<Max>(aggregate, grid),
            Op::Group => self.reduce::<Group>(aggregate, grid),
            Op::Stddev => self.reduce::<Stddev>(aggregate, grid),
            Op::Stdvar => self.reduce::<Stdvar>(aggregate, grid),
            Op::Quantile => self.quantile(aggregate, grid),
            Op::CountValues => self.count_values(aggregate, grid),
            Op::Topk | Op::Bottomk | Op::Limitk | Op::LimitRatio => {
                self.choose(aggregate, span, grid)
            }
        }
    }

    /// Reduces each group to one series.
    fn reduce<R: Reduce>(
        &mut self,
        aggregate: &'a Aggregate,
        grid: Grid,
    ) -> Result<Frame, QueryError> {
        let grouping = Grouping::new(aggregate);
        let span = aggregate.inner.span;
        let mut totals =
            Totals::<R>::new(grouping, aggregate.op, span, &self.query.budget, grid.len);
        let held = self.held.now;
        if self.is_independent(&aggregate.inner, grid) {
            let pipeline = self.pipeline(&aggregate.inner, grid)?;
            self.reduce_stream(&pipeline, &mut totals)?;
        } else {
            let frame = self.vector(&aggregate.inner, grid)?;
            totals.add_frame(&frame, &mut self.notes)?;
        }
        self.held.now = held;
        totals.finish(&mut self.notes)
    }

    fn reduce_stream<R: Reduce>(
        &mut self,
        pipeline: &Pipeline<'_>,
        totals: &mut Totals<R>,
    ) -> Result<(), QueryError> {
        let grouping = totals.grouping().clone();
        let Self { query, notes, reads, profile, .. } = self;
        ordered(
            query.threads(),
            pipeline.tasks(),
            || pipeline.scratch(),
            |scratch, series| {
                let names = match grouping.needs_labels() {
                    true => Names::OfGroup(&grouping),
                    false => Names::None,
                };
                let mut run = pipeline.run(scratch, series.clone(), names)?;
                // Histograms are added up one after the other: their sum depends on the order. What
                // there is to remark names their metric.
                let partial = if run.frame.has_histograms() {
                    run = pipeline.run(scratch, series, Names::All)?;
                    Partial::Frame(run.frame)
                } else {
                    Partial::reduced(&grouping, &run.frame)?
                };
                Ok((partial, run.notes, run.reads, run.laps))
            },
            |(partial, more, counted, laps)| {
                notes.merge(more);
                reads.merge(&counted);
                absorb(profile, &pipeline.nodes, &laps);
                match partial {
                    Partial::Frame(frame) => totals.add_frame(&frame, notes),
                    Partial::Reduced(partial) => totals.merge(partial),
                }
            },
        )
    }
}
