//! The states of all groups over all steps.
//!
//! Invariant: floats may be added up in parts, the parts then merged in the order of the series;
//! histograms are always added one by one.

use std::collections::BTreeMap;
use std::sync::Arc;

use metricstor_model::{FloatHistogram, HistogramMean, HistogramSum, Reconciled};

use super::columns::Reduce;
use super::grouping::{Grouping, Groups};
use crate::QueryError;
use crate::ast::{AggregateOp, Span};
use crate::eval::annotations::{Annotations, Operation};
use crate::eval::budget::{Budget, Claim};
use crate::eval::frame::{ABSENT, Cell, Frame, Head, float_cell, is_float};

/// The floats of one run of series, reduced.
pub(super) struct Reduced<R> {
    groups: Groups,
    drop_name: Vec<bool>,
    /// Groups × steps.
    states: Vec<R>,
    _claim: Claim,
}

/// What one task contributes.
pub(super) enum Partial<R> {
    Reduced(Reduced<R>),
    /// There are histograms: the series themselves.
    Frame(Frame),
}

impl<R: Reduce> Partial<R> {
    /// Reduces a frame without histograms.
    pub fn reduced(grouping: &Grouping, frame: &Frame) -> Result<Self, QueryError> {
        let mut claim = frame.budget().claim();
        let steps = frame.steps();
        let mut groups = Groups::new(grouping.clone());
        let (mut states, mut drop_name) = (Vec::new(), Vec::new());
        for (head, column) in frame.columns() {
            let group = groups.group(&head.labels);
            if group == drop_name.len() {
                claim.grow(steps * size_of::<R>() + groups.size_of(group))?;
                states.resize(states.len() + steps, R::EMPTY);
                drop_name.push(false);
            }
            drop_name[group] |= head.drop_name;
            let row = &mut states[group * steps..(group + 1) * steps];
            for (state, cell) in row.iter_mut().zip(column.cells) {
                if is_float(*cell) {
                    state.add(*cell);
                }
            }
        }
        Ok(Self::Reduced(Reduced { groups, drop_name, states, _claim: claim }))
    }
}

/// The histograms of a group at a step.
enum Histograms {
    Sum(Box<HistogramSum>),
    Mean(Box<HistogramMean>),
    /// There are floats as well: the result will be dropped.
    Ignored,
    /// They did not fit together; everything later is passed over.
    Incompatible,
}

pub(super) struct Totals<R> {
    groups: Groups,
    drop_name: Vec<bool>,
    states: Vec<R>,
    histograms: BTreeMap<(usize, usize), Histograms>,
    op: AggregateOp,
    /// Of the input.
    span: Span,
    steps: usize,
    budget: Arc<Budget>,
    claim: Claim,
}

impl<R: Reduce> Totals<R> {
    pub fn new(
        grouping: Grouping,
        op: AggregateOp,
        span: Span,
        budget: &Arc<Budget>,
        steps: usize,
    ) -> Self {
        Self {
            groups: Groups::new(grouping),
            drop_name: Vec::new(),
            states: Vec::new(),
            histograms: BTreeMap::new(),
            op,
            span,
            steps,
            budget: Arc::clone(budget),
            claim: budget.claim(),
        }
    }

    pub fn grouping(&self) -> &Grouping {
        self.groups.grouping()
    }

    fn group(&mut self, head: &Head) -> Result<usize, QueryError> {
        let group = self.groups.group(&head.labels);
        if group == self.drop_name.len() {
            self.claim.grow(self.steps * size_of::<R>() + self.groups.size_of(group))?;
            self.states.resize(self.states.len() + self.steps, R::EMPTY);
            self.drop_name.push(false);
        }
        self.drop_name[group] |= head.drop_name;
        Ok(group)
    }

    pub fn merge(&mut self, part: Reduced<R>) -> Result<(), QueryError> {
        for (at, labels) in part.groups.labels().iter().enumerate() {
            let head = Head { labels: labels.clone(), drop_name: part.drop_name[at] };
            let group = self.group(&head)?;
            let more = &part.states[at * self.steps..(at + 1) * self.steps];
            if self.histograms.is_empty() {
                let states = &mut self.states[group * self.steps..(group + 1) * self.steps];
                let filled = states.iter_mut().zip(more).filter(|(_, more)| !more.is_empty());
                filled.for_each(|(state, more)| state.merge(more));
                continue;
            }
            for (step, more) in more.iter().enumerate() {
                if !more.is_empty() && !self.is_incompatible(group, step) {
                    self.states[group * self.steps + step].merge(more);
                }
            }
        }
        Ok(())
    }

    pub fn add_frame(&mut self, frame: &Frame, notes: &mut Annotations) -> Result<(), QueryError> {
        for (head, column) in frame.columns() {
            let group = self.group(head)?;
            let plain = self.histograms.is_empty() && !column.has_histograms();
            for step in 0..self.steps {
                match column.get(step) {
                    Cell::Absent => {}
                    Cell::Float(value) => {
                        if plain || !self.is_incompatible(group, step) {
                            self.states[group * self.steps + step].add(value);
                        }
                    }
                    Cell::Histogram(h) => self.add_histogram(group, step, h, head, notes),
                }
            }
        }
        Ok(())
    }

    fn is_incompatible(&self, group: usize, step: usize) -> bool {
        !self.histograms.is_empty()
            && matches!(self.histograms.get(&(group, step)), Some(Histograms::Incompatible))
    }

    fn add_histogram(
        &mut self,
        group: usize,
        step: usize,
        h: &FloatHistogram,
        head: &Head,
        notes: &mut Annotations,
    ) {
        if R::COUNTS_HISTOGRAMS {
            self.states[group * self.steps + step].add(0.0);
            return;
        }
        let mean = match self.op {
            AggregateOp::Sum => false,
            AggregateOp::Avg => true,
            op => {
                notes.histogram_ignored_in_aggregation(op.name(), self.span);
                return;
            }
        };
        let has_floats = !self.states[group * self.steps + step].is_empty();
        let Some(state) = self.histograms.get_mut(&(group, step)) else {
            let first = match mean {
                _ if has_floats => Histograms::Ignored,
                true => Histograms::Mean(Box::new(HistogramMean::new(h))),
                false => Histograms::Sum(Box::new(HistogramSum::new(h))),
            };
            self.histograms.insert((group, step), first);
            return;
        };
        let added = match state {
            Histograms::Sum(sum) => sum.add(h),
            Histograms::Mean(mean) => mean.add(h),
            Histograms::Ignored | Histograms::Incompatible => Ok(()),
        };
        if added.is_err() {
            notes.mixed_exponential_custom(head.labels.metric_name(), self.span);
            *state = Histograms::Incompatible;
        }
    }

    /// One series per group.
    pub fn finish(mut self, notes: &mut Annotations) -> Result<Frame, QueryError> {
        let mut frame = Frame::new(&self.budget, self.steps);
        frame.reserve(self.groups.len())?;
        let mut cells = vec![0.0; self.steps];
        let mut histograms = std::mem::take(&mut self.histograms).into_iter().peekable();
        for (group, labels) in self.groups.labels().iter().enumerate() {
            let states = &self.states[group * self.steps..(group + 1) * self.steps];
            for (cell, state) in cells.iter_mut().zip(states) {
                *cell = if state.is_empty() { ABSENT } else { float_cell(state.value()) };
            }
            let head = Head { labels: labels.clone(), drop_name: self.drop_name[group] };
            frame.push(head, &cells, Vec::new());
            while let Some(((_, step), state)) = histograms.next_if(|((of, _), _)| *of == group) {
                let mixed = !states[step].is_empty();
                frame.cells_mut(group)[step] = ABSENT;
                if let Some(histogram) = self.histogram(state, mixed, notes) {
                    frame.set_histogram(group, step, Arc::new(histogram));
                }
            }
        }
        frame.compact();
        Ok(frame)
    }

    fn histogram(
        &self,
        state: Histograms,
        mixed: bool,
        notes: &mut Annotations,
    ) -> Option<FloatHistogram> {
        if mixed {
            notes.mixed_floats_histograms_aggregation(self.span);
            return None;
        }
        let (reconciled, mut histogram) = match state {
            Histograms::Sum(sum) => (sum.reconciled(), sum.finish()),
            Histograms::Mean(mean) => (mean.reconciled(), mean.finish()),
            Histograms::Ignored | Histograms::Incompatible => return None,
        };
        let Reconciled { counter_reset_collision, custom_bounds } = reconciled;
        if counter_reset_collision {
            notes.counter_reset_collision(Operation::Aggregation, self.span);
        }
        if custom_bounds {
            notes.mismatched_custom_buckets(Operation::Aggregation, self.span);
        }
        histogram.compact();
        Some(histogram)
    }
}
