//! What later versions of Prometheus do differently than version 3.5: we follow the later ones.

use crate::answer::{Outcome, chosen, is_inconsistent};
use crate::grammar::Question;

/// Operations whose last digit depends on the mathematical library.
const ROUNDED: [&str; 12] = [
    "atan",
    "^",
    "exp(",
    "sin",
    "cos",
    "ln(",
    "log",
    "sqrt(",
    "std",
    "deg(",
    "rad(",
    "histogram_quantile",
];

/// Why the two answers may differ; `None` if they must not.
pub fn reason(
    question: &Question,
    reference: &Outcome,
    own: &Outcome,
    difference: &str,
) -> Option<&'static str> {
    let text = question.text.as_str();
    let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    let noted = difference.starts_with("warnings") || difference.starts_with("infos");
    if noted {
        return note(question, difference);
    }
    if text.matches("topk").count() + text.matches("bottomk").count() > 1 {
        return Some("of equal values any is chosen: the order of series is the store's");
    }
    if has(&["limitk"]) {
        return Some("limitk takes the first series, and their order is the store's");
    }
    if reference.refusal().is_some_and(|theirs| theirs.contains("<Item ")) {
        return own.refusal().map(|_| "3.6: errors name tokens");
    }
    if let Some(error) = own.refusal() {
        let strict = error.contains("must be explicit") || error.contains("ensure unique");
        return strict.then_some("3.9: filters check for many-to-one matching as arithmetic does");
    }
    if let (Some(error), None) = (reference.refusal(), own.refusal()) {
        if error.contains("runtime error") || error.contains("have no zero bucket") {
            return Some("3.5 fails with an error of its runtime");
        }
        let same_labels = error.contains("same labelset") && has(&["label_", "-("]);
        return same_labels.then_some("3.9: relabelled series that never meet are united");
    }
    if is_inconsistent(reference) && !is_inconsistent(own) {
        return Some("3.5 loses buckets when it adds up histograms of several layouts");
    }
    let native = has(&["nh_total", "nc_total", "ng", "mix", "__name__"]);
    if native && has(&["rate(", "increase(", "delta("]) {
        return Some("3.8: a histogram's extrapolation ends where its count would be zero");
    }
    if has(&["histogram_fraction"]) {
        return Some("3.8: histogram_fraction interpolates in the first bucket");
    }
    if has(&["mad_over_time"]) {
        return Some("3.14: mad_over_time of NaN is NaN");
    }
    let outermost = ["topk", "bottomk"].iter().any(|op| text.starts_with(op));
    if outermost && chosen(reference) == chosen(own) || !outermost && has(&["topk", "bottomk"]) {
        return Some("of equal values any is chosen: the order of series is the store's");
    }
    if has(&ROUNDED) && (has(&["count_values", "%", "round(", "floor(", "ceil("])) {
        return Some("the last digit of a transcendental function, made visible");
    }
    if has(&["exp(", "^"]) && has(&["sin(", "cos(", "tan("]) {
        return Some("an angle whose last digit is more than a turn");
    }
    if native && has(&["count_values"]) {
        return Some("3.9: histograms are added up with compensation");
    }
    if native && question.is_range() && has(&["resets", "changes"]) {
        return Some("3.5 reuses histograms of one step for the next");
    }
    if text.matches('@').count() > 1 && text.contains(")[") {
        return Some("Prometheus misplaces @ in a subquery that begins at the query's own time");
    }
    if has(&["stddev", "stdvar"]) && has(&["ts_of", "moment", "time", "1e10"]) {
        return Some("variances of large numbers depend on the order of series");
    }
    None
}

fn note(question: &Question, difference: &str) -> Option<&'static str> {
    for (text, reason) in [
        ("sort is ineffective", "3.12: sort_* in range queries is warned of"),
        ("conflicting counter", "3.7: conflicting counter resets are warned of"),
        ("for metric name", "3.6: annotations of histogram_quantile leave out empty names"),
        ("monotonicity", "3.10: forced monotonicity is told with its buckets"),
        ("omitted", "which ten of many annotations are shown"),
        (
            "incompatible sample types",
            "the last of several is told: the order of series is the store's",
        ),
    ] {
        if difference.contains(text) {
            return Some(reason);
        }
    }
    if question.text.contains('^') && difference.contains("quantile value should be") {
        return Some("the last digit of a transcendental function, made visible");
    }
    if question.text.contains("-(") && difference.contains("not a counter") {
        return Some("3.6: negative histograms are gauges");
    }
    let subqueries = question.text.matches(")[").count();
    let beyond = subqueries > 1 || question.is_range() && subqueries > 0;
    beyond.then_some("3.13: subqueries end with the query's last step")
}
