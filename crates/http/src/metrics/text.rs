//! The Prometheus text exposition format, version 0.0.4.

use super::page::{Family, Metric, Page, Value};
use crate::json::push_number;

pub fn text(page: &Page) -> Vec<u8> {
    let mut out = Vec::new();
    page.families().for_each(|family| push_family(&mut out, family));
    out
}

fn push_family(out: &mut Vec<u8>, family: &Family) {
    push(out, &["# HELP ", &family.name, " "]);
    escape(out, &family.help, false);
    push(out, &["\n# TYPE ", &family.name, " ", family.kind, "\n"]);
    for metric in &family.metrics {
        push_metric(out, &family.name, metric);
    }
}

fn push_metric(out: &mut Vec<u8>, name: &str, metric: &Metric) {
    match &metric.value {
        Value::Number(value) => push_line(out, name, "", metric, None, *value),
        Value::Distribution { buckets, count, sum } => {
            let all = buckets.iter().copied().chain([(f64::INFINITY, *count)]);
            for (bound, below) in all {
                push_line(out, name, "_bucket", metric, Some(bound), below as f64);
            }
            push_line(out, name, "_sum", metric, None, *sum);
            push_line(out, name, "_count", metric, None, *count as f64);
        }
    }
}

fn push_line(
    out: &mut Vec<u8>,
    name: &str,
    suffix: &str,
    metric: &Metric,
    bound: Option<f64>,
    value: f64,
) {
    push(out, &[name, suffix]);
    push_labels(out, metric, bound);
    push(out, &[" "]);
    push_number(out, value);
    push(out, &["\n"]);
}

fn push_labels(out: &mut Vec<u8>, metric: &Metric, bound: Option<f64>) {
    if metric.labels.is_empty() && bound.is_none() {
        return;
    }
    let mut separator = "{";
    for (name, value) in &metric.labels {
        push(out, &[separator, name, "=\""]);
        escape(out, value, true);
        push(out, &["\""]);
        separator = ",";
    }
    if let Some(bound) = bound {
        push(out, &[separator, "le=\""]);
        push_number(out, bound);
        push(out, &["\""]);
    }
    push(out, &["}"]);
}

fn push(out: &mut Vec<u8>, parts: &[&str]) {
    parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
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
