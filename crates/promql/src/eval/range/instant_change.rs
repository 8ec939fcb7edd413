//! `irate` and `idelta`: the change between the last two samples of a window.

use std::sync::Arc;

use metricstor_model::{CounterResetHint, FloatHistogram};

use crate::QueryError;
use crate::eval::range::histogram_change::subtract_histogram;
use crate::eval::range::start_time::is_reset;
use crate::eval::range::window::{Kernel, Outcome, Remarks, Window};

#[derive(Debug)]
pub(crate) struct LastChange {
    /// Per second, of a counter.
    pub rate: bool,
}

/// One of the last samples.
#[derive(Clone, Copy)]
struct Sample<'a> {
    time: i64,
    /// 0: unknown.
    start: i64,
    value: Value<'a>,
}

#[derive(Clone, Copy)]
enum Value<'a> {
    Float(f64),
    Histogram(&'a Arc<FloatHistogram>),
}

/// The last two samples of both kinds together.
fn last_two<'a>(w: &Window<'a>) -> Option<[Sample<'a>; 2]> {
    let start = |starts: &[i64], i: usize| starts.get(i).copied().unwrap_or(0);
    let n = w.values.len();
    let floats = (n.saturating_sub(2)..n).map(|i| Sample {
        time: w.times[i],
        start: start(w.starts, i),
        value: Value::Float(w.values[i]),
    });
    let n = w.histograms.len();
    let histograms = (n.saturating_sub(2)..n).map(|i| Sample {
        time: w.histograms[i].0,
        start: start(w.histogram_starts, i),
        value: Value::Histogram(&w.histograms[i].1),
    });
    let mut last: Vec<Sample<'a>> = floats.chain(histograms).collect();
    last.sort_by_key(|sample| sample.time);
    match last[..] {
        [.., before, after] => Some([before, after]),
        _ => None,
    }
}

impl LastChange {
    fn histograms(
        &self,
        [before, after]: [&FloatHistogram; 2],
        restarted: bool,
        remarks: &mut Remarks<'_>,
    ) -> Option<FloatHistogram> {
        let gauge = |h: &FloatHistogram| h.counter_reset_hint == CounterResetHint::Gauge;
        if self.rate && (gauge(before) || gauge(after)) {
            remarks.notes.not_a_counter(&(remarks.name)(), remarks.span);
        }
        let gauges = gauge(before) && gauge(after);
        if !self.rate && !gauges {
            remarks.notes.not_a_gauge(&(remarks.name)(), remarks.span);
        }
        let mut change = after.clone();
        let reset = self.rate && (restarted || after.detect_reset(before));
        if !reset && !subtract_histogram(&mut change, before, remarks) {
            return None;
        }
        change.counter_reset_hint = CounterResetHint::Gauge;
        change.compact();
        Some(change)
    }
}

impl Kernel for LastChange {
    fn apply(&mut self, w: &Window<'_>, remarks: &mut Remarks<'_>) -> Result<Outcome, QueryError> {
        let two = if w.histograms.is_empty() { last_two_floats(w) } else { last_two(w) };
        let Some([before, after]) = two else { return Ok(Outcome::Nothing) };
        let interval = after.time - before.time;
        if interval == 0 {
            return Ok(Outcome::Nothing);
        }
        let seconds = if self.rate { interval as f64 / 1000.0 } else { 1.0 };
        let restarted =
            self.rate && is_reset((before.start, before.time), (after.start, after.time));
        Ok(match (before.value, after.value) {
            (Value::Float(first), Value::Float(second)) => {
                let reset = self.rate && (second < first || restarted);
                Outcome::Float(if reset { second } else { second - first } / seconds)
            }
            (Value::Histogram(first), Value::Histogram(second)) => {
                match self.histograms([first, second], restarted, remarks) {
                    None => Outcome::Nothing,
                    Some(mut change) => {
                        if self.rate {
                            change.div(seconds);
                        }
                        change.into()
                    }
                }
            }
            _ => {
                remarks.notes.mixed_floats_histograms(&(remarks.name)(), remarks.span);
                Outcome::Nothing
            }
        })
    }
}

/// `last_two` for a window without histograms, without sorting anything.
fn last_two_floats<'a>(w: &Window<'a>) -> Option<[Sample<'a>; 2]> {
    let n = w.values.len();
    let sample = |i: usize| Sample {
        time: w.times[i],
        start: w.starts.get(i).copied().unwrap_or(0),
        value: Value::Float(w.values[i]),
    };
    (n >= 2).then(|| [sample(n - 2), sample(n - 1)])
}
