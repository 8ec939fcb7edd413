//! The window of a range selector, moved over the steps.

use std::sync::Arc;

use metricstor_model::FloatHistogram;

use super::track::{Point, Track};
use super::windows::{Slice, Windows};
use crate::ast::Span;
use crate::eval::annotations::Annotations;
use crate::eval::frame::{ABSENT, HISTOGRAM, Histograms, float_cell, histogram_weight, is_float};
use crate::eval::samples::Reads;
use crate::{Interrupt, QueryError};

/// The samples of one series in one window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window<'a> {
    pub times: &'a [i64],
    pub values: &'a [f64],
    pub histograms: &'a [Point],
    /// Start timestamps of floats and histograms; empty when there are none.
    pub starts: &'a [i64],
    pub histogram_starts: &'a [i64],
    /// The place of the first float in the series.
    pub first: usize,
    /// The range itself; an extended window holds samples around it.
    pub start: i64,
    pub end: i64,
    /// The range's length in seconds.
    pub seconds: f64,
    /// The step.
    pub time: i64,
    pub step: usize,
}

impl Window<'_> {
    pub fn is_mixed(&self) -> bool {
        !self.values.is_empty() && !self.histograms.is_empty()
    }

    pub fn len(&self) -> usize {
        self.values.len() + self.histograms.len()
    }
}

/// What a function makes of a window.
#[derive(Debug)]
pub(crate) enum Outcome {
    Nothing,
    Float(f64),
    Histogram(Arc<FloatHistogram>),
}

impl From<FloatHistogram> for Outcome {
    fn from(histogram: FloatHistogram) -> Self {
        Self::Histogram(histogram.into())
    }
}

impl From<Option<f64>> for Outcome {
    fn from(value: Option<f64>) -> Self {
        value.map_or(Self::Nothing, Self::Float)
    }
}

/// Where a function says what it has to say about a series.
pub(crate) struct Remarks<'a> {
    pub notes: &'a mut Annotations,
    pub span: Span,
    /// The metric's name, found when first needed.
    pub name: &'a dyn Fn() -> String,
    /// Asked on the way whether to go on.
    pub interrupt: &'a Interrupt,
}

/// A function over windows of one series; the same value is used for series after series.
pub(crate) trait Kernel {
    /// Looks at a series before its windows.
    fn begin(&mut self, _track: &Track) {}

    /// All windows of a series without histograms at once, into cells that are all absent; false if
    /// they are to be applied one by one.
    fn column(&mut self, _track: &Track, _windows: &Windows, _results: &mut Results) -> bool {
        false
    }

    /// A window with at least one sample.
    fn apply(&mut self, w: &Window<'_>, remarks: &mut Remarks<'_>) -> Result<Outcome, QueryError>;
}

/// The results for one series.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub cells: Vec<f64>,
    pub histograms: Histograms,
    /// Is there any?
    pub any: bool,
}

impl Results {
    pub fn reset(&mut self, steps: usize) {
        self.cells.clear();
        self.cells.resize(steps, ABSENT);
        self.histograms.clear();
        self.any = false;
    }

    pub fn has_floats(&self) -> bool {
        self.cells.iter().any(|cell| is_float(*cell))
    }

    #[inline]
    fn set(&mut self, step: usize, outcome: Outcome) {
        match outcome {
            Outcome::Nothing => return,
            Outcome::Float(value) => self.cells[step] = float_cell(value),
            Outcome::Histogram(histogram) => {
                self.cells[step] = HISTOGRAM;
                self.histograms.push((step as u32, histogram));
            }
        }
        self.any = true;
    }
}

/// Samples in windows between two questions whether to go on: milliseconds of the slowest function.
const ASK_AFTER: usize = 1 << 17;

/// Applies a function to all windows of a series.
pub(crate) fn slide(
    kernel: &mut impl Kernel,
    track: &Track,
    windows: &mut Windows,
    remarks: &mut Remarks<'_>,
    results: &mut Results,
    reads: &mut Reads,
) -> Result<(), QueryError> {
    results.reset(windows.len());
    if track.times.is_empty() && track.histograms.is_empty() {
        return Ok(());
    }
    kernel.begin(track);
    windows.find(&track.times);
    windows.count(reads);
    if track.histograms.is_empty() && kernel.column(track, windows, results) {
        return Ok(());
    }
    let mut histograms = Slice::default();
    let mut unasked = 0;
    for step in 0..windows.len() {
        let times = windows.times(step);
        let floats = windows.places()[step].clone();
        let mut weight = floats.len();
        if !track.histograms.is_empty() {
            let new = histograms.advance(&track.histograms, |point| point.0, times.from, times.to);
            let weigh =
                |points: &[Point]| points.iter().map(|p| histogram_weight(&p.1)).sum::<usize>();
            let inside = weigh(&track.histograms[histograms.range()]);
            let end = histograms.range().end;
            reads.add(step, inside, weigh(&track.histograms[end - new..end]));
            weight += inside;
        }
        if weight == 0 {
            continue;
        }
        unasked += weight;
        if unasked > ASK_AFTER {
            remarks.interrupt.check()?;
            unasked = 0;
        }
        let window = Window {
            times: &track.times[floats.clone()],
            values: &track.values[floats.clone()],
            histograms: &track.histograms[histograms.range()],
            starts: track.starts.get(floats.clone()).unwrap_or(&[]),
            histogram_starts: track.histogram_starts.get(histograms.range()).unwrap_or(&[]),
            first: floats.start,
            start: times.start,
            end: times.end,
            seconds: windows.seconds(),
            time: times.step,
            step,
        };
        results.set(step, kernel.apply(&window, remarks)?);
    }
    Ok(())
}
