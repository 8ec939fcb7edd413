//! Range vectors as the value of a query.

use std::sync::Arc;

use metricstor_model::{FloatHistogram, Labels, Samples, TimeRange};

use crate::QueryError;
use crate::ast::RangeExtension;
use crate::eval::Evaluator;
use crate::eval::budget::Claim;
use crate::eval::frame::{Cell, histogram_weight};
use crate::eval::grid::Grid;
use crate::eval::profile::Cost;
use crate::eval::range::extended::{bounds, float_ends};
use crate::eval::range::track::Track;
use crate::eval::range::window::Window;
use crate::eval::reading::read_one;
use crate::eval::relabel::{drop_names, unite};
use crate::plan::{Kind, Node, RangeSelector, Subquery};

/// One series with its samples as they are.
pub(crate) struct Matrix {
    pub labels: Labels,
    pub floats: Vec<(i64, f64)>,
    pub histograms: Vec<(i64, Arc<FloatHistogram>)>,
}

impl<'a> Evaluator<'a> {
    pub(in crate::eval) fn matrix(
        &mut self,
        node: &'a Node,
        grid: Grid,
    ) -> Result<(Vec<Matrix>, Claim), QueryError> {
        let begun = self.begin();
        let (matrix, claim) = match &node.kind {
            Kind::Range(range) => self.stored(range, grid)?,
            Kind::Subquery(subquery) => self.computed(subquery, grid)?,
            _ => return Err(QueryError::execution("unexpected expression where a range belongs")),
        };
        self.end(node, begun, || cost(&matrix));
        Ok((matrix, claim))
    }

    /// What a subquery computes.
    fn computed(
        &mut self,
        subquery: &'a Subquery,
        grid: Grid,
    ) -> Result<(Vec<Matrix>, Claim), QueryError> {
        let (mut frame, grid, inside) = self.subquery(subquery, grid)?;
        self.reads.add(0, inside.total as usize, inside.read as usize);
        if self.query.options.delayed_name_removal {
            drop_names(&mut frame);
            frame = unite(frame)?;
        }
        let mut claim = frame.budget().claim();
        claim.grow(frame.samples().saturating_mul(16))?;
        let series = frame.columns().map(|(head, column)| {
            let labels = head.labels.clone();
            let mut series = Matrix { labels, floats: Vec::new(), histograms: Vec::new() };
            for (step, time) in grid.times().enumerate() {
                match column.get(step) {
                    Cell::Absent => {}
                    Cell::Float(value) => series.floats.push((time, value)),
                    Cell::Histogram(h) => series.histograms.push((time, Arc::clone(h))),
                }
            }
            series
        });
        let series = series.collect();
        let shared = frame.shared_size();
        drop(frame);
        claim.grow(shared)?;
        Ok((series, claim))
    }

    fn stored(
        &mut self,
        range: &RangeSelector,
        grid: Grid,
    ) -> Result<(Vec<Matrix>, Claim), QueryError> {
        let set = self.query.set(range.selector.selection);
        let end = range.selector.shift.apply(grid.start);
        let start = end.saturating_sub(range.range);
        let lookback = self.query.lookback;
        let (before, after) = match range.selector.extension {
            RangeExtension::None => (0, 0),
            RangeExtension::Anchored => (lookback, 0),
            RangeExtension::Smoothed => (lookback, lookback),
        };
        let times = TimeRange::new(
            start.saturating_sub(before).saturating_add(1),
            end.saturating_add(after),
        );
        let (mut samples, mut track) = (Samples::default(), Track::default());
        let mut series = Vec::new();
        let (mut claim, mut read) = (self.query.budget.claim(), self.query.budget.claim());
        for i in 0..set.len() {
            self.query.interrupt.check()?;
            read_one(&**set, i, times, &mut read, &mut samples)?;
            track.load(&mut samples, false);
            let floats = extend(&track, range, (start, end))?;
            let histograms = track.histograms.clone();
            if floats.is_empty() && histograms.is_empty() {
                continue;
            }
            let weights = histograms.iter().map(|(_, h)| histogram_weight(h));
            let count = floats.len() + weights.sum::<usize>();
            self.reads.add(0, count, count);
            self.hold(self.held.now, count)?;
            let labels = set.labels(i);
            claim.grow(16 * count + labels.size())?;
            series.push(Matrix { labels, floats, histograms });
        }
        Ok((series, claim))
    }
}

fn cost(matrix: &[Matrix]) -> Cost {
    let points = |series: &Matrix| {
        let weights = series.histograms.iter().map(|(_, h)| histogram_weight(h));
        (series.floats.len() + weights.sum::<usize>()) as u64
    };
    let samples = matrix.iter().map(points).sum();
    Cost { series: matrix.len() as u64, samples, bytes: 16 * samples, ..Cost::default() }
}

/// The floats of the range; those of an extended one with values at both its ends.
fn extend(
    track: &Track,
    range: &RangeSelector,
    (start, end): (i64, i64),
) -> Result<Vec<(i64, f64)>, QueryError> {
    let all = || track.times.iter().copied().zip(track.values.iter().copied());
    let (name, smoothed) = match range.selector.extension {
        RangeExtension::None => return Ok(all().collect()),
        RangeExtension::Anchored => ("anchored", false),
        RangeExtension::Smoothed => ("smoothed", true),
    };
    if !track.histograms.is_empty() {
        let text = format!("{name} modifier is not supported with histograms");
        return Err(QueryError::execution(text));
    }
    let Some(ends) = bounds(&track.times, |t| *t, (start, end), smoothed) else {
        return Ok(Vec::new());
    };
    let window = Window {
        times: &track.times,
        values: &track.values,
        histograms: &[],
        starts: &[],
        histogram_starts: &[],
        first: 0,
        start,
        end,
        seconds: 0.0,
        time: end,
        step: 0,
    };
    let (left, right) = float_ends(&window, ends, smoothed, false);
    let inner = all().filter(|(time, _)| start < *time && *time < end);
    Ok([(start, left)].into_iter().chain(inner).chain([(end, right)]).collect())
}
