//! Native histograms of remote write: integer histograms carry bucket deltas, float histograms carry
//! counts; both become absolute float counts here.

use metricstor_model::{CounterResetHint, FloatHistogram, HistogramSample, Span};

use super::Held;
use crate::DecodeError;
use crate::protobuf::{Fields, Value, packed_doubles, packed_zigzag, zigzag};

/// Spans and buckets of one sign.
#[derive(Default)]
struct Side {
    spans: Vec<Span>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

pub(super) fn decode(
    bytes: &[u8],
    base: usize,
    held: &mut Held<'_>,
) -> Result<HistogramSample, DecodeError> {
    let mut histogram = FloatHistogram::default();
    let (mut positive, mut negative) = (Side::default(), Side::default());
    let (mut timestamp, mut start_timestamp, mut is_integer) = (0, 0, true);
    let buckets_max = held.limits.histogram_buckets_max;
    let mut fields = Fields::new(bytes, base);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (1, Value::Varint(n)) => histogram.count = n as f64,
            (2, Value::Fixed64(bits)) => {
                histogram.count = f64::from_bits(bits);
                is_integer = false;
            }
            (3, Value::Fixed64(bits)) => histogram.sum = f64::from_bits(bits),
            (4, Value::Varint(n)) => histogram.schema = zigzag(n) as i32,
            (5, Value::Fixed64(bits)) => histogram.zero_threshold = f64::from_bits(bits),
            (6, Value::Varint(n)) => histogram.zero_count = n as f64,
            (7, Value::Fixed64(bits)) => histogram.zero_count = f64::from_bits(bits),
            (8, Value::Bytes(bytes, base)) => negative.spans.push(span(bytes, base)?),
            (9 | 10, value) => negative.buckets(number == 9, value, &fields)?,
            (11, Value::Bytes(bytes, base)) => positive.spans.push(span(bytes, base)?),
            (12 | 13, value) => positive.buckets(number == 12, value, &fields)?,
            (14, Value::Varint(n)) => histogram.counter_reset_hint = reset_hint(n),
            (15, Value::Varint(n)) => timestamp = n as i64,
            (16, Value::Bytes(bytes, _)) => packed_doubles(bytes, &mut histogram.custom_values)
                .ok_or_else(|| fields.error("packed doubles of odd length"))?,
            (16, Value::Fixed64(bits)) => histogram.custom_values.push(f64::from_bits(bits)),
            (17, Value::Varint(n)) => start_timestamp = n as i64,
            (1..=16, _) => return Err(fields.error("wrong wire type")),
            _ => {}
        }
        let buckets = positive.len() + negative.len() + histogram.custom_values.len();
        if buckets > buckets_max {
            let what = "buckets of one native histogram";
            return Err(DecodeError::TooLarge { what, size: buckets, limit: buckets_max });
        }
    }
    (histogram.positive_spans, histogram.positive_buckets) = positive.absolute();
    (histogram.negative_spans, histogram.negative_buckets) = negative.absolute();
    let sample = HistogramSample { timestamp, start_timestamp, histogram, is_integer };
    held.histogram(&sample)?;
    Ok(sample)
}

impl Side {
    fn len(&self) -> usize {
        self.spans.len() + self.deltas.len() + self.counts.len()
    }

    /// One field of deltas (zigzag) or counts (double), packed or single.
    fn buckets(
        &mut self,
        deltas: bool,
        value: Value<'_>,
        fields: &Fields<'_>,
    ) -> Result<(), DecodeError> {
        match value {
            Value::Bytes(bytes, base) if deltas => packed_zigzag(bytes, base, &mut self.deltas),
            Value::Varint(n) if deltas => {
                self.deltas.push(zigzag(n));
                Ok(())
            }
            Value::Bytes(bytes, _) => packed_doubles(bytes, &mut self.counts)
                .ok_or_else(|| fields.error("packed doubles of odd length")),
            Value::Fixed64(bits) if !deltas => {
                self.counts.push(f64::from_bits(bits));
                Ok(())
            }
            _ => Err(fields.error("wrong wire type")),
        }
    }

    fn absolute(self) -> (Vec<Span>, Vec<f64>) {
        if !self.counts.is_empty() {
            return (self.spans, self.counts);
        }
        let mut count = 0i64;
        let buckets = self.deltas.iter().map(|delta| {
            count = count.wrapping_add(*delta);
            count as f64
        });
        let buckets = buckets.collect();
        (self.spans, buckets)
    }
}

fn span(bytes: &[u8], base: usize) -> Result<Span, DecodeError> {
    let mut span = Span::default();
    let mut fields = Fields::new(bytes, base);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (1, Value::Varint(n)) => span.offset = zigzag(n) as i32,
            (2, Value::Varint(n)) => span.length = n as u32,
            (1 | 2, _) => return Err(fields.error("wrong wire type")),
            _ => {}
        }
    }
    Ok(span)
}

fn reset_hint(n: u64) -> CounterResetHint {
    match n {
        1 => CounterResetHint::Reset,
        2 => CounterResetHint::NotReset,
        3 => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    }
}
