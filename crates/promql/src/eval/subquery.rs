//! Subqueries: an expression evaluated on a grid of its own, its results taken for samples.

use crate::QueryError;
use crate::ast::{RangeExtension, Span};
use crate::eval::Evaluator;
use crate::eval::annotations::Annotations;
use crate::eval::frame::{Frame, Head, histograms_size};
use crate::eval::grid::Grid;
use crate::eval::parallel::{effort_of_series, ordered, tasks};
use crate::eval::profile::Cost;
use crate::eval::range::RangeFunction;
use crate::eval::range::track::Track;
use crate::eval::range::window::{Remarks, Results};
use crate::eval::range::windows::{Reach, Windows};
use crate::eval::relabel;
use crate::eval::samples::Reads;
use crate::plan::{Call, Kind, Subquery};

impl<'a> Evaluator<'a> {
    /// The times of the inner expression: multiples of its step inside the windows of all steps.
    pub(super) fn subquery_grid(
        &self,
        subquery: &Subquery,
        grid: Grid,
    ) -> Result<Grid, QueryError> {
        let first = subquery.shift.apply(grid.start).saturating_sub(subquery.range);
        let last = subquery.shift.apply(grid.last());
        let step = subquery.step.max(1);
        let start = (first.div_euclid(step) + 1).saturating_mul(step);
        Grid::range(start, last, step, self.query.options.samples_max)
    }

    /// The inner expression's value on its grid, and what that took.
    pub(super) fn subquery(
        &mut self,
        subquery: &'a Subquery,
        grid: Grid,
    ) -> Result<(Frame, Grid, Reads), QueryError> {
        let inner = self.subquery_grid(subquery, grid)?;
        // It matters when something was read if there are several steps to read it for, or if it is
        // not needed for any.
        let has_gaps = subquery.range < grid.step;
        let by_step = grid.len > 1 && (has_gaps || self.reads.is_by_step());
        let inside = Reads::new(if by_step { inner.len } else { 0 });
        let outside = std::mem::replace(&mut self.reads, inside);
        let frame = self.inner_value(subquery, inner);
        let inside = std::mem::replace(&mut self.reads, outside);
        Ok((frame?, inner, inside))
    }

    /// Counts what the inner expression has read for the steps that need it. What it has looked at does
    /// not count: the windows over its values will.
    fn count_inside(&mut self, subquery: &Subquery, grid: Grid, inner: Grid, inside: &Reads) {
        if !inside.is_by_step() {
            return self.reads.add(0, 0, inside.read as usize);
        }
        for (time, read) in inner.times().zip(&inside.read_by_step) {
            let time = time.saturating_add(subquery.shift.offset);
            // The earliest step that is not before.
            let before = time.saturating_sub(grid.start).saturating_sub(1).div_euclid(grid.step);
            let step = usize::try_from(before + 1).unwrap_or(0).min(grid.len - 1);
            if time > grid.time(step).saturating_sub(subquery.range) {
                self.reads.add(step, 0, *read as usize);
            }
        }
    }

    fn inner_value(&mut self, subquery: &'a Subquery, grid: Grid) -> Result<Frame, QueryError> {
        use crate::ast::ValueType::Scalar;
        if subquery.inner.value_type != Scalar {
            return self.vector(&subquery.inner, grid);
        }
        let scalar = self.scalar(&subquery.inner, grid)?;
        self.vector_of(&scalar, grid)
    }

    /// A range function over a subquery, argument `at`.
    pub(super) fn over_subquery(
        &mut self,
        call: &'a Call,
        at: usize,
        grid: Grid,
    ) -> Result<Frame, QueryError> {
        let Kind::Subquery(subquery) = &call.args[at].kind else {
            return Err(QueryError::execution("expected a subquery"));
        };
        let (held, begun) = (self.held.now, self.begin());
        let (input, inner, inside) = self.subquery(subquery, grid)?;
        self.count_inside(subquery, grid, inner, &inside);
        self.end(&call.args[at], begun, || Cost::of(&input));
        let scalars = self.other_arguments(call, at, grid)?;
        let name = call.function.name;
        let (extension, overlap) = (RangeExtension::None, grid.overlap(subquery.range));
        let function = || RangeFunction::new(name, &scalars, extension, overlap).ok().flatten();
        let drops = function().is_some_and(|f| !f.keeps_name());
        let shift = subquery.shift;
        let reach = Reach { shift, range: subquery.range, before: 0, after: 0 };
        let mut output = self.empty(grid);
        let by_step = self.reads.total_by_step.len();
        // Prometheus has lost the place of a subquery by the time it has something to remark.
        let span = if at == 0 { Span::default() } else { call.args[0].span };
        let query = self.query;
        ordered(
            query.threads(),
            tasks(input.len(), effort_of_series(grid.len + inner.len, 0)),
            || (function(), Track::default(), Windows::new(grid, reach), Results::default()),
            |(function, track, windows, results), series| {
                let besides = function.as_ref().map_or(0, RangeFunction::sample_size);
                let mut claim = query.budget.claim();
                claim.grow(inner.len.saturating_mul(Track::FLOAT_SIZE + besides))?;
                let mut frame = Frame::new(&query.budget, grid.len);
                frame.reserve(series.len())?;
                let (mut notes, mut reads) = (Annotations::default(), Reads::new(by_step));
                for i in series {
                    query.interrupt.check()?;
                    let labels = &input.heads[i].labels;
                    let name = || labels.metric_name().to_owned();
                    track.load_column(input.column(i), &inner);
                    let Some(function) = function.as_mut() else { continue };
                    let interrupt = query.interrupt;
                    let mut remarks = Remarks { notes: &mut notes, span, name: &name, interrupt };
                    function.apply(track, windows, &mut remarks, results, &mut reads)?;
                    if function.expects_counter() && results.any && results.has_floats() {
                        query.remark_non_counter(&name(), || labels.clone(), span, &mut notes);
                    }
                    if results.any {
                        let drop_name = input.heads[i].drop_name || drops;
                        let head = Head { labels: labels.clone(), drop_name };
                        let histograms = std::mem::take(&mut results.histograms);
                        frame.charge(histograms_size(&histograms))?;
                        frame.push(head, &results.cells, histograms);
                    }
                }
                Ok((frame, notes, reads))
            },
            |(frame, notes, mut reads)| {
                // What the windows hold was read by the inner expression.
                reads.read = 0;
                reads.read_by_step.clear();
                self.notes.merge(notes);
                self.reads.merge(&reads);
                output.append(frame);
                Ok(())
            },
        )?;
        drop(input);
        self.held.now = held;
        // Whether something is absent does not depend on its names.
        let absence = name == "absent_over_time";
        if !drops || absence || query.options.delayed_name_removal {
            return Ok(output);
        }
        for head in &mut output.heads {
            head.labels = relabel::without_metadata(&head.labels);
        }
        self.settle_names(output, grid, true)
    }
}
