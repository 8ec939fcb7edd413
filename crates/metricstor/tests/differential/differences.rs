//! What later versions of Prometheus do differently than version 3.5: we follow the later ones.

use std::collections::{BTreeMap, BTreeSet};

use crate::answer::{Outcome, by_time, compare, is_inconsistent};
use crate::grammar::Question;
use crate::parts;

/// Operations whose last digit depends on the mathematical library, or on the order of additions.
const ROUNDED: [&str; 16] = [
    "avg_over_time",
    "sum_over_time",
    "deriv(",
    "predict_linear(",
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
        let collides = same_labels || error.contains("found duplicate series");
        if collides && text.matches(")[").count() > 1 {
            return Some("3.13: subqueries end with the query's last step");
        }
        let relabels = has(&["label_", "-("]);
        return (same_labels && relabels)
            .then_some("3.9: relabelled series that never meet are united");
    }
    if is_inconsistent(reference) && !is_inconsistent(own) {
        return Some("3.5 loses buckets when it adds up histograms of several layouts");
    }
    let is_rounded = has(&ROUNDED) || has(&["avg by", "avg without", "avg ("]);
    if is_rounded && has(&["count_values", "%", "round(", "floor(", "ceil("]) {
        return Some("the last digit of a function or of a long sum, made visible");
    }
    if has(&["exp(", "sinh(", "cosh(", "^", "1e10", "stdvar"]) && has(&["sin(", "cos(", "tan("]) {
        return Some("an angle whose last digit is more than a turn");
    }
    if is_about_histograms(text) && has(&["count_values"]) {
        return Some("3.9: histograms are added up with compensation");
    }
    if parts::has_misplaced_time(text, question.start_ms(), question.end_ms()) {
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
    theirs: &Outcome,
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
    let (steps, before) = (by_time(own), by_time(theirs));
    let same = |(time, rows): (&String, &Vec<String>)| {
        let is_alone = || by_time(&reference(&question.at(time))).into_values().next();
        before.get(time) == Some(rows) || is_alone().as_ref() == Some(rows)
    };
    steps.iter().all(same).then_some(REUSED)
}

const REUSED: &str = "3.5 reuses histograms of one step for the next";

/// The reason why histograms differ, if the first step that does is answered as `alone`, by a
/// Prometheus that was not asked for anything else, is.
pub fn reason_by_step(
    question: &Question,
    theirs: &Outcome,
    own: &Outcome,
    alone: impl FnOnce(&Question) -> Outcome,
) -> Option<&'static str> {
    if !question.is_range() || !is_about_histograms(&question.text) {
        return None;
    }
    let before = by_time(theirs);
    let steps = by_time(own);
    let (time, rows) = steps.iter().find(|(time, rows)| before.get(*time) != Some(*rows))?;
    let alone = by_time(&alone(&question.at(time))).into_values().next();
    (alone.as_ref() == Some(rows)).then_some(REUSED)
}

/// What later versions tell besides, or in other words: the earlier texts become the later ones, and
/// nothing else is different.
fn note_of_later_version(
    reference: &Outcome,
    own: &Outcome,
    difference: &str,
) -> Option<&'static str> {
    const NEW: [(&str, &str); 2] = [
        ("sort is ineffective", "3.12: sort_* in range queries is warned of"),
        ("conflicting counter", "3.7: conflicting counter resets are warned of"),
    ];
    let is_new = |text: &String| NEW.iter().any(|(new, _)| text.contains(new));
    let theirs = by_text(reference.notes().into_iter().map(reworded));
    let own = by_text(own.notes().into_iter().filter(|text| !is_new(text)).map(without_buckets));
    let is_told = |(text, places): (&String, &BTreeSet<String>)| {
        let Some(own) = own.get(text) else { return false };
        // Texts that have become the same are told once, at the place of one of them.
        own == places || is_of_histogram(text) && own.is_subset(places)
    };
    if theirs.len() != own.len() || !theirs.iter().all(is_told) {
        return None;
    }
    let new = NEW.iter().find(|(text, _)| difference.contains(text)).map(|(_, reason)| *reason);
    let buckets = "3.10: forced monotonicity is told with its buckets";
    let buckets = difference.contains("monotonicity").then_some(buckets);
    new.or(buckets).or(Some("3.6: annotations leave out names that are removed"))
}

/// Without the name of a metric where later versions do not tell it: where it is empty, and of
/// histograms whose results have lost it.
fn reworded(text: String) -> String {
    let is_told = !is_of_histogram(&text);
    match text.split_once(" for metric name \"") {
        Some((before, rest)) => match rest.split_once('"') {
            Some((name, after)) if name.is_empty() || !is_told => format!("{before}{after}"),
            _ => text,
        },
        None => text,
    }
}

fn is_of_histogram(text: &str) -> bool {
    let parts = ["bucket label \"le\"", "mix of classic and native", "input to histogram_"];
    parts.iter().any(|part| text.contains(part))
}

/// The places of every text.
fn by_text(notes: impl Iterator<Item = String>) -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::<_, BTreeSet<_>>::new();
    for note in notes {
        let (text, place) = note.rsplit_once(" (").unwrap_or((&note, ""));
        all.entry(text.to_owned()).or_default().insert(place.to_owned());
    }
    all
}

/// Without any metric's name.
fn without_name(text: &str) -> String {
    let cut = text.split_once(" for metric name \"");
    let cut = cut.and_then(|(before, rest)| Some((before, rest.split_once('"')?.1)));
    cut.map_or_else(|| text.to_owned(), |(before, after)| format!("{before}{after}"))
}

/// Without the buckets that were made monotonic.
fn without_buckets(text: String) -> String {
    match (text.split_once(", from buckets "), text.rsplit_once(" (")) {
        (Some((before, _)), Some((_, place))) => format!("{before} ({place}"),
        _ => text,
    }
}

fn note(
    question: &Question,
    reference: &Outcome,
    own: &Outcome,
    difference: &str,
) -> Option<&'static str> {
    if let Some(reason) = note_of_later_version(reference, own, difference) {
        return Some(reason);
    }
    if difference.contains("omitted") {
        return Some("which ten of many annotations are shown");
    }
    let nameless = |outcome: &Outcome| -> BTreeSet<String> {
        let is_mix = |text: &String| text.contains("exponential and custom buckets");
        // Where floats come first, histograms are not even added up.
        let may_lack = outcome.tells("mix of histograms and floats for aggregation");
        let notes = outcome.notes().into_iter().map(reworded);
        let notes = notes.filter(|text| !(may_lack && is_mix(text)));
        notes.map(|text| if is_mix(&text) { without_name(&text) } else { text }).collect()
    };
    if nameless(reference) == nameless(own) {
        return Some(
            "the metric that is told is one of several: the order of series is the store's",
        );
    }
    let tells = |outcome: &Outcome| outcome.tells("encountered for binary operator");
    if difference.contains("incompatible") && tells(reference) && tells(own) {
        return Some("the last of several is told: the order of series is the store's");
    }
    if question.text.contains('^') && difference.contains("quantile value should be") {
        return Some("the last digit of a function or of a long sum, made visible");
    }
    let wrong_kind = ["not a counter", "not a gauge"].iter().any(|text| difference.contains(text));
    let negates = ["-(", "* -", "/ -"].iter().any(|sign| question.text.contains(sign));
    if negates && wrong_kind {
        return Some("3.6: negative histograms are gauges");
    }
    let is_empty = |outcome: &Outcome| by_time(outcome).is_empty();
    let fixed = question.text.contains(")[") && question.text.contains(" @ ");
    if fixed && own.notes().is_empty() && is_empty(own) && is_empty(reference) {
        return Some(
            "Prometheus evaluates what is fixed in time also for a subquery without steps",
        );
    }
    let nested = question.text.matches(")[").count() > 1;
    nested.then_some("3.13: subqueries end with the query's last step")
}
