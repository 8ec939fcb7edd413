//! The last samples as text. Native histograms with exponential buckets have no form there; those with
//! custom buckets become classic ones.

use metricstor_model::{FloatHistogram, Labels};
use metricstor_wire::exposition::Kind;

use super::names::{is_plain, underscored};
use super::{Last, LastSamples, Value, labels_of};
use crate::error::ApiError;
use crate::json::push_number;
use crate::metrics::escape;
use crate::reply::Sink;

pub fn write(sink: &mut Sink, last: &LastSamples, utf8: bool) -> Result<(), ApiError> {
    let mut previous = None;
    for ((metric, kind, labels), Last { timestamp, value }) in last {
        let out = sink.out();
        match value {
            Value::Histogram(histogram) if !histogram.uses_custom_buckets() => continue,
            _ if previous == Some((metric, kind)) => {}
            _ => push_type(out, metric, *kind, utf8),
        }
        previous = Some((metric, kind));
        let mut lines = Lines { out, labels, utf8, timestamp: *timestamp };
        match value {
            Value::Float(value) => lines.push(metric, None, *value),
            Value::Histogram(histogram) => lines.push_histogram(metric, histogram),
        }
        sink.checkpoint()?;
    }
    Ok(())
}

fn push_type(out: &mut Vec<u8>, metric: &str, kind: Kind, utf8: bool) {
    out.extend_from_slice(b"# TYPE ");
    push_name(out, metric, utf8, true);
    let kind: &[u8] = if kind == Kind::Untyped { b" untyped\n" } else { b" histogram\n" };
    out.extend_from_slice(kind);
}

/// The lines of one series.
struct Lines<'a> {
    out: &'a mut Vec<u8>,
    labels: &'a Labels,
    utf8: bool,
    timestamp: i64,
}

impl Lines<'_> {
    fn push(&mut self, metric: &str, bound: Option<f64>, value: f64) {
        push_series(self.out, metric, self.labels, bound, self.utf8);
        self.out.push(b' ');
        push_number(self.out, value);
        self.out.extend_from_slice(format!(" {}\n", self.timestamp).as_bytes());
    }

    fn push_histogram(&mut self, metric: &str, histogram: &FloatHistogram) {
        let bucket = format!("{metric}_bucket");
        let all = (f64::INFINITY, histogram.count);
        for (bound, count) in histogram.classic_buckets().chain([all]) {
            self.push(&bucket, Some(bound), count);
        }
        self.push(&format!("{metric}_sum"), None, histogram.sum);
        self.push(&format!("{metric}_count"), None, histogram.count);
    }
}

/// `name{a="b"}`, or `{"na.me",a="b"}` for a name that needs quotes; last the bound of a bucket.
fn push_series(out: &mut Vec<u8>, metric: &str, labels: &Labels, bound: Option<f64>, utf8: bool) {
    let quoted = utf8 && !is_plain(metric, true);
    if !quoted {
        push_name(out, metric, utf8, true);
    }
    out.push(b'{');
    let mut separator: &[u8] = b"";
    if quoted {
        push_name(out, metric, utf8, true);
        separator = b",";
    }
    for (name, value) in labels_of(labels) {
        out.extend_from_slice(separator);
        push_name(out, name, utf8, false);
        out.extend_from_slice(b"=\"");
        escape(out, value, true);
        out.push(b'"');
        separator = b",";
    }
    if let Some(bound) = bound {
        out.extend_from_slice(separator);
        out.extend_from_slice(b"le=\"");
        push_number(out, bound);
        out.push(b'"');
    }
    out.push(b'}');
}

/// A name that needs quotes gets them, or underscores when the client does not know quotes.
fn push_name(out: &mut Vec<u8>, name: &str, utf8: bool, is_metric: bool) {
    if utf8 && !is_plain(name, is_metric) {
        out.push(b'"');
        escape(out, name, true);
        out.push(b'"');
    } else {
        out.extend_from_slice(underscored(name, is_metric).as_bytes());
    }
}
