//! What consecutive histograms of a series share: resolution and bucket layout.

use metricstor_model::{FloatHistogram, Span};

use crate::DecodeError;
use crate::varint::{Input, put_signed, put_varint};

/// Everything of a histogram but its numbers. Doubles are kept and compared as bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    pub schema: i32,
    pub zero_threshold: u64,
    pub positive_spans: Vec<Span>,
    pub negative_spans: Vec<Span>,
    pub custom_values: Vec<u64>,
    pub positive_buckets: usize,
    pub negative_buckets: usize,
}

impl Shape {
    pub fn of(histogram: &FloatHistogram) -> Self {
        Self {
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold.to_bits(),
            positive_spans: histogram.positive_spans.clone(),
            negative_spans: histogram.negative_spans.clone(),
            custom_values: histogram.custom_values.iter().map(|v| v.to_bits()).collect(),
            positive_buckets: histogram.positive_buckets.len(),
            negative_buckets: histogram.negative_buckets.len(),
        }
    }

    /// Is this the shape of `histogram`? As `Shape::of(histogram) == self`, without a copy.
    pub fn fits(&self, histogram: &FloatHistogram) -> bool {
        self.schema == histogram.schema
            && self.zero_threshold == histogram.zero_threshold.to_bits()
            && self.positive_buckets == histogram.positive_buckets.len()
            && self.negative_buckets == histogram.negative_buckets.len()
            && self.positive_spans == histogram.positive_spans
            && self.negative_spans == histogram.negative_spans
            && self
                .custom_values
                .iter()
                .copied()
                .eq(histogram.custom_values.iter().map(|v| v.to_bits()))
    }

    pub fn buckets(&self) -> usize {
        self.positive_buckets + self.negative_buckets
    }

    /// The bytes that one histogram of this shape takes in memory.
    pub fn histogram_size(&self) -> usize {
        let spans = self.positive_spans.len() + self.negative_spans.len();
        size_of::<FloatHistogram>() + 8 * (spans + self.custom_values.len() + self.buckets())
    }

    /// A histogram of this shape with room for its buckets, all numbers zero.
    pub fn histogram(&self) -> FloatHistogram {
        FloatHistogram {
            schema: self.schema,
            zero_threshold: f64::from_bits(self.zero_threshold),
            positive_spans: self.positive_spans.clone(),
            negative_spans: self.negative_spans.clone(),
            custom_values: self.custom_values.iter().map(|&v| f64::from_bits(v)).collect(),
            positive_buckets: Vec::with_capacity(self.positive_buckets),
            negative_buckets: Vec::with_capacity(self.negative_buckets),
            ..FloatHistogram::default()
        }
    }

    pub fn put(&self, out: &mut Vec<u8>) {
        put_signed(out, self.schema as i64);
        out.extend_from_slice(&self.zero_threshold.to_le_bytes());
        for spans in [&self.positive_spans, &self.negative_spans] {
            put_varint(out, spans.len() as u64);
            for span in spans {
                put_signed(out, span.offset as i64);
                put_varint(out, span.length as u64);
            }
        }
        put_varint(out, self.custom_values.len() as u64);
        self.custom_values.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes()));
        put_varint(out, self.positive_buckets as u64);
        put_varint(out, self.negative_buckets as u64);
    }

    /// Every count is bounded by the bytes that must follow it.
    pub fn read(input: &mut Input<'_>) -> Result<Self, DecodeError> {
        let invalid = || DecodeError::Invalid("histogram layout");
        let schema = i32::try_from(input.signed()?).map_err(|_| invalid())?;
        let zero_threshold = u64::from_le_bytes(input.array()?);
        let mut spans = [Vec::new(), Vec::new()];
        for spans in &mut spans {
            for _ in 0..input.count(input.rest().len() / 2, "number of spans")? {
                let offset = i32::try_from(input.signed()?).map_err(|_| invalid())?;
                let length = u32::try_from(input.varint()?).map_err(|_| invalid())?;
                spans.push(Span { offset, length });
            }
        }
        let [positive_spans, negative_spans] = spans;
        let customs = input.count(input.rest().len() / 8, "number of custom bounds")?;
        let custom_values = input.take(customs * 8)?.chunks_exact(8);
        let custom_values =
            custom_values.map(|v| u64::from_le_bytes(v.try_into().expect("eight bytes"))).collect();
        let positive_buckets = input.count(input.rest().len(), "number of buckets")?;
        let negative_buckets = input.count(input.rest().len(), "number of buckets")?;
        Ok(Self {
            schema,
            zero_threshold,
            positive_spans,
            negative_spans,
            custom_values,
            positive_buckets,
            negative_buckets,
        })
    }
}
