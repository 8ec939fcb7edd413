//! One series' samples as range functions see them: floats and histograms apart, no staleness
//! markers.

use std::sync::Arc;

use metricstor_model::{CounterResetHint, FloatHistogram, STALE_NAN, Samples};

use crate::eval::frame::{Cell, Column};
use crate::eval::grid::Grid;

/// A histogram with its time.
pub(crate) type Point = (i64, Arc<FloatHistogram>);

/// Reused from series to series.
#[derive(Debug, Default)]
pub(crate) struct Track {
    /// Milliseconds, ascending; those of floats.
    pub times: Vec<i64>,
    pub values: Vec<f64>,
    /// Start timestamps of the floats; empty when there are none.
    pub starts: Vec<i64>,
    pub histograms: Vec<Point>,
    pub histogram_starts: Vec<i64>,
    /// Floats that the function does not need, besides those that stand for them.
    pub left_out: usize,
}

impl Track {
    /// Bytes of memory that a float takes, with the buffer that it was read into.
    pub const FLOAT_SIZE: usize = 2 * (size_of::<i64>() + size_of::<f64>());

    fn clear(&mut self) {
        self.times.clear();
        self.values.clear();
        self.starts.clear();
        self.histograms.clear();
        self.histogram_starts.clear();
        self.left_out = 0;
    }

    /// Takes the samples of a stored series, with their start timestamps if `starts`.
    pub fn load(&mut self, samples: &mut Samples, starts: bool) {
        self.clear();
        self.left_out = samples.left_out;
        let starts = starts && !samples.start_timestamps.is_empty();
        let stale = may_be_stale(&samples.values);
        if samples.histograms.is_empty() && !stale {
            std::mem::swap(&mut self.times, &mut samples.timestamps);
            std::mem::swap(&mut self.values, &mut samples.values);
            if starts {
                std::mem::swap(&mut self.starts, &mut samples.start_timestamps);
            }
            return;
        }
        let start_of = |i: usize| samples.start_timestamps.get(i).copied().unwrap_or(0);
        let mut histograms = samples.histograms.iter().peekable();
        for (i, (&time, &value)) in samples.timestamps.iter().zip(&samples.values).enumerate() {
            if let Some((_, histogram)) = histograms.next_if(|(at, _)| *at == i) {
                if !histogram.is_stale() {
                    self.histograms.push((time, Arc::clone(histogram)));
                    if starts {
                        self.histogram_starts.push(start_of(i));
                    }
                }
            } else if value.to_bits() != STALE_NAN {
                self.times.push(time);
                self.values.push(value);
                if starts {
                    self.starts.push(start_of(i));
                }
            }
        }
    }

    /// Takes what a subquery has computed. What histograms say about counter resets is forgotten: it
    /// was said about neighbours that may not be among the results.
    pub fn load_column(&mut self, column: Column<'_>, grid: &Grid) {
        self.clear();
        for (step, time) in grid.times().enumerate() {
            match column.get(step) {
                Cell::Absent => {}
                Cell::Float(value) => {
                    self.times.push(time);
                    self.values.push(value);
                }
                Cell::Histogram(h) => self.histograms.push((time, without_reset_hint(h))),
            }
        }
    }

    /// Leaves of every histogram its count and sum, and whether the counter was reset before it,
    /// which can no longer be told afterwards.
    pub fn keep_totals(&mut self) {
        let mut previous: Option<Arc<FloatHistogram>> = None;
        for (_, histogram) in &mut self.histograms {
            let whole = Arc::clone(histogram);
            *histogram = Arc::new(totals(&whole, previous.as_deref()));
            previous = Some(whole);
        }
    }
}

/// Is there a NaN, of whichever kind? Looks at many values at once.
fn may_be_stale(values: &[f64]) -> bool {
    let any_nan = |run: &[f64]| run.iter().fold(false, |any, value| any | value.is_nan());
    values.chunks(256).any(any_nan)
}

fn without_reset_hint(h: &Arc<FloatHistogram>) -> Arc<FloatHistogram> {
    match h.counter_reset_hint {
        CounterResetHint::Reset | CounterResetHint::NotReset => {
            let mut copy = (**h).clone();
            copy.counter_reset_hint = CounterResetHint::Unknown;
            Arc::new(copy)
        }
        CounterResetHint::Unknown | CounterResetHint::Gauge => Arc::clone(h),
    }
}

/// Count and sum alone.
pub(crate) fn totals(h: &FloatHistogram, previous: Option<&FloatHistogram>) -> FloatHistogram {
    let hint = match (h.counter_reset_hint, previous) {
        (CounterResetHint::Unknown, Some(previous)) if h.detect_reset(previous) => {
            CounterResetHint::Reset
        }
        (CounterResetHint::Unknown, Some(_)) => CounterResetHint::NotReset,
        (hint, _) => hint,
    };
    FloatHistogram {
        counter_reset_hint: hint,
        schema: h.schema,
        count: h.count,
        sum: h.sum,
        ..FloatHistogram::default()
    }
}
