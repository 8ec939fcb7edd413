//! `topk`, `bottomk`, `limitk`, `limit_ratio`: some of the series of each group, anew at each step.

use hashbrown::{HashMap, HashSet};

use crate::QueryError;
use crate::ast::{AggregateOp, Span};
use crate::eval::Evaluator;
use crate::eval::aggregate::grouping::{Grouping, Groups};
use crate::eval::aggregate::heap::{Entry, Heap, Order};
use crate::eval::aggregate::quantiles::ParamRange;
use crate::eval::aggregate::ratio;
use crate::eval::annotations::Annotations;
use crate::eval::budget::Claim;
use crate::eval::frame::{Cell, Frame, Head};
use crate::eval::grid::Grid;
use crate::eval::names::Names;
use crate::eval::number::general;
use crate::eval::parallel::ordered;
use crate::eval::profile::absorb;
use crate::eval::scalar::Scalar;
use crate::plan::Aggregate;

impl<'a> Evaluator<'a> {
    pub(super) fn choose(
        &mut self,
        aggregate: &'a Aggregate,
        span: Span,
        grid: Grid,
    ) -> Result<Frame, QueryError> {
        let Some(param) = &aggregate.param else {
            return Err(QueryError::execution("the aggregation needs a parameter"));
        };
        let scalar = self.scalar(param, grid)?;
        let range = ParamRange::of(scalar.values(grid.len));
        let mut choice = Choice {
            op: aggregate.op,
            param: scalar,
            span,
            groups: Groups::new(Grouping::new(aggregate)),
            heaps: Vec::new(),
            heads: HashMap::new(),
            heads_max: 1024,
            series: 0,
            steps: grid.len,
            claim: self.query.budget.claim(),
            entries: 0,
        };
        let held = self.held.now;
        if self.is_independent(&aggregate.inner, grid) {
            let pipeline = self.pipeline(&aggregate.inner, grid)?;
            let Self { query, notes, reads, profile, .. } = self;
            ordered(
                query.threads(),
                pipeline.tasks(),
                || pipeline.scratch(),
                |scratch, series| pipeline.run(scratch, series, Names::All),
                |run| {
                    notes.merge(run.notes);
                    reads.merge(&run.reads);
                    absorb(profile, &pipeline.nodes, &run.laps);
                    choice.add(&run.frame, notes)
                },
            )?;
        } else {
            let frame = self.vector(&aggregate.inner, grid)?;
            choice.add(&frame, &mut self.notes)?;
        }
        self.held.now = held;
        if !self.check_param(aggregate.op, &range, param.span)? {
            return Ok(self.empty(grid));
        }
        choice.finish(self.empty(grid))
    }

    /// Fails for a parameter that is of no use; false if nothing can be chosen.
    fn check_param(
        &mut self,
        op: AggregateOp,
        range: &ParamRange,
        span: Span,
    ) -> Result<bool, QueryError> {
        // The largest float below the largest 64-bit integer, and the smallest such integer.
        const INTEGER_MAX: f64 = 9_223_372_036_854_774_784.0;
        const INTEGER_MIN: f64 = -9_223_372_036_854_775_808.0;
        let ParamRange { min, max, nan } = *range;
        if op == AggregateOp::LimitRatio {
            if nan {
                return Err(QueryError::execution("Ratio value is NaN"));
            }
            if max > 1.0 {
                self.notes.invalid_ratio(max, 1.0, span);
            }
            if min < -1.0 {
                self.notes.invalid_ratio(min, -1.0, span);
            }
            return Ok(max != 0.0 || min != 0.0);
        }
        if nan {
            return Err(QueryError::execution("Parameter value is NaN"));
        }
        if max < 1.0 {
            return Ok(false);
        }
        if min <= INTEGER_MIN {
            let text = format!("Scalar value {} underflows int64", general(min));
            return Err(QueryError::execution(text));
        }
        if max >= INTEGER_MAX {
            let text = format!("Scalar value {} overflows int64", general(max));
            return Err(QueryError::execution(text));
        }
        Ok(true)
    }
}

struct Choice {
    op: AggregateOp,
    /// How many, or which share.
    param: Scalar,
    /// Of the aggregation.
    span: Span,
    groups: Groups,
    /// Groups × steps.
    heaps: Vec<Heap>,
    /// The chosen series, and some that no longer are.
    heads: HashMap<usize, Head>,
    heads_max: usize,
    /// The number of series seen.
    series: usize,
    steps: usize,
    /// For heaps and their entries.
    claim: Claim,
    /// In all heaps.
    entries: usize,
}

impl Choice {
    /// Offers all samples of a frame.
    fn add(&mut self, frame: &Frame, notes: &mut Annotations) -> Result<(), QueryError> {
        let before = self.entries;
        for (head, column) in frame.columns() {
            let series = self.series;
            self.series += 1;
            let group = self.groups.group(&head.labels);
            if self.heaps.len() < self.groups.len() * self.steps {
                let size = self.steps * size_of::<Heap>() + self.groups.size_of(group);
                self.claim.grow(size)?;
                self.heaps.resize_with(self.groups.len() * self.steps, Heap::default);
            }
            let place =
                if self.op == AggregateOp::LimitRatio { ratio::place(&head.labels) } else { 0.0 };
            let mut chosen = false;
            for step in 0..self.steps {
                let param = self.param.at(step);
                let (value, histogram) = match column.get(step) {
                    Cell::Absent => continue,
                    Cell::Float(value) => (value, None),
                    Cell::Histogram(_) if self.is_by_value() => {
                        if wanted(param) > 0 {
                            notes.histogram_ignored_in_aggregation(self.op.name(), self.span);
                        }
                        continue;
                    }
                    Cell::Histogram(h) => (0.0, Some(h.clone())),
                };
                let heap = &mut self.heaps[group * self.steps + step];
                let held = heap.len();
                chosen |= offer(self.op, param, heap, Entry { value, histogram, series }, place);
                self.entries += heap.len() - held;
            }
            if chosen {
                self.heads.insert(series, head.clone());
            }
        }
        self.forget_heads();
        self.claim.grow((self.entries - before) * size_of::<Entry>())
    }

    fn is_by_value(&self) -> bool {
        matches!(self.op, AggregateOp::Topk | AggregateOp::Bottomk)
    }

    /// Drops the heads of series that were given up since.
    fn forget_heads(&mut self) {
        if self.heads.len() > self.heads_max {
            let chosen = self.heaps.iter().flat_map(|heap| heap.entries());
            let chosen: HashSet<usize> = chosen.map(|entry| entry.series).collect();
            self.heads.retain(|series, _| chosen.contains(series));
            self.heads_max = 2 * self.heads.len() + 1024;
        }
    }

    /// The chosen samples, each group's best first.
    fn finish(mut self, mut output: Frame) -> Result<Frame, QueryError> {
        let order = order(self.op);
        let mut rows: HashMap<usize, usize> = HashMap::new();
        for at in 0..self.heaps.len() {
            let step = at % self.steps;
            if self.is_by_value() {
                self.heaps[at].sort(order);
            }
            for entry in self.heaps[at].entries() {
                let row = match rows.get(&entry.series) {
                    Some(row) => *row,
                    None => {
                        output.reserve(1)?;
                        let head = self.heads.remove(&entry.series);
                        let head = head.expect("the heads of chosen series are kept");
                        let row = output.push_absent(head);
                        rows.insert(entry.series, row);
                        row
                    }
                };
                match &entry.histogram {
                    None => output.cells_mut(row)[step] = entry.value,
                    Some(histogram) => output.set_histogram(row, step, histogram.clone()),
                }
            }
        }
        Ok(output)
    }
}

fn order(op: AggregateOp) -> Order {
    if op == AggregateOp::Bottomk { Order::LargestFirst } else { Order::SmallestFirst }
}

/// Offers a sample to its group; was it taken, for the time being?
fn offer(op: AggregateOp, param: f64, heap: &mut Heap, entry: Entry, place: f64) -> bool {
    if op == AggregateOp::LimitRatio {
        let taken = param != 0.0 && ratio::is_inside(param.clamp(-1.0, 1.0), place);
        if taken {
            heap.push(entry, Order::SmallestFirst);
        }
        return taken;
    }
    let wanted = wanted(param);
    if heap.len() < wanted {
        heap.push(entry, order(op));
        return true;
    }
    wanted > 0 && op != AggregateOp::Limitk && heap.challenge(entry, order(op))
}

/// How many samples of a group are chosen at most.
fn wanted(param: f64) -> usize {
    // Not the negation: of NaN nothing is wanted either.
    if param >= 1.0 { param as usize } else { 0 }
}
