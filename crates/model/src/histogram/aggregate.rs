//! Sum and mean of many histograms with the rounding errors of every bucket made good.
//!
//! Invariant: the order of addition and the change from sum to running mean are Prometheus', so that
//! sums near the limits of a float agree.

use super::body::Body;
use super::count::{Compensated, Count};
use super::{CounterResetHint, FloatHistogram, IncompatibleSchemas, Reconciled};

/// The Kahan sum of histograms.
#[derive(Debug, Clone)]
pub struct HistogramSum {
    total: Body<Compensated>,
    /// More than one histogram went into it: there are errors to make good.
    several: bool,
    reset: bool,
    not_reset: bool,
    custom_bounds: bool,
}

impl HistogramSum {
    pub fn new(first: &FloatHistogram) -> Self {
        let mut sum = Self {
            total: compensated(first),
            several: false,
            reset: false,
            not_reset: false,
            custom_bounds: false,
        };
        sum.note_hint(first);
        sum
    }

    /// Fails for a mix of exponential and custom buckets; the sum so far stays.
    pub fn add(&mut self, h: &FloatHistogram) -> Result<(), IncompatibleSchemas> {
        self.note_hint(h);
        let reconciled = self.total.add(h, false)?;
        self.several = true;
        self.custom_bounds |= reconciled.custom_bounds;
        Ok(())
    }

    /// What had to be made up for so far.
    pub fn reconciled(&self) -> Reconciled {
        Reconciled {
            counter_reset_collision: self.reset && self.not_reset,
            custom_bounds: self.custom_bounds,
        }
    }

    /// The sum, possibly with empty buckets.
    pub fn finish(mut self) -> FloatHistogram {
        if !self.several {
            // A zero keeps its sign, which adding an error of zero would take from it.
            self.total.map(Compensated::without_error);
        }
        self.total.into()
    }

    fn note_hint(&mut self, h: &FloatHistogram) {
        self.reset |= h.counter_reset_hint == CounterResetHint::Reset;
        self.not_reset |= h.counter_reset_hint == CounterResetHint::NotReset;
    }
}

/// The mean of histograms: a sum divided at the end, unless that sum would overflow.
#[derive(Debug, Clone)]
pub struct HistogramMean {
    /// The sum; the running mean once `running`.
    sum: HistogramSum,
    n: f64,
    running: bool,
    /// The absolute values of everything added: while this is far from overflow, so is the sum.
    weight: f64,
}

impl HistogramMean {
    pub fn new(first: &FloatHistogram) -> Self {
        Self { sum: HistogramSum::new(first), n: 1.0, running: false, weight: weight(first) }
    }

    /// Fails for a mix of exponential and custom buckets; the mean is then of no use.
    pub fn add(&mut self, h: &FloatHistogram) -> Result<(), IncompatibleSchemas> {
        self.n += 1.0;
        self.weight += weight(h);
        if !self.running {
            if self.weight < f64::MAX / 4.0 {
                return self.sum.add(h);
            }
            let before = self.sum.total.clone();
            self.sum.add(h)?;
            if !has_overflow(&self.sum.total) {
                return Ok(());
            }
            self.running = true;
            self.sum.total = before;
            self.sum.total.div(self.n - 1.0);
        }
        let share = (self.n - 1.0) / self.n;
        self.sum.total.map(|x| x.scaled(share));
        let mut part = h.clone();
        part.div(self.n);
        self.sum.add(&part)
    }

    /// What had to be made up for so far.
    pub fn reconciled(&self) -> Reconciled {
        self.sum.reconciled()
    }

    /// The mean, possibly with empty buckets.
    pub fn finish(mut self) -> FloatHistogram {
        if !self.running {
            self.sum.total.div(self.n);
        }
        self.sum.finish()
    }
}

fn compensated(h: &FloatHistogram) -> Body<Compensated> {
    let counts = |counts: &[f64]| counts.iter().copied().map(Compensated::of).collect();
    Body {
        counter_reset_hint: h.counter_reset_hint,
        schema: h.schema,
        zero_threshold: h.zero_threshold,
        zero_count: Compensated::of(h.zero_count),
        count: Compensated::of(h.count),
        sum: Compensated::of(h.sum),
        positive: super::side::Side {
            spans: h.positive_spans.clone(),
            counts: counts(&h.positive_buckets),
        },
        negative: super::side::Side {
            spans: h.negative_spans.clone(),
            counts: counts(&h.negative_buckets),
        },
        custom_values: h.custom_values.clone(),
    }
}

fn has_overflow(total: &Body<Compensated>) -> bool {
    [total.zero_count, total.count, total.sum]
        .iter()
        .chain(&total.positive.counts)
        .chain(&total.negative.counts)
        .any(|x| x.sum.is_infinite())
}

/// The sum of all absolute values; NaN cannot make anything overflow.
fn weight(h: &FloatHistogram) -> f64 {
    [h.zero_count, h.count, h.sum]
        .iter()
        .chain(&h.positive_buckets)
        .chain(&h.negative_buckets)
        .filter(|x| !x.is_nan())
        .map(|x| x.abs())
        .sum()
}
