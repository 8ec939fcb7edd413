//! A native histogram as Prometheus' JSON: counts as text, empty buckets left out.

use metricstor_model::FloatHistogram;

use crate::json::push_value;

pub fn push_histogram(out: &mut Vec<u8>, histogram: &FloatHistogram) {
    out.extend_from_slice(br#"{"count":"#);
    push_value(out, histogram.count);
    out.extend_from_slice(br#","sum":"#);
    push_value(out, histogram.sum);
    let mut head: &[u8] = br#","buckets":["#;
    for bucket in histogram.buckets().filter(|bucket| bucket.count != 0.0) {
        out.extend_from_slice(head);
        out.extend_from_slice(&[b'[', b'0' + bucket.boundaries()]);
        for value in [bucket.lower, bucket.upper, bucket.count] {
            out.push(b',');
            push_value(out, value);
        }
        out.push(b']');
        head = b",";
    }
    out.extend_from_slice(if head == b"," { b"]}" } else { b"}" });
}
