//! Adding histograms whose resolution, zero bucket or custom bounds differ.
//!
//! Invariant: nothing is invented. The result has the coarser resolution, the wider zero bucket, the
//! bounds that both sides have; every observation ends up in the bucket that contains its old one.

use super::bounds::{bound, exponential_bound};
use super::count::Count;
use super::side::{Cells, Coarser, Side};
use super::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, Span};

/// Exponential and custom buckets do not mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("histograms with exponential and with custom buckets cannot be combined")]
pub struct IncompatibleSchemas;

/// What had to be made up for while two histograms were combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reconciled {
    /// One side was a counter reset, the other explicitly none.
    pub counter_reset_collision: bool,
    /// The custom bounds differed; only the common ones are left.
    pub custom_bounds: bool,
}

/// A histogram in the middle of a computation: plain, or with the rounding error of every field.
#[derive(Debug, Clone, Default)]
pub(super) struct Body<T> {
    pub counter_reset_hint: CounterResetHint,
    pub schema: i32,
    pub zero_threshold: f64,
    pub zero_count: T,
    pub count: T,
    pub sum: T,
    pub positive: Side<T>,
    pub negative: Side<T>,
    pub custom_values: Vec<f64>,
}

impl<T: Count> Body<T> {
    /// Adds `other`, or subtracts it. On an error nothing has changed.
    pub fn add(
        &mut self,
        other: &FloatHistogram,
        subtract: bool,
    ) -> Result<Reconciled, IncompatibleSchemas> {
        if self.uses_custom_buckets() != other.uses_custom_buckets() {
            return Err(IncompatibleSchemas);
        }
        let sign = if subtract { -1.0 } else { 1.0 };
        let (hint, counter_reset_collision) =
            self.counter_reset_hint.joined(other.counter_reset_hint);
        self.counter_reset_hint = hint;
        self.count = self.count.plus(T::of(sign * other.count));
        self.sum = self.sum.plus(T::of(sign * other.sum));
        let custom_bounds = self.custom_values != other.custom_values;
        if self.has_layout_of(other) {
            self.add_in_place(other, sign);
        } else if !self.uses_custom_buckets() {
            self.add_exponential(other, sign);
        } else if custom_bounds {
            self.add_with_common_bounds(other, sign);
        } else {
            let cells = cells::<T>(&other.positive_spans, &other.positive_buckets);
            self.positive = self.positive.merged(cells.map(|(i, c)| (i, c.scaled(sign))));
        }
        let custom_bounds = custom_bounds && self.uses_custom_buckets();
        Ok(Reconciled { counter_reset_collision, custom_bounds })
    }

    /// Applies `change` to every count and to the sum.
    pub fn map(&mut self, change: impl Fn(T) -> T) {
        for field in [&mut self.zero_count, &mut self.count, &mut self.sum] {
            *field = change(*field);
        }
        for side in [&mut self.positive, &mut self.negative] {
            side.counts.iter_mut().for_each(|count| *count = change(*count));
        }
    }

    fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// The common case: every bucket of one has its counterpart in the other.
    fn has_layout_of(&self, other: &FloatHistogram) -> bool {
        self.schema == other.schema
            && self.zero_threshold == other.zero_threshold
            && self.positive.spans == other.positive_spans
            && self.negative.spans == other.negative_spans
            && self.positive.counts.len() == other.positive_buckets.len()
            && self.negative.counts.len() == other.negative_buckets.len()
            && self.custom_values == other.custom_values
            && [&self.positive, &self.negative]
                .into_iter()
                .all(|side| starts_outside(&side.spans, self.schema, self.zero_threshold))
    }

    fn add_in_place(&mut self, other: &FloatHistogram, sign: f64) {
        self.zero_count = self.zero_count.plus(T::of(sign * other.zero_count));
        let positive = self.positive.counts.iter_mut().zip(&other.positive_buckets);
        let negative = self.negative.counts.iter_mut().zip(&other.negative_buckets);
        positive.chain(negative).for_each(|(own, count)| *own = own.plus(T::of(sign * count)));
    }

    fn add_exponential(&mut self, other: &FloatHistogram, sign: f64) {
        let other_zero_count = self.reconcile_zero_buckets(other);
        self.zero_count = self.zero_count.plus(other_zero_count.scaled(sign));
        let schema = self.schema.min(other.schema);
        if schema < self.schema {
            self.positive = self.positive.coarser(self.schema, schema);
            self.negative = self.negative.coarser(self.schema, schema);
            self.schema = schema;
        }
        let threshold = self.zero_threshold;
        let added = |spans, counts| {
            Coarser { cells: cells::<T>(spans, counts).peekable(), from: other.schema, to: schema }
                // These are part of the zero bucket already.
                .skip_while(move |(index, _)| exponential_bound(*index, schema) <= threshold)
                .map(move |(index, count)| (index, count.scaled(sign)))
        };
        self.positive = self.positive.merged(added(&other.positive_spans, &other.positive_buckets));
        self.negative = self.negative.merged(added(&other.negative_spans, &other.negative_buckets));
    }

    /// Widens the own zero bucket until it ends at a bucket boundary of both histograms and is as
    /// wide as both; gives back what `other`'s zero bucket would then hold.
    fn reconcile_zero_buckets(&mut self, other: &FloatHistogram) -> T {
        let mut theirs = (T::of(other.zero_count), other.zero_threshold);
        loop {
            if self.zero_threshold > theirs.1 {
                theirs = other.zero_bucket_up_to(self.zero_threshold);
            } else if self.zero_threshold < theirs.1 {
                self.widen_zero_bucket(theirs.1);
            } else {
                return theirs.0;
            }
        }
    }

    fn widen_zero_bucket(&mut self, threshold: f64) {
        let sides = [self.positive.cells(), self.negative.cells()];
        let (zero_count, threshold) =
            zero_bucket_up_to(self.schema, self.zero_count, sides, threshold);
        (self.zero_count, self.zero_threshold) = (zero_count, threshold);
        let schema = self.schema;
        for side in [&mut self.positive, &mut self.negative] {
            *side = side
                .cells()
                .filter(|(index, count)| {
                    exponential_bound(index.wrapping_sub(1), schema) >= threshold
                        && !count.is_zero()
                })
                .collect();
        }
    }

    fn add_with_common_bounds(&mut self, other: &FloatHistogram, sign: f64) {
        let common = common_bounds(&self.custom_values, &other.custom_values);
        let mut counts = vec![T::default(); common.len() + 1];
        roll_up(self.positive.cells(), &self.custom_values, &common, &mut counts);
        let added = cells::<T>(&other.positive_spans, &other.positive_buckets)
            .map(|(index, count)| (index, count.scaled(sign)));
        roll_up(added, &other.custom_values, &common, &mut counts);
        self.positive = (0..).zip(counts).filter(|(_, count)| !count.is_zero()).collect();
        self.custom_values = common;
    }
}

impl From<FloatHistogram> for Body<f64> {
    fn from(h: FloatHistogram) -> Self {
        Self {
            counter_reset_hint: h.counter_reset_hint,
            schema: h.schema,
            zero_threshold: h.zero_threshold,
            zero_count: h.zero_count,
            count: h.count,
            sum: h.sum,
            positive: Side { spans: h.positive_spans, counts: h.positive_buckets },
            negative: Side { spans: h.negative_spans, counts: h.negative_buckets },
            custom_values: h.custom_values,
        }
    }
}

impl<T: Count> From<Body<T>> for FloatHistogram {
    fn from(body: Body<T>) -> Self {
        let values = |counts: Vec<T>| counts.into_iter().map(Count::value).collect();
        Self {
            counter_reset_hint: body.counter_reset_hint,
            schema: body.schema,
            zero_threshold: body.zero_threshold,
            zero_count: body.zero_count.value(),
            count: body.count.value(),
            sum: body.sum.value(),
            positive_spans: body.positive.spans,
            negative_spans: body.negative.spans,
            positive_buckets: values(body.positive.counts),
            negative_buckets: values(body.negative.counts),
            custom_values: body.custom_values,
        }
    }
}

impl FloatHistogram {
    /// What the zero bucket would hold if it reached to `threshold`, or to the end of the populated
    /// bucket that `threshold` falls into; and where it then ends.
    pub(super) fn zero_bucket_up_to<T: Count>(&self, threshold: f64) -> (T, f64) {
        let sides = [
            cells(&self.positive_spans, &self.positive_buckets),
            cells(&self.negative_spans, &self.negative_buckets),
        ];
        zero_bucket_up_to(self.schema, T::of(self.zero_count), sides, threshold)
    }
}

fn zero_bucket_up_to<T: Count, I: Iterator<Item = (i32, T)> + Clone>(
    schema: i32,
    zero_count: T,
    sides: [I; 2],
    mut threshold: f64,
) -> (T, f64) {
    'widened: loop {
        let mut total = zero_count;
        for side in &sides {
            for (index, count) in side.clone() {
                if exponential_bound(index.wrapping_sub(1), schema) >= threshold {
                    break;
                }
                total = total.plus(count);
                let upper = exponential_bound(index, schema);
                if upper > threshold && !count.is_zero() {
                    threshold = upper;
                    continue 'widened;
                }
            }
        }
        return (total, threshold);
    }
}

fn cells<'a, T: Count>(
    spans: &'a [Span],
    counts: &'a [f64],
) -> impl Iterator<Item = (i32, T)> + Clone + use<'a, T> {
    Cells::new(spans, counts).map(|(index, count)| (index, T::of(count)))
}

/// Do the buckets start where the zero bucket ends, or beyond? Custom buckets have none to overlap.
pub(super) fn starts_outside(spans: &[Span], schema: i32, zero_threshold: f64) -> bool {
    schema == CUSTOM_BUCKETS_SCHEMA
        || spans.first().is_none_or(|span| exponential_bound(span.offset, schema) > zero_threshold)
}

/// The bounds that occur in both ascending lists.
pub(super) fn common_bounds(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut rest = b.iter().peekable();
    a.iter()
        .copied()
        .filter(|bound| {
            while rest.next_if(|other| *other < bound).is_some() {}
            rest.next_if(|other| *other == bound).is_some()
        })
        .collect()
}

/// Adds each bucket to the one of `common` (or the last, +Inf) that contains it.
pub(super) fn roll_up<T: Count>(
    cells: impl Iterator<Item = (i32, T)>,
    bounds: &[f64],
    common: &[f64],
    counts: &mut [T],
) {
    let mut target = 0;
    for (index, count) in cells {
        let upper = bound(index, CUSTOM_BUCKETS_SCHEMA, bounds);
        while common.get(target).is_some_and(|bound| *bound < upper) {
            target += 1;
        }
        if let Some(total) = counts.get_mut(target) {
            *total = total.plus(count);
        }
    }
}
