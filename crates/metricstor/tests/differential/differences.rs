//! What later versions of Prometheus do differently than version 3.5: we follow the later ones.

use crate::answer::{Outcome, by_time, compare, is_inconsistent};
use crate::grammar::Question;
use crate::parts;

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
    if question.is_range() && parts::has_moving_parameter(text) {
        return Some("Prometheus moves @ in an aggregation's parameter along with the steps");
    }
    if noted {
        return note(question, reference, own, difference);
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
        let same_labels = error.contains("same labelset");
        if same_labels && text.matches(")[").count() > 1 {
            return Some("3.13: subqueries end with the query's last step");
        }
        let relabels = has(&["label_", "-("]);
        return (same_labels && relabels)
            .then_some("3.9: relabelled series that never meet are united");
    }
    if is_inconsistent(reference) && !is_inconsistent(own) {
        return Some("3.5 loses buckets when it adds up histograms of several layouts");
    }
    if has(&ROUNDED) && (has(&["count_values", "%", "round(", "floor(", "ceil("])) {
        return Some("the last digit of a transcendental function, made visible");
    }
    if has(&["exp(", "^"]) && has(&["sin(", "cos(", "tan("]) {
        return Some("an angle whose last digit is more than a turn");
    }
    if is_about_histograms(text) && has(&["count_values"]) {
        return Some("3.9: histograms are added up with compensation");
    }
    if parts::has_misplaced_time(text, question.start_ms()) {
        return Some("Prometheus misplaces @ in a subquery that begins at the query's own time");
    }
    if has(&["stddev", "stdvar"]) && has(&["ts_of", "moment", "time", "1e10"]) {
        return Some("variances of large numbers depend on the order of series");
    }
    None
}

/// May the query read native histograms?
fn is_about_histograms(text: &str) -> bool {
    ["nh_total", "nc_total", "ng", "mix", "__name__"].iter().any(|name| text.contains(name))
}

/// Differences that vanish when Prometheus 3.5 is asked otherwise for the same.
pub fn reason_by_time(
    question: &Question,
    own: &Outcome,
    reference: impl Fn(&Question) -> Outcome,
) -> Option<&'static str> {
    let ends_alike = |other| compare(&reference(&other), own).is_ok();
    if question.text.contains(")[") && question.without_rest().is_some_and(ends_alike) {
        return Some("3.13: subqueries end with the query's last step");
    }
    if !question.is_range() || !is_about_histograms(&question.text) {
        return None;
    }
    let steps = by_time(own);
    let same = |(time, rows): (&String, &Vec<String>)| {
        let alone = by_time(&reference(&question.at(time)));
        alone.values().next() == Some(rows)
    };
    steps.iter().all(same).then_some("3.5 reuses histograms of one step for the next")
}

fn note(
    question: &Question,
    reference: &Outcome,
    own: &Outcome,
    difference: &str,
) -> Option<&'static str> {
    for (text, reason) in [
        ("sort is ineffective", "3.12: sort_* in range queries is warned of"),
        ("conflicting counter", "3.7: conflicting counter resets are warned of"),
        ("for metric name", "3.6: annotations of histogram_quantile leave out empty names"),
        ("monotonicity", "3.10: forced monotonicity is told with its buckets"),
        ("omitted", "which ten of many annotations are shown"),
    ] {
        if difference.contains(text) {
            return Some(reason);
        }
    }
    let tells = |outcome: &Outcome| outcome.tells("encountered for binary operator");
    if difference.contains("incompatible") && tells(reference) && tells(own) {
        return Some("the last of several is told: the order of series is the store's");
    }
    if question.text.contains('^') && difference.contains("quantile value should be") {
        return Some("the last digit of a transcendental function, made visible");
    }
    let wrong_kind = ["not a counter", "not a gauge"].iter().any(|text| difference.contains(text));
    if question.text.contains("-(") && wrong_kind {
        return Some("3.6: negative histograms are gauges");
    }
    let nested = question.text.matches(")[").count() > 1;
    nested.then_some("3.13: subqueries end with the query's last step")
}
