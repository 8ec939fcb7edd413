//! From the value of the whole expression to the answer.

use std::sync::Arc;

use crate::answer::Holding;
use crate::eval::budget::Claim;
use crate::eval::frame::{Cell, Column, Frame};
use crate::eval::grid::Grid;
use crate::eval::samples::{Held, Reads};
use crate::eval::scalar::Scalar;
use crate::eval::{Evaluated, Evaluator, Matrix};
use crate::{Answer, MatrixSeries, QueryError, SampleValue, Stats, Value, VectorSample};

/// `range`: the answer is a matrix whatever the expression's type.
pub(crate) fn finish(
    evaluator: Evaluator<'_>,
    value: Evaluated,
    grid: &Grid,
    range: bool,
    text: &str,
) -> Result<Answer, QueryError> {
    let (value, holding) = match value {
        Evaluated::Scalar(scalar) if range => {
            (Value::Matrix(scalar_series(&scalar, grid)), Holding::default())
        }
        Evaluated::Scalar(scalar) => {
            let value = Value::Scalar { timestamp: grid.start, value: scalar.at(0) };
            (value, Holding::default())
        }
        Evaluated::Text(value) => {
            (Value::String { timestamp: grid.start, value }, Holding::default())
        }
        Evaluated::Vector(frame) => {
            let (value, claim) = from_columns(frame, grid, range)?;
            (value, Holding::new(claim))
        }
        Evaluated::Matrix(series, claim) => {
            let series = sorted(series.into_iter().map(stored).collect());
            (Value::Matrix(series), Holding::new(claim))
        }
    };
    let (warnings, infos) = evaluator.notes.render(text);
    let stats = stats(evaluator.reads, evaluator.held, grid);
    Ok(Answer { value, warnings, infos, stats, explanation: None, holding })
}

/// The answer of a vector. Its points stand beside the columns they come from, for a moment; labels and
/// histograms are the same.
fn from_columns(frame: Frame, grid: &Grid, range: bool) -> Result<(Value, Claim), QueryError> {
    let mut claim = frame.budget().claim();
    let point = if range { size_of::<(i64, f64)>() } else { size_of::<VectorSample>() };
    let points = if range { frame.samples() } else { frame.len() };
    claim.grow(points.saturating_mul(point))?;
    let value = match range {
        true => Value::Matrix(matrix(&frame, grid)),
        false => Value::Vector(vector(&frame, grid)),
    };
    let shared = frame.shared_size();
    drop(frame);
    claim.grow(shared)?;
    Ok((value, claim))
}

fn scalar_series(scalar: &Scalar, grid: &Grid) -> Vec<MatrixSeries> {
    let labels = metricstor_model::Labels::empty();
    let floats = grid.times().zip(scalar.values(grid.len)).collect();
    vec![MatrixSeries { labels, floats, histograms: Vec::new() }]
}

fn vector(frame: &Frame, grid: &Grid) -> Vec<VectorSample> {
    let samples = frame.columns().filter_map(|(head, column)| {
        let sample = match column.get(0) {
            Cell::Absent => return None,
            Cell::Float(value) => SampleValue::Float(value),
            Cell::Histogram(h) => SampleValue::Histogram(Arc::clone(h)),
        };
        Some(VectorSample { labels: head.labels.clone(), timestamp: grid.start, sample })
    });
    samples.collect()
}

fn matrix(frame: &Frame, grid: &Grid) -> Vec<MatrixSeries> {
    let series = frame.columns().map(|(head, column)| {
        let (floats, histograms) = points(column, grid);
        MatrixSeries { labels: head.labels.clone(), floats, histograms }
    });
    sorted(series.collect())
}

type Floats = Vec<(i64, f64)>;
type Histograms = Vec<(i64, Arc<metricstor_model::FloatHistogram>)>;

fn points(column: Column<'_>, grid: &Grid) -> (Floats, Histograms) {
    let (mut floats, mut histograms) = (Floats::new(), Histograms::new());
    for (step, time) in grid.times().enumerate() {
        match column.get(step) {
            Cell::Absent => {}
            Cell::Float(value) => floats.push((time, value)),
            Cell::Histogram(h) => histograms.push((time, Arc::clone(h))),
        }
    }
    (floats, histograms)
}

fn stored(series: Matrix) -> MatrixSeries {
    let Matrix { labels, floats, histograms } = series;
    MatrixSeries { labels, floats, histograms }
}

fn sorted(mut series: Vec<MatrixSeries>) -> Vec<MatrixSeries> {
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    series
}

fn stats(reads: Reads, held: Held, grid: &Grid) -> Stats {
    Stats {
        samples_total: reads.total,
        samples_per_step: grid.times().zip(reads.total_by_step).collect(),
        samples_read: reads.read,
        samples_read_per_step: grid.times().zip(reads.read_by_step).collect(),
        samples_peak: held.peak as u64,
    }
}
