//! Families of metrics in Prometheus' protobuf exposition format, each with its length before it.
//!
//! Source: `io.prometheus.client.MetricFamily`,
//! <https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto>.

use metricstor_model::{FloatHistogram, Span};

use crate::protobuf::{
    push_bytes, push_double, push_integer, push_message, push_varint, to_zigzag,
};

/// What the metrics of a family are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Untyped = 3,
    Histogram = 4,
    GaugeHistogram = 5,
}

/// A family's metrics, appended one by one.
pub struct Family(Vec<u8>);

impl Family {
    pub fn new(name: &str, kind: Kind) -> Self {
        let mut bytes = Vec::new();
        push_bytes(&mut bytes, 1, name.as_bytes());
        push_integer(&mut bytes, 3, kind as u64);
        Self(bytes)
    }

    /// A number; the timestamp in milliseconds since the Unix epoch.
    pub fn push_number<'a>(
        &mut self,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        timestamp: i64,
        value: f64,
    ) {
        self.push(labels, timestamp, |out| {
            push_message(out, 5, |out| push_double(out, 1, value));
        });
    }

    /// A histogram: a native one, or, if its buckets are custom ones, a classic one.
    pub fn push_histogram<'a>(
        &mut self,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        timestamp: i64,
        histogram: &FloatHistogram,
    ) {
        self.push(labels, timestamp, |out| {
            push_message(out, 7, |out| {
                push_double(out, 2, histogram.sum);
                push_double(out, 4, histogram.count);
                if histogram.uses_custom_buckets() {
                    push_classic_buckets(out, histogram);
                } else {
                    push_native_buckets(out, histogram);
                }
            });
        });
    }

    fn push<'a>(
        &mut self,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        timestamp: i64,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        push_message(&mut self.0, 4, |out| {
            for (name, value) in labels {
                push_message(out, 1, |out| {
                    push_bytes(out, 1, name.as_bytes());
                    push_bytes(out, 2, value.as_bytes());
                });
            }
            write(out);
            push_integer(out, 6, timestamp as u64);
        });
    }

    /// Appends the family to a stream.
    pub fn finish(self, stream: &mut Vec<u8>) {
        push_varint(stream, self.0.len() as u64);
        stream.extend_from_slice(&self.0);
    }
}

/// The bucket up to infinity is understood.
fn push_classic_buckets(out: &mut Vec<u8>, histogram: &FloatHistogram) {
    for (bound, count) in histogram.classic_buckets() {
        push_message(out, 3, |out| {
            push_double(out, 2, bound);
            push_double(out, 4, count);
        });
    }
}

fn push_native_buckets(out: &mut Vec<u8>, histogram: &FloatHistogram) {
    push_integer(out, 5, to_zigzag(i64::from(histogram.schema)));
    push_double(out, 6, histogram.zero_threshold);
    push_double(out, 8, histogram.zero_count);
    push_side(out, 9, &histogram.negative_spans, &histogram.negative_buckets);
    push_side(out, 12, &histogram.positive_spans, &histogram.positive_buckets);
}

/// Spans, and two numbers later absolute counts.
fn push_side(out: &mut Vec<u8>, number: u32, spans: &[Span], counts: &[f64]) {
    for span in spans {
        push_message(out, number, |out| {
            push_integer(out, 1, to_zigzag(i64::from(span.offset)));
            push_integer(out, 2, u64::from(span.length));
        });
    }
    counts.iter().for_each(|count| push_double(out, number + 2, *count));
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[derive(Clone, PartialEq, Message)]
    struct MetricFamily {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(int32, tag = "3")]
        kind: i32,
        #[prost(message, repeated, tag = "4")]
        metrics: Vec<Metric>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Metric {
        #[prost(message, repeated, tag = "1")]
        labels: Vec<Label>,
        #[prost(message, optional, tag = "5")]
        untyped: Option<Untyped>,
        #[prost(int64, tag = "6")]
        timestamp: i64,
        #[prost(message, optional, tag = "7")]
        histogram: Option<Histogram>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Label {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(string, tag = "2")]
        value: String,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Untyped {
        #[prost(double, tag = "1")]
        value: f64,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Histogram {
        #[prost(double, tag = "2")]
        sum: f64,
        #[prost(message, repeated, tag = "3")]
        buckets: Vec<Bucket>,
        #[prost(double, tag = "4")]
        count: f64,
        #[prost(sint32, tag = "5")]
        schema: i32,
        #[prost(message, repeated, tag = "12")]
        positive_spans: Vec<BucketSpan>,
        #[prost(double, repeated, packed = "false", tag = "14")]
        positive_counts: Vec<f64>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Bucket {
        #[prost(double, tag = "2")]
        bound: f64,
        #[prost(double, tag = "4")]
        count: f64,
    }

    #[derive(Clone, PartialEq, Message)]
    struct BucketSpan {
        #[prost(sint32, tag = "1")]
        offset: i32,
        #[prost(uint32, tag = "2")]
        length: u32,
    }

    #[test]
    fn prost_reads_what_is_written() {
        let native = FloatHistogram {
            schema: -2,
            count: 5.0,
            sum: 1.5,
            positive_spans: vec![Span { offset: -3, length: 2 }],
            positive_buckets: vec![2.0, 3.0],
            ..Default::default()
        };
        let custom = FloatHistogram {
            schema: -53,
            positive_spans: vec![Span { offset: 1, length: 2 }],
            custom_values: vec![0.5, 2.0],
            ..native.clone()
        };
        let mut stream = Vec::new();
        let mut family = Family::new("took", Kind::Histogram);
        let labels = || [("job", "a")].into_iter();
        family.push_histogram(labels(), -7, &native);
        family.push_histogram(labels(), 8, &custom);
        family.push_number(labels(), 9, f64::INFINITY);
        family.finish(&mut stream);
        let read = MetricFamily::decode_length_delimited(&stream[..]).unwrap();
        assert_eq!((read.name.as_str(), read.kind, read.metrics.len()), ("took", 4, 3));
        let label = Label { name: "job".into(), value: "a".into() };
        assert_eq!((&read.metrics[0].labels[..], read.metrics[0].timestamp), (&[label][..], -7));
        let first = read.metrics[0].histogram.clone().unwrap();
        assert_eq!((first.schema, first.sum, first.count), (-2, 1.5, 5.0));
        assert_eq!(first.positive_spans, [BucketSpan { offset: -3, length: 2 }]);
        assert_eq!(first.positive_counts, [2.0, 3.0]);
        let second = read.metrics[1].histogram.clone().unwrap();
        let buckets: Vec<_> = second.buckets.iter().map(|b| (b.bound, b.count)).collect();
        assert_eq!(buckets, [(0.5, 0.0), (2.0, 2.0)]);
        assert_eq!(read.metrics[2].untyped.as_ref().unwrap().value, f64::INFINITY);
    }
}
