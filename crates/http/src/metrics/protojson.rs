//! `io.prometheus.client.MetricFamily` in protobuf's JSON: 64-bit integers are strings, and so are the
//! numbers that JSON lacks.

use super::page::{Family, Metric, Page, Value};
use crate::json::{push_html_string, push_number};

/// A list of the families whose names are wanted.
pub fn push_families(out: &mut Vec<u8>, page: &Page, wanted: impl Fn(&str) -> bool) {
    let families = page.families().filter(|f| !f.metrics.is_empty() && wanted(&f.name));
    push_list(out, families, push_family);
}

fn push_family(out: &mut Vec<u8>, family: &Family) {
    push(out, r#"{"name":"#);
    push_html_string(out, &family.name);
    push(out, r#","help":"#);
    push_html_string(out, &family.help);
    push(out, &format!(r#","type":"{}","metric":"#, family.kind.to_uppercase()));
    push_list(out, &family.metrics, |out, metric| push_metric(out, family.kind, metric));
    push(out, "}");
}

fn push_metric(out: &mut Vec<u8>, kind: &str, metric: &Metric) {
    push(out, "{");
    if !metric.labels.is_empty() {
        push(out, r#""label":"#);
        push_list(out, &metric.labels, |out, (name, value)| {
            push(out, r#"{"name":"#);
            push_html_string(out, name);
            push(out, r#","value":"#);
            push_html_string(out, value);
            push(out, "}");
        });
        push(out, ",");
    }
    push(out, &format!(r#""{kind}":"#));
    push_value(out, &metric.value);
    push(out, "}");
}

fn push_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Number(number) => {
            push(out, r#"{"value":"#);
            push_double(out, *number);
        }
        Value::Distribution { buckets, count, sum } => {
            push(out, &format!(r#"{{"sampleCount":"{count}","sampleSum":"#));
            push_double(out, *sum);
            push(out, r#","bucket":"#);
            push_list(out, buckets, |out, (bound, below)| {
                push(out, &format!(r#"{{"cumulativeCount":"{below}","upperBound":"#));
                push_double(out, *bound);
                push(out, "}");
            });
        }
    }
    push(out, "}");
}

fn push_double(out: &mut Vec<u8>, number: f64) {
    match number {
        n if n.is_nan() => push(out, r#""NaN""#),
        f64::INFINITY => push(out, r#""Infinity""#),
        f64::NEG_INFINITY => push(out, r#""-Infinity""#),
        n => push_number(out, n),
    }
}

fn push_list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut push_item: impl FnMut(&mut Vec<u8>, T),
) {
    push(out, "[");
    for (i, item) in items.into_iter().enumerate() {
        push(out, if i == 0 { "" } else { "," });
        push_item(out, item);
    }
    push(out, "]");
}

fn push(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}
