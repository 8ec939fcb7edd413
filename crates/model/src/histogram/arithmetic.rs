//! `+`, `-`, `*`, `/` on histograms, and making them smaller without changing what they say.

use super::body::Body;
use super::count::Count;
use super::{CounterResetHint, FloatHistogram, IncompatibleSchemas, Reconciled};

impl CounterResetHint {
    /// The hint of a sum, and whether the two contradict each other.
    pub(super) fn joined(self, other: Self) -> (Self, bool) {
        use CounterResetHint::{Gauge, Unknown};
        match (self, other) {
            (a, b) if a == b => (a, false),
            (Gauge, _) | (_, Gauge) => (Gauge, false),
            (Unknown, _) | (_, Unknown) => (Unknown, false),
            _ => (Unknown, true),
        }
    }
}

impl FloatHistogram {
    /// Adds `other`. On an error nothing has changed. The result may hold empty buckets.
    pub fn add(&mut self, other: &Self) -> Result<Reconciled, IncompatibleSchemas> {
        self.with_body(|body| body.add(other, false))
    }

    /// Subtracts `other`, with the same handling of counter reset hints as [`Self::add`]; the
    /// operator `-` has to make the result a gauge.
    pub fn sub(&mut self, other: &Self) -> Result<Reconciled, IncompatibleSchemas> {
        self.with_body(|body| body.add(other, true))
    }

    /// Multiplies every count and the sum; a negative factor makes a gauge of it.
    pub fn mul(&mut self, factor: f64) {
        self.with_body(|body| body.map(|x| x.scaled(factor)));
        self.gauge_if_negative(factor);
    }

    /// Divides every count and the sum; division by zero leaves no buckets.
    pub fn div(&mut self, divisor: f64) {
        self.with_body(|body| body.div(divisor));
        self.gauge_if_negative(divisor);
    }

    /// Drops empty buckets and needless spans.
    pub fn compact(&mut self) {
        self.with_body(|body| {
            body.positive.compact();
            body.negative.compact();
        });
    }

    /// Merges buckets down to the coarser exponential `schema`; does nothing if it is not coarser or
    /// if the buckets are custom ones.
    pub fn reduce_resolution(&mut self, schema: i32) {
        if schema >= self.schema
            || self.uses_custom_buckets()
            || !super::bounds::is_exponential(schema)
        {
            return;
        }
        self.with_body(|body| {
            body.positive = body.positive.coarser(body.schema, schema);
            body.negative = body.negative.coarser(body.schema, schema);
            body.schema = schema;
        });
    }

    fn gauge_if_negative(&mut self, factor: f64) {
        if factor < 0.0 {
            self.counter_reset_hint = CounterResetHint::Gauge;
        }
    }

    fn with_body<R>(&mut self, change: impl FnOnce(&mut Body<f64>) -> R) -> R {
        let mut body = Body::from(std::mem::take(self));
        let result = change(&mut body);
        *self = body.into();
        result
    }
}

impl<T: Count> Body<T> {
    /// Division by zero leaves no buckets.
    pub fn div(&mut self, divisor: f64) {
        if divisor == 0.0 {
            self.positive = Default::default();
            self.negative = Default::default();
        }
        self.map(|x| x.divided(divisor));
    }
}
