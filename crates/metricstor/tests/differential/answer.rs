//! Two answers side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde_json::Value;

use crate::grammar::Question;
use crate::support::request;

pub enum Outcome {
    Answered(Value),
    /// With this text.
    Refused(String),
}

impl Outcome {
    pub fn ask(address: SocketAddr, question: &Question) -> Self {
        let reply = request(address, "GET", &question.path(), &[], b"").unwrap();
        let body = reply.json();
        match body["error"].as_str() {
            Some(error) => Self::Refused(error.trim().to_owned()),
            None => Self::Answered(body),
        }
    }

    /// All warnings and infos.
    pub fn notes(&self) -> BTreeSet<String> {
        let Self::Answered(body) = self else { return BTreeSet::new() };
        let texts = ["warnings", "infos"].into_iter().filter_map(|kind| body[kind].as_array());
        texts.flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Is there a warning or info with these words?
    pub fn tells(&self, words: &str) -> bool {
        self.notes().iter().any(|text| text.contains(words))
    }

    pub fn refusal(&self) -> Option<&str> {
        match self {
            Self::Refused(text) => Some(text),
            Self::Answered(_) => None,
        }
    }
}

/// What is different, if anything.
pub fn compare(reference: &Outcome, own: &Outcome) -> Result<(), String> {
    match (reference, own) {
        (Outcome::Refused(a), Outcome::Refused(b)) => {
            let same = essence(a) == essence(b);
            if same { Ok(()) } else { Err(format!("error: {a}\n       own: {b}")) }
        }
        (Outcome::Refused(text), Outcome::Answered(_)) => Err(format!("refused: {text}")),
        (Outcome::Answered(_), Outcome::Refused(text)) => Err(format!("own refused: {text}")),
        (Outcome::Answered(a), Outcome::Answered(b)) => {
            values(&a["data"], &b["data"])?;
            notes(a, b)
        }
    }
}

/// Of several duplicates any may be named, and the two series in any order.
fn essence(error: &str) -> (&str, &str) {
    let Some((before, _)) = error.split_once(" for the match group ") else { return (error, "") };
    let side = error.rsplit_once(" hand-side").map_or("", |(text, _)| text);
    (before, side.rsplit(' ').next().unwrap_or(""))
}

/// The values of every time, whosever they are: what `topk` chose, whichever of equals it took.
pub fn chosen(outcome: &Outcome) -> BTreeMap<String, Vec<String>> {
    let mut chosen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let Outcome::Answered(body) = outcome else { return chosen };
    for row in body["data"]["result"].as_array().map_or(&[][..], Vec::as_slice) {
        let points = row["values"].as_array().map_or(&[][..], Vec::as_slice);
        for point in points.iter().chain(row.get("value")) {
            let value: f64 = point[1].as_str().unwrap_or("NaN").parse().unwrap_or(f64::NAN);
            chosen.entry(point[0].to_string()).or_default().push(format!("{value:.8e}"));
        }
    }
    chosen.values_mut().for_each(|values| values.sort());
    chosen
}

/// How many series there are at every time.
pub fn how_many(outcome: &Outcome) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let Outcome::Answered(body) = outcome else { return counts };
    for row in body["data"]["result"].as_array().map_or(&[][..], Vec::as_slice) {
        for (time, _) in points_of(row) {
            *counts.entry(time.to_string()).or_default() += 1;
        }
    }
    counts
}

/// Every series with its value, as text and in order, at each time.
pub fn by_time(outcome: &Outcome) -> BTreeMap<String, Vec<String>> {
    let mut steps: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let Outcome::Answered(body) = outcome else { return steps };
    for row in body["data"]["result"].as_array().map_or(&[][..], Vec::as_slice) {
        for (time, value) in points_of(row) {
            steps.entry(time.to_string()).or_default().push(format!("{} {value}", row["metric"]));
        }
    }
    steps.values_mut().for_each(|rows| rows.sort());
    steps
}

/// The values that differ between answers with the same series and times; `None` for others.
pub fn differing(reference: &Outcome, own: &Outcome) -> Option<Vec<(Value, Value)>> {
    let (Outcome::Answered(a), Outcome::Answered(b)) = (reference, own) else { return None };
    let (a, b) = (by_labels(&a["data"]).ok()?, by_labels(&b["data"]).ok()?);
    if !a.keys().eq(b.keys()) {
        return None;
    }
    let mut different = Vec::new();
    for (a, b) in a.values().zip(b.values()) {
        let (a, b) = (points_of(a), points_of(b));
        if !a.iter().map(|(time, _)| time).eq(b.iter().map(|(time, _)| time)) {
            return None;
        }
        let pairs = a.into_iter().zip(b).map(|((_, a), (_, b))| (a, b));
        different
            .extend(pairs.filter(|(a, b)| !is_same(a, b)).map(|(a, b)| (a.clone(), b.clone())));
    }
    Some(different)
}

/// Time and value of every point of a series.
fn points_of(row: &Value) -> Vec<(&Value, &Value)> {
    let list = |key: &str| row[key].as_array().map_or(&[][..], Vec::as_slice);
    let many = list("values").iter().chain(list("histograms"));
    let one = ["value", "histogram"].into_iter().filter_map(|key| row.get(key));
    many.chain(one).map(|point| (&point[0], &point[1])).collect()
}

/// Is there a histogram whose buckets do not add up to its count?
pub fn is_inconsistent(outcome: &Outcome) -> bool {
    let Outcome::Answered(body) = outcome else { return false };
    let number = |value: &Value| value.as_str().and_then(|text| text.parse::<f64>().ok());
    let odd = |point: &Value| {
        let buckets = point[1]["buckets"].as_array().map_or(&[][..], Vec::as_slice);
        let total: f64 = buckets.iter().filter_map(|bucket| number(&bucket[3])).sum();
        number(&point[1]["count"]).is_some_and(|n| (n - total).abs() > 1e-6 * n.abs().max(1.0))
    };
    let rows = body["data"]["result"].as_array().map_or(&[][..], Vec::as_slice);
    rows.iter().any(|row| {
        let points = row["histograms"].as_array().map_or(&[][..], Vec::as_slice);
        points.iter().chain(row.get("histogram")).any(odd)
    })
}

fn values(reference: &Value, own: &Value) -> Result<(), String> {
    if reference["resultType"] != own["resultType"] {
        return Err(format!("type {} own {}", reference["resultType"], own["resultType"]));
    }
    if reference["resultType"] == "scalar" {
        let equal = is_equal(&reference["result"][1], &own["result"][1]);
        return if equal { Ok(()) } else { Err(differ(&reference["result"], &own["result"])) };
    }
    let (a, b) = (by_labels(reference)?, by_labels(own)?);
    let names = |series: &BTreeMap<String, &Value>| series.keys().cloned().collect::<BTreeSet<_>>();
    let missing: Vec<String> = names(&a).difference(&names(&b)).take(2).cloned().collect();
    let extra: Vec<String> = names(&b).difference(&names(&a)).take(2).cloned().collect();
    if !missing.is_empty() || !extra.is_empty() {
        return Err(format!("series: missing {missing:?}, extra {extra:?}"));
    }
    for (labels, series) in &a {
        for kind in ["value", "values", "histogram", "histograms"] {
            points(&series[kind], &b[labels][kind]).map_err(|what| format!("{labels}: {what}"))?;
        }
    }
    Ok(())
}

fn by_labels(data: &Value) -> Result<BTreeMap<String, &Value>, String> {
    let rows = data["result"].as_array().map_or(&[][..], Vec::as_slice);
    let series: BTreeMap<_, _> = rows.iter().map(|row| (row["metric"].to_string(), row)).collect();
    if series.len() == rows.len() { Ok(series) } else { Err("a series twice".to_owned()) }
}

/// A point `[time, value]`, or a list of them.
fn points(a: &Value, b: &Value) -> Result<(), String> {
    let (Some(all), Some(own)) = (a.as_array(), b.as_array()) else {
        return if a == b { Ok(()) } else { Err(differ(a, b)) };
    };
    if all.first().is_some_and(Value::is_array) {
        if all.len() != own.len() {
            return Err(format!("{} points, own {}", all.len(), own.len()));
        }
        return all.iter().zip(own).try_for_each(|(a, b)| points(a, b));
    }
    let equal = a[0] == b[0] && is_same(&a[1], &b[1]);
    if equal { Ok(()) } else { Err(differ(a, b)) }
}

fn is_same(a: &Value, b: &Value) -> bool {
    if a.is_object() { is_same_histogram(a, b) } else { is_equal(a, b) }
}

fn is_same_histogram(a: &Value, b: &Value) -> bool {
    let buckets = |h: &Value| h["buckets"].as_array().cloned().unwrap_or_default();
    let (x, y) = (buckets(a), buckets(b));
    let same = |(x, y): (&Value, &Value)| x[0] == y[0] && (1..=3).all(|i| is_equal(&x[i], &y[i]));
    is_equal(&a["count"], &b["count"])
        && is_equal(&a["sum"], &b["sum"])
        && x.len() == y.len()
        && x.iter().zip(&y).all(same)
}

/// Numbers as texts, within 1e-9.
fn is_equal(a: &Value, b: &Value) -> bool {
    if a == b {
        return true;
    }
    let number = |value: &Value| value.as_str().and_then(|text| text.parse::<f64>().ok());
    let (Some(a), Some(b)) = (number(a), number(b)) else { return false };
    let difference = (a - b).abs();
    difference < 1e-12 || difference <= 1e-9 * a.abs().min(b.abs())
}

fn differ(a: &Value, b: &Value) -> String {
    format!("{:.200} own {:.200}", a.to_string(), b.to_string())
}

fn notes(a: &Value, b: &Value) -> Result<(), String> {
    for kind in ["warnings", "infos"] {
        let texts = |answer: &Value| -> BTreeSet<String> {
            let list = answer[kind].as_array().cloned().unwrap_or_default();
            list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let (a, b) = (texts(a), texts(b));
        if a != b {
            let only: Vec<_> = a.symmetric_difference(&b).take(3).collect();
            return Err(format!("{kind}: {only:?}"));
        }
    }
    Ok(())
}
