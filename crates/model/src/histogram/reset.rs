//! Did a counter histogram start again?

use super::body::{common_bounds, roll_up, starts_outside};
use super::bounds::exponential_bound;
use super::side::{Cells, Coarser};
use super::{CounterResetHint, FloatHistogram, Span};

impl FloatHistogram {
    /// Was the counter reset between `previous` and this one?
    ///
    /// An explicit hint decides. Otherwise a reset is whatever cannot happen by counting on: fewer
    /// observations in any bucket, a finer resolution, a narrower zero bucket.
    pub fn detect_reset(&self, previous: &Self) -> bool {
        match self.counter_reset_hint {
            CounterResetHint::Reset => true,
            CounterResetHint::NotReset => false,
            // Gauges are treated as counters by functions meant for counters.
            CounterResetHint::Unknown | CounterResetHint::Gauge => self.counted_back(previous),
        }
    }

    /// Was the counter reset, whatever the hint says?
    fn counted_back(&self, previous: &Self) -> bool {
        if self.count < previous.count {
            return true;
        }
        if self.uses_custom_buckets() {
            if !previous.uses_custom_buckets() {
                return true;
            }
            if self.custom_values != previous.custom_values {
                return self.lost_in_common_bounds(previous);
            }
        }
        if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        let (zero_count, threshold) = if self.zero_threshold == previous.zero_threshold {
            (previous.zero_count, previous.zero_threshold)
        } else {
            previous.zero_bucket_up_to::<f64>(self.zero_threshold)
        };
        threshold != self.zero_threshold
            || self.zero_count < zero_count
            || self.lost(previous, |h| (&h.positive_spans, &h.positive_buckets))
            || self.lost(previous, |h| (&h.negative_spans, &h.negative_buckets))
    }

    /// Has a bucket outside the zero bucket fewer observations than before?
    fn lost<'a>(
        &'a self,
        previous: &'a Self,
        side: impl Fn(&'a Self) -> (&'a Vec<Span>, &'a Vec<f64>),
    ) -> bool {
        let (spans, counts) = side(self);
        let (spans_before, counts_before) = side(previous);
        if self.schema == previous.schema
            && spans == spans_before
            && starts_outside(spans, self.schema, self.zero_threshold)
        {
            return counts.iter().zip(counts_before).any(|(now, before)| now < before);
        }
        let cells = |h: &'a Self| {
            let (spans, counts) = side(h);
            let cells = Cells::new(spans, counts).peekable();
            let coarser = Coarser { cells, from: h.schema, to: self.schema };
            coarser.skip_while(|(index, _)| {
                !self.uses_custom_buckets()
                    && self.zero_threshold > 0.0
                    && exponential_bound(*index, self.schema) <= self.zero_threshold
            })
        };
        let mut now = cells(self).peekable();
        cells(previous).any(|(index, count)| {
            while now.next_if(|(i, _)| *i < index).is_some() {}
            match now.peek() {
                Some((i, current)) if *i == index => *current < count,
                _ => count != 0.0,
            }
        })
    }

    fn lost_in_common_bounds(&self, previous: &Self) -> bool {
        let common = common_bounds(&self.custom_values, &previous.custom_values);
        let rolled_up = |h: &Self| {
            let mut counts = vec![0.0; common.len() + 1];
            roll_up(h.positive_cells(), &h.custom_values, &common, &mut counts);
            counts
        };
        rolled_up(self).iter().zip(rolled_up(previous)).any(|(now, before)| *now < before)
    }

    /// The hint that a reader of stored samples gets for this one, given the sample stored before it.
    ///
    /// "Not reset" is only said of a histogram that plainly continues its predecessor; a series'
    /// first histogram, and one after a reset or a change of layout, is of unknown descent.
    pub fn stored_hint(&self, previous: Option<&Self>) -> CounterResetHint {
        use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
        let Some(previous) = previous else {
            return if self.counter_reset_hint == Gauge { Gauge } else { Unknown };
        };
        let continues = self.is_stale()
            || !previous.is_stale()
                && self.schema == previous.schema
                && self.zero_threshold == previous.zero_threshold
                && self.custom_values == previous.custom_values
                && !self.counted_back(previous);
        match (self.counter_reset_hint, previous.counter_reset_hint) {
            (Gauge, _) => Gauge,
            (Reset, _) | (_, Gauge) => Unknown,
            _ if continues => NotReset,
            _ => Unknown,
        }
    }
}
