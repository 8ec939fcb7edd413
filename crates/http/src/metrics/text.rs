//! The Prometheus text exposition format, version 0.0.4.

use super::cells::{Histogram, LATENCY_SECONDS};
use crate::json::push_number;

/// A page of metrics in the making.
#[derive(Default)]
pub struct Page {
    out: Vec<u8>,
}

impl Page {
    pub fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.head(name, help, "gauge");
        self.sample(name, &[], &[], value);
    }

    pub fn counter(&mut self, name: &str, help: &str, value: f64) {
        self.head(name, help, "counter");
        self.sample(name, &[], &[], value);
    }

    /// The two comment lines before a family's samples.
    pub fn head(&mut self, name: &str, help: &str, kind: &str) {
        for part in ["# HELP ", name, " "] {
            self.text(part);
        }
        escape(&mut self.out, help, false);
        for part in ["\n# TYPE ", name, " ", kind, "\n"] {
            self.text(part);
        }
    }

    pub fn sample(&mut self, name: &str, names: &[&str], values: &[String], value: f64) {
        self.text(name);
        self.labels(names, values, None);
        self.value(value);
    }

    /// A histogram from cumulative (upper bound, count) pairs without +Inf, after its head.
    pub fn buckets(
        &mut self,
        name: &str,
        (names, values): (&[&str], &[String]),
        buckets: impl Iterator<Item = (f64, u64)>,
        count: u64,
        sum: f64,
    ) {
        for (bound, below) in buckets.chain([(f64::INFINITY, count)]) {
            self.text(name);
            self.text("_bucket");
            self.labels(names, values, Some(bound));
            self.value(below as f64);
        }
        for (suffix, value) in [("_sum", sum), ("_count", count as f64)] {
            self.text(name);
            self.text(suffix);
            self.labels(names, values, None);
            self.value(value);
        }
    }

    pub(super) fn histogram(
        &mut self,
        name: &str,
        names: &[&str],
        values: &[String],
        histogram: &Histogram,
    ) {
        let (counts, sum) = histogram.read();
        let mut total = 0;
        for (i, count) in counts.iter().enumerate() {
            total += count;
            self.text(name);
            self.text("_bucket");
            let bound = LATENCY_SECONDS.get(i).copied().unwrap_or(f64::INFINITY);
            self.labels(names, values, Some(bound));
            self.value(total as f64);
        }
        for (suffix, value) in [("_sum", sum), ("_count", total as f64)] {
            self.text(name);
            self.text(suffix);
            self.labels(names, values, None);
            self.value(value);
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.out
    }

    fn labels(&mut self, names: &[&str], values: &[String], bound: Option<f64>) {
        if names.is_empty() && bound.is_none() {
            return;
        }
        self.text("{");
        for (i, (name, value)) in names.iter().zip(values).enumerate() {
            self.text(if i == 0 { "" } else { "," });
            self.text(name);
            self.text("=\"");
            escape(&mut self.out, value, true);
            self.text("\"");
        }
        if let Some(bound) = bound {
            self.text(if names.is_empty() { "le=\"" } else { ",le=\"" });
            push_number(&mut self.out, bound);
            self.text("\"");
        }
        self.text("}");
    }

    fn value(&mut self, value: f64) {
        self.text(" ");
        push_number(&mut self.out, value);
        self.text("\n");
    }

    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }
}

/// Backslash and newline, and the quote inside label values.
pub(crate) fn escape(out: &mut Vec<u8>, text: &str, quoted: bool) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'"' if quoted => out.extend_from_slice(b"\\\""),
            _ => out.push(byte),
        }
    }
}
