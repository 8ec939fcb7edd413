//! Evaluation of a plan: whole series over all steps at once.
//!
//! Recursion is bounded: the parser refuses deep expressions. Annotations are collected in the order
//! of evaluation, the operands' before the operator's.

mod aggregate;
mod annotations;
mod binary;
mod budget;
mod calendar;
mod elementary;
mod finish;
mod forward;
mod frame;
mod functions;
pub(crate) mod grid;
mod instant;
mod kahan;
mod names;
mod number;
mod operator;
mod parallel;
mod pipeline;
mod profile;
mod quantile;
mod query;
mod range;
mod reading;
mod relabel;
mod samples;
mod scalar;
mod stage;
mod stream;
mod subquery;

pub(crate) use budget::Claim;
pub(crate) use finish::finish;
pub(crate) use parallel::{Helpers, effort_of_series, effort_of_windows};
pub(crate) use profile::Profile;
pub(crate) use query::Query;

use crate::QueryError;
use crate::ast::ValueType;
use crate::plan::{Kind, Node};
use annotations::Annotations;
use frame::Frame;
use grid::Grid;
use names::Names;
use parallel::ordered;
use pipeline::Pipeline;
use profile::{Cost, absorb};
use range::matrix::Matrix;
use samples::{Held, Reads};
use scalar::Scalar;

/// The value of an expression over all steps.
pub(crate) enum Evaluated {
    Scalar(Scalar),
    Text(String),
    Vector(Frame),
    /// With what it takes in memory.
    Matrix(Vec<Matrix>, Claim),
}

/// Evaluates the expressions of one query.
pub(crate) struct Evaluator<'a> {
    pub query: &'a Query<'a>,
    pub notes: Annotations,
    pub reads: Reads,
    pub held: Held,
    /// When the query is to be explained.
    pub profile: Option<Profile>,
}

impl<'a> Evaluator<'a> {
    /// `by_step`: count samples for each step of the query.
    pub fn new(query: &'a Query<'a>, grid: &Grid, by_step: bool) -> Self {
        Self {
            query,
            notes: Annotations::default(),
            reads: Reads::new(if by_step { grid.len } else { 0 }),
            held: Held::default(),
            profile: None,
        }
    }

    /// The value of the whole query.
    pub fn evaluate(&mut self, root: &'a Node, grid: Grid) -> Result<Evaluated, QueryError> {
        Ok(match root.value_type {
            ValueType::Scalar => Evaluated::Scalar(self.scalar(root, grid)?),
            ValueType::String => Evaluated::Text(functions::text(root)),
            ValueType::InstantVector => {
                let mut frame = self.vector(root, grid)?;
                if self.query.options.delayed_name_removal {
                    relabel::drop_names(&mut frame);
                    frame = relabel::unite(frame)?;
                }
                Evaluated::Vector(frame)
            }
            ValueType::RangeVector => {
                let (series, claim) = self.matrix(root, grid)?;
                Evaluated::Matrix(series, claim)
            }
        })
    }

    /// The value of an instant vector.
    fn vector(&mut self, node: &'a Node, grid: Grid) -> Result<Frame, QueryError> {
        self.query.interrupt.check()?;
        if grid.len == 0 {
            return Ok(self.empty(grid));
        }
        let (held, begun) = (self.held.now, self.begin());
        let frame = if node.once && !grid.is_instant() {
            let first = self.at_first(grid, |this| this.vector_at_once(node, grid.first()))?;
            first.repeated(grid.len)?
        } else {
            self.vector_at_once(node, grid)?
        };
        self.hold(held, frame.samples())?;
        self.end(node, begun, || Cost::of(&frame));
        Ok(frame)
    }

    fn vector_at_once(&mut self, node: &'a Node, grid: Grid) -> Result<Frame, QueryError> {
        if self.is_stream(node, grid) {
            let pipeline = self.pipeline(node, grid)?;
            return self.collect(&pipeline);
        }
        if let Some(input) = stream::stage_input(node) {
            return self.staged(node, input, grid);
        }
        match &node.kind {
            Kind::Binary(binary) => self.binary(binary, node.span, grid),
            Kind::Aggregate(aggregate) => self.aggregate(aggregate, node.span, grid),
            Kind::Call(call) => self.call(call, node.span, grid),
            _ => Err(QueryError::execution("unexpected expression where a vector belongs")),
        }
    }

    /// A frame without series.
    fn empty(&self, grid: Grid) -> Frame {
        Frame::new(&self.query.budget, grid.len)
    }

    /// Accounts for a result of so many samples, its inputs (all since `before`) being gone now.
    fn hold(&mut self, before: usize, samples: usize) -> Result<(), QueryError> {
        self.held.add(samples);
        if self.held.now > self.query.options.samples_max {
            return Err(QueryError::too_many_samples());
        }
        self.held.now = before + samples;
        Ok(())
    }

    /// Evaluates something at the first step that holds for all of them: samples are looked at for
    /// each step, but read once.
    fn at_first<T>(
        &mut self,
        grid: Grid,
        evaluate: impl FnOnce(&mut Self) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        let outside = std::mem::replace(&mut self.reads, Reads::new(0));
        let value = evaluate(self);
        let inside = std::mem::replace(&mut self.reads, outside);
        for step in 0..grid.len {
            let read = if step == 0 { inside.read as usize } else { 0 };
            self.reads.add(step, inside.total as usize, read);
        }
        value
    }

    /// Computes all series of a pipeline.
    fn collect(&mut self, pipeline: &Pipeline<'_>) -> Result<Frame, QueryError> {
        let mut frame = self.empty(pipeline.grid);
        let Self { query, notes, reads, held, profile } = self;
        let (mut samples, mut ambiguous) = (held.now, false);
        ordered(
            query.threads(),
            pipeline.tasks(),
            || pipeline.scratch(),
            |scratch, series| {
                let run = pipeline.run(scratch, series, Names::All)?;
                let samples = run.frame.samples();
                Ok((run, samples))
            },
            |(run, more)| {
                samples += more;
                if samples > query.options.samples_max {
                    return Err(QueryError::too_many_samples());
                }
                notes.merge(run.notes);
                reads.merge(&run.reads);
                absorb(profile, &pipeline.nodes, &run.laps);
                ambiguous |= run.ambiguous;
                frame.append(run.frame);
                Ok(())
            },
        )?;
        if pipeline.drops_name() && ambiguous {
            frame = self.settle_names(frame, pipeline.grid, pipeline.is_over_range())?;
        }
        Ok(frame)
    }

    /// Sees to series that became equal when they lost their names, as Prometheus does: operations on
    /// range vectors refuse them, others unite them in range queries and refuse them at an instant.
    fn settle_names(
        &self,
        frame: Frame,
        grid: Grid,
        over_range: bool,
    ) -> Result<Frame, QueryError> {
        if self.query.options.delayed_name_removal {
            return Ok(frame);
        }
        if over_range || grid.is_instant() {
            relabel::refuse_duplicates(&frame)?;
            return Ok(frame);
        }
        relabel::unite(frame)
    }
}
