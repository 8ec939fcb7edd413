//! Operations that turn each sample of a vector into another, whatever the other series are.
//!
//! They can therefore be applied to any run of series as it is read, before the others are known.

use std::sync::Arc;

use metricstor_model::FloatHistogram;

use crate::ast::{BinaryOp, Span};
use crate::eval::annotations::Annotations;
use crate::eval::calendar::Date;
use crate::eval::frame::{ABSENT, Cell, Frame, HISTOGRAM, float_cell, is_float, is_histogram};
use crate::eval::grid::Grid;
use crate::eval::number::to_integer;
use crate::eval::operator::{Combined, combine};
use crate::eval::relabel::Dropped;
use crate::eval::scalar::Scalar;

#[derive(Debug)]
pub(crate) enum Stage {
    /// A function of floats; histograms are dropped.
    Float(fn(f64) -> f64),
    Clamp {
        min: Scalar,
        max: Scalar,
    },
    Round(Scalar),
    /// A part of the date whose seconds since the epoch the floats are.
    Date(fn(&Date) -> i64),
    /// A function of histograms; floats are dropped.
    Histogram(fn(&FloatHistogram) -> f64),
    Negate,
    /// The samples as they are.
    Same,
    /// The time of the step.
    Time,
    /// Nothing: the function is not for computed vectors.
    Nothing,
    Operator(Operator),
}

/// A binary operator with a scalar on one side.
#[derive(Debug)]
pub(crate) struct Operator {
    pub op: BinaryOp,
    pub scalar: Scalar,
    /// The scalar stands on the left.
    pub scalar_first: bool,
    pub return_bool: bool,
    pub span: Span,
}

impl Stage {
    /// What of the labels about the metric no longer holds for the results.
    pub fn drops(&self) -> Dropped {
        match self {
            Self::Operator(operator) if operator.op.changes_metric() || operator.return_bool => {
                Dropped::Metadata
            }
            Self::Operator(_) | Self::Same => Dropped::Nothing,
            // So it is in Prometheus.
            Self::Histogram(_) => Dropped::Name,
            _ => Dropped::Metadata,
        }
    }

    /// Do the results no longer belong under the metric's name?
    pub fn drops_name(&self) -> bool {
        self.drops() > Dropped::Nothing
    }

    pub fn apply(&self, frame: &mut Frame, grid: &Grid, notes: &mut Annotations) {
        match self {
            Self::Float(f) => map_floats(frame, |_, v| f(v)),
            Self::Clamp { min, max } => clamp(frame, min, max),
            Self::Round(nearest) => map_floats(frame, |step, v| {
                let inverse = 1.0 / nearest.at(step);
                (v * inverse + 0.5).floor() / inverse
            }),
            Self::Date(part) => map_floats(frame, |_, v| part(&Date::of(to_integer(v))) as f64),
            Self::Histogram(f) => map_histograms(frame, f),
            Self::Negate => negate(frame),
            Self::Same => {}
            Self::Time => present(frame, |step| grid.time(step) as f64 / 1000.0),
            Self::Nothing => frame.arrange(&[]),
            Self::Operator(operator) => operator.apply(frame, notes),
        }
    }
}

/// Replaces every float and drops the histograms.
fn map_floats(frame: &mut Frame, f: impl Fn(usize, f64) -> f64) {
    let steps = frame.steps().max(1);
    let histograms = frame.has_histograms();
    for cells in frame.all_cells_mut().chunks_exact_mut(steps) {
        for (step, cell) in cells.iter_mut().enumerate() {
            if is_float(*cell) {
                *cell = f(step, *cell);
            } else {
                *cell = ABSENT;
            }
        }
    }
    if histograms {
        frame.compact();
    }
}

/// Replaces every histogram by a float and drops the floats.
fn map_histograms(frame: &mut Frame, f: &fn(&FloatHistogram) -> f64) {
    for i in 0..frame.len() {
        let column = frame.column(i);
        let floats: Vec<(usize, f64)> = (0..column.cells.len())
            .filter_map(|step| match column.get(step) {
                Cell::Histogram(h) => Some((step, float_cell(f(h)))),
                _ => None,
            })
            .collect();
        let cells = frame.cells_mut(i);
        cells.fill(ABSENT);
        floats.into_iter().for_each(|(step, value)| cells[step] = value);
    }
    frame.compact();
}

fn clamp(frame: &mut Frame, min: &Scalar, max: &Scalar) {
    map_floats(frame, |step, v| {
        let (min, max) = (min.at(step), max.at(step));
        if max < min { ABSENT } else { maximum(min, minimum(max, v)) }
    });
    frame.compact();
}

/// The larger number; NaN if one of them is, unless the other is +Inf.
pub(crate) fn maximum(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && b == 0.0 {
        if a.is_sign_negative() { b } else { a }
    } else {
        a.max(b)
    }
}

/// The smaller number; NaN if one of them is, unless the other is -Inf.
pub(crate) fn minimum(a: f64, b: f64) -> f64 {
    -maximum(-a, -b)
}

fn negate(frame: &mut Frame) {
    for cell in frame.all_cells_mut() {
        if is_float(*cell) {
            *cell = -*cell;
        }
    }
    for (_, histogram) in frame.histograms_mut().iter_mut().flatten() {
        Arc::make_mut(histogram).mul(-1.0);
    }
}

/// Replaces every sample of either kind.
fn present(frame: &mut Frame, value: impl Fn(usize) -> f64) {
    let steps = frame.steps().max(1);
    for cells in frame.all_cells_mut().chunks_exact_mut(steps) {
        for (step, cell) in cells.iter_mut().enumerate() {
            if is_float(*cell) || is_histogram(*cell) {
                *cell = value(step);
            }
        }
    }
    frame.compact();
}

impl Operator {
    fn apply(&self, frame: &mut Frame, notes: &mut Annotations) {
        if frame.has_histograms() || self.op.is_trim() {
            self.apply_to_all(frame, notes);
        } else {
            self.apply_to_floats(frame);
        }
        if !self.return_bool && !self.op.changes_metric() || frame.has_histograms() {
            frame.compact();
        }
    }

    fn apply_to_floats(&self, frame: &mut Frame) {
        let op = self.op;
        let ordered =
            |v: f64, scalar: f64| if self.scalar_first { (scalar, v) } else { (v, scalar) };
        let keep = op.is_comparison() && !self.return_bool;
        let result = |v: f64, scalar: f64| {
            let (a, b) = ordered(v, scalar);
            if keep { if op.compare(a, b) { v } else { ABSENT } } else { op.on_floats(a, b) }
        };
        let steps = frame.steps().max(1);
        for cells in frame.all_cells_mut().chunks_exact_mut(steps) {
            for (step, cell) in cells.iter_mut().enumerate() {
                if is_float(*cell) {
                    *cell = result(*cell, self.scalar.at(step));
                }
            }
        }
    }

    fn apply_to_all(&self, frame: &mut Frame, notes: &mut Annotations) {
        for i in 0..frame.len() {
            for step in 0..frame.steps() {
                let sample = frame.column(i).get(step);
                let scalar = Cell::Float(self.scalar.at(step));
                let (lhs, rhs) =
                    if self.scalar_first { (scalar, sample) } else { (sample, scalar) };
                if matches!(sample, Cell::Absent) {
                    continue;
                }
                let cell = match combine(self.op, lhs, rhs, self.span, notes) {
                    Combined::Impossible => ABSENT,
                    Combined::Float { keep, .. } | Combined::Histogram { keep, .. }
                        if self.return_bool =>
                    {
                        f64::from(u8::from(keep))
                    }
                    Combined::Float { keep: false, .. }
                    | Combined::Histogram { keep: false, .. } => ABSENT,
                    Combined::Float { value, .. } if self.op.is_comparison() => match sample {
                        Cell::Float(own) => own,
                        _ => value,
                    },
                    Combined::Float { value, .. } => value,
                    Combined::Histogram { value, .. } => {
                        replace_histogram(frame, i, step, value);
                        HISTOGRAM
                    }
                };
                frame.cells_mut(i)[step] = cell;
            }
        }
    }
}

/// Puts another histogram in the place of the one that is there.
fn replace_histogram(frame: &mut Frame, i: usize, step: usize, value: FloatHistogram) {
    let list = &mut frame.histograms_mut()[i];
    if let Ok(at) = list.binary_search_by_key(&(step as u32), |(step, _)| *step) {
        list[at].1 = Arc::new(value);
    }
}
