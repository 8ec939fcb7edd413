//! Series lines: `name{label="value"} 1 2+3x4 _ {{schema:0 count:1 buckets:[1]}}x2`.

use std::sync::Arc;

use metricstor_model::{
    CounterResetHint, FloatHistogram, Labels, LabelsBuilder, METRIC_NAME, STALE_NAN, Span,
};

use crate::number::{parse_duration, parse_number, take_quoted};

/// What a series has at one step.
#[derive(Debug, Clone)]
pub enum Point {
    Gap,
    Float(f64),
    Histogram {
        histogram: Arc<FloatHistogram>,
        /// Did the file say what the counter reset hint is?
        hint_given: bool,
    },
}

#[derive(Debug, Clone)]
pub struct Series {
    pub labels: Labels,
    pub points: Vec<Point>,
}

/// Parses labels and points.
pub fn parse_series(line: &str) -> Result<Series, String> {
    let (labels, rest) = take_labels(line)?;
    let mut points = Vec::new();
    let mut rest = rest.trim_start();
    while !rest.is_empty() {
        rest = take_item(rest, &mut points)?.trim_start();
    }
    Ok(Series { labels, points })
}

/// Milliseconds relative to each sample, where one is given.
pub type StartOffsets = Vec<Option<i64>>;

/// If the line is `series@st offsets`: labels and offsets (milliseconds), one per sample.
pub fn parse_start_timestamps(line: &str) -> Option<Result<(Labels, StartOffsets), String>> {
    let (series, items) = line.split_once([' ', '\t'])?;
    let series = series.strip_suffix("@st")?;
    Some(take_labels(series).and_then(|(labels, _)| {
        let mut offsets = Vec::new();
        for item in items.split_whitespace() {
            take_offsets(item, &mut offsets)?;
        }
        Ok((labels, offsets))
    }))
}

fn take_offsets(item: &str, offsets: &mut StartOffsets) -> Result<(), String> {
    let (what, n) = split_repeat(item)?;
    if what == "_" {
        offsets.extend(std::iter::repeat_n(None, n.unwrap_or(1)));
        return Ok(());
    }
    let signed = |text: &str| match text.strip_prefix('-') {
        Some(rest) => parse_duration(rest).map(|ms| -ms),
        None => parse_duration(text.strip_prefix('+').unwrap_or(text)),
    };
    let (first, step) = match what[1..].find(['+', '-']) {
        Some(at) => (signed(&what[..at + 1])?, signed(&what[at + 1..])?),
        None => (signed(what)?, 0),
    };
    offsets.extend((0..=n.unwrap_or(0) as i64).map(|i| Some(first + i * step)));
    Ok(())
}

/// `name{a="b"}`, `{"name", a="b"}`, `name`: labels and what follows.
fn take_labels(line: &str) -> Result<(Labels, &str), String> {
    let mut labels = LabelsBuilder::new();
    let end = line.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    let (name, mut rest) = line.split_at(end.unwrap_or(line.len()));
    if !name.is_empty() {
        labels.set(METRIC_NAME, name);
    }
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside.trim_start();
        while !rest.starts_with('}') {
            rest = take_label(rest, &mut labels)?.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        }
        rest = &rest[1..];
    }
    let labels = labels.build().map_err(|e| e.to_string())?;
    Ok((labels, rest))
}

fn take_label<'a>(text: &'a str, labels: &mut LabelsBuilder) -> Result<&'a str, String> {
    let (name, rest) = if text.starts_with(['"', '\'', '`']) {
        take_quoted(text)?
    } else {
        let end = text.find(['=', ' ', ',', '}']).ok_or("a label without end")?;
        (text[..end].to_owned(), &text[end..])
    };
    let rest = rest.trim_start();
    match rest.strip_prefix('=') {
        Some(value) => {
            let (value, rest) = take_quoted(value.trim_start())?;
            labels.set(&name, &value);
            Ok(rest)
        }
        None if text.starts_with(['"', '\'', '`']) => {
            labels.set(METRIC_NAME, &name);
            Ok(rest)
        }
        None => Err(format!("label {name:?} without value")),
    }
}

/// Takes one item from the start of `text`; gives back what follows it.
fn take_item<'a>(text: &'a str, points: &mut Vec<Point>) -> Result<&'a str, String> {
    if text.starts_with("{{") {
        return take_histograms(text, points);
    }
    let end = text.find([' ', '\t']).unwrap_or(text.len());
    let (item, rest) = text.split_at(end);
    if let Some(n) = item.strip_prefix("_x") {
        let n = n.parse().map_err(|e| format!("{item:?}: {e}"))?;
        points.extend(std::iter::repeat_n(Point::Gap, n));
    } else if item == "_" {
        points.push(Point::Gap);
    } else {
        take_floats(item, points)?;
    }
    Ok(rest)
}

fn take_floats(item: &str, points: &mut Vec<Point>) -> Result<(), String> {
    let (what, n) = split_repeat(item)?;
    let value = |text: &str| match text {
        "stale" => Ok(f64::from_bits(STALE_NAN)),
        _ => parse_number(text),
    };
    let mut from = 1;
    // The sign of a step, not that of an exponent.
    let step_at = std::iter::from_fn(|| {
        let at = from + what.get(from..)?.find(['+', '-'])?;
        from = at + 1;
        Some(at)
    })
    .find(|at| !what[..*at].ends_with(['e', 'E']));
    let (mut current, step) = match step_at {
        Some(at) if n.is_some() => (value(&what[..at])?, value(&what[at..])?),
        _ => (value(what)?, 0.0),
    };
    for i in 0..=n.unwrap_or(0) {
        if i > 0 && step_at.is_some() {
            current += step;
        }
        points.push(Point::Float(current));
    }
    Ok(())
}

/// `AxN` → (A, N): an x never belongs to a hexadecimal number here.
fn split_repeat(item: &str) -> Result<(&str, Option<usize>), String> {
    match item.rfind('x').filter(|at| *at > 0) {
        None => Ok((item, None)),
        Some(at) => {
            let n = item[at + 1..].parse().map_err(|e| format!("{item:?}: {e}"))?;
            Ok((&item[..at], Some(n)))
        }
    }
}

fn take_histograms<'a>(text: &'a str, points: &mut Vec<Point>) -> Result<&'a str, String> {
    let (first, hint_given, mut rest) = take_histogram(text)?;
    let mut step = None;
    if let Some(sign) = rest.chars().next().filter(|c| "+-".contains(*c)) {
        let (histogram, _, after) = take_histogram(&rest[1..])?;
        (step, rest) = (Some((sign == '-', histogram)), after);
    }
    let mut n = 0;
    if let Some(repeat) = rest.strip_prefix('x') {
        let end = repeat.find([' ', '\t']).unwrap_or(repeat.len());
        n = repeat[..end].parse().map_err(|e| format!("{repeat:?}: {e}"))?;
        rest = &repeat[end..];
    }
    let mut current = first;
    for i in 0..=n {
        if let Some((subtract, step)) = step.as_ref().filter(|_| i > 0) {
            if current.schema > step.schema {
                return Err("the step has a coarser schema than the histogram".into());
            }
            let added = if *subtract { current.sub(step) } else { current.add(step) };
            added.map_err(|e| e.to_string())?;
        }
        points.push(Point::Histogram { histogram: Arc::new(current.clone()), hint_given });
    }
    Ok(rest)
}

/// `{{key:value …}}`: the histogram, whether its hint was given, and what follows.
fn take_histogram(text: &str) -> Result<(FloatHistogram, bool, &str), String> {
    let inside = text.strip_prefix("{{").ok_or_else(|| format!("no histogram at {text:?}"))?;
    let end = inside.find("}}").ok_or("a histogram without end")?;
    let mut h = FloatHistogram::default();
    let (mut hint_given, mut offset, mut n_offset) = (false, 0, 0);
    let mut rest = inside[..end].trim_start();
    while !rest.is_empty() {
        let (key, after) = rest.split_once(':').ok_or_else(|| format!("no key at {rest:?}"))?;
        let (value, after) = match after.strip_prefix('[') {
            Some(list) => list.split_once(']').ok_or("a list without end")?,
            None => after.split_once([' ', '\t']).unwrap_or((after, "")),
        };
        let number = || parse_number(value);
        let list = || value.split_whitespace().map(parse_number).collect::<Result<Vec<_>, _>>();
        match key {
            "schema" => h.schema = number()? as i32,
            "sum" => h.sum = number()?,
            "count" => h.count = number()?,
            "z_bucket" => h.zero_count = number()?,
            "z_bucket_w" => h.zero_threshold = number()?,
            "buckets" => h.positive_buckets = list()?,
            "n_buckets" => h.negative_buckets = list()?,
            "custom_values" => h.custom_values = list()?,
            "offset" => offset = number()? as i32,
            "n_offset" => n_offset = number()? as i32,
            "counter_reset_hint" => {
                (h.counter_reset_hint, hint_given) = (parse_hint(value)?, true);
            }
            _ => return Err(format!("unknown histogram key {key:?}")),
        }
        rest = after.trim_start();
    }
    h.positive_spans = span_at(offset, &h.positive_buckets);
    h.negative_spans = span_at(n_offset, &h.negative_buckets);
    Ok((h, hint_given, &inside[end + 2..]))
}

fn parse_hint(text: &str) -> Result<CounterResetHint, String> {
    match text {
        "unknown" => Ok(CounterResetHint::Unknown),
        "reset" => Ok(CounterResetHint::Reset),
        "not_reset" => Ok(CounterResetHint::NotReset),
        "gauge" => Ok(CounterResetHint::Gauge),
        _ => Err(format!("unknown counter reset hint {text:?}")),
    }
}

fn span_at(offset: i32, buckets: &[f64]) -> Vec<Span> {
    let span = Span { offset, length: buckets.len() as u32 };
    if buckets.is_empty() { vec![] } else { vec![span] }
}
