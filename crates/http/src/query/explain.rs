//! How an answer was worked out, as JSON: an operation, what it took, its operands.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use metricstor_promql::Explanation;

use crate::json::{push_html_string, push_number};

/// Time since the first call; for the engine, which knows no clock.
pub fn stopwatch() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

/// Recursion is bounded: the parser refuses deep expressions.
pub fn push_explanation(out: &mut Vec<u8>, explanation: &Explanation) {
    out.extend_from_slice(br#"{"operation":"#);
    push_html_string(out, &explanation.operation);
    out.extend_from_slice(br#","expression":"#);
    push_html_string(out, &explanation.expression);
    let Explanation { series, samples, bytes, once, streamed, .. } = explanation;
    let counts = format!(
        r#","series":{series},"samples":{samples},"bytes":{bytes},"once":{once},"streamed":{streamed}"#
    );
    out.extend_from_slice(counts.as_bytes());
    out.extend_from_slice(br#","seconds":"#);
    push_number(out, explanation.time.as_secs_f64());
    out.extend_from_slice(br#","operands":["#);
    for (i, operand) in explanation.operands.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        push_explanation(out, operand);
    }
    out.extend_from_slice(b"]}");
}
