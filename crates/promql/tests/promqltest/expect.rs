//! What a case expects: its `expect` lines and results.

use regex_automata::meta::Regex;

use crate::number::{parse_duration, parse_scalar, take_quoted};
use crate::series::{Point, Series, parse_series};

#[derive(Debug, Default)]
pub struct Expectations {
    pub fail: Option<Pattern>,
    pub warnings: Annotations,
    pub infos: Annotations,
    pub ordered: bool,
    /// (start, end, step) in milliseconds: an instant query that answers with a range vector.
    pub range_vector: Option<(i64, i64, i64)>,
    pub result: Expected,
}

/// What is said about annotations of one kind.
#[derive(Debug, Default)]
pub struct Annotations {
    /// Each matches at least one, and each one is matched.
    pub patterns: Vec<Pattern>,
    pub none: bool,
    pub some: bool,
}

pub enum Pattern {
    Any,
    Text(String),
    Regex(String, Box<Regex>),
}

#[derive(Debug)]
pub enum Expected {
    Series(Vec<Series>),
    Scalar(f64),
    String(String),
}

impl Default for Expected {
    fn default() -> Self {
        Self::Series(Vec::new())
    }
}

impl Pattern {
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Text(expected) => expected == text,
            Self::Regex(_, regex) => regex.is_match(text),
        }
    }

    fn regex(text: &str) -> Result<Self, String> {
        let regex = Regex::new(text).map_err(|e| e.to_string())?;
        Ok(Self::Regex(text.to_owned(), Box::new(regex)))
    }
}

impl std::fmt::Debug for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Regex(text, _) => write!(f, "/{text}/"),
        }
    }
}

/// Reads the lines after `eval`; `mode` is the old style's suffix (`fail`, `warn`, …). Also says how
/// many lines belong to the case.
pub fn parse_expectations(mode: &str, body: &[&str]) -> Result<(Expectations, usize), String> {
    let mut expect = Expectations::default();
    match mode {
        "" => {}
        "fail" => expect.fail = Some(Pattern::Any),
        "warn" => expect.warnings.some = true,
        "info" => expect.infos.some = true,
        "ordered" => expect.ordered = true,
        _ => return Err(format!("unknown mode {mode:?}")),
    }
    let mut series = Vec::new();
    for (i, line) in body.iter().enumerate() {
        if let Some(text) = line.strip_prefix("expected_fail_message") {
            expect.fail = Some(Pattern::Text(text.trim().to_owned()));
            return Ok((expect, i + 1));
        } else if let Some(text) = line.strip_prefix("expected_fail_regexp") {
            expect.fail = Some(Pattern::regex(text.trim())?);
            return Ok((expect, i + 1));
        } else if let Some(text) = line.strip_prefix("expect range vector") {
            expect.range_vector = Some(parse_range(text)?);
        } else if let Some(text) = line.strip_prefix("expect string") {
            let (text, rest) = take_quoted(text.trim_start())?;
            if !rest.is_empty() {
                return Err(format!("text after a string: {rest:?}"));
            }
            expect.result = Expected::String(text);
        } else if let Some(text) =
            line.strip_prefix("expect ").or((*line == "expect").then_some(""))
        {
            parse_expect(text, &mut expect)?;
        } else if let Some(scalar) = parse_scalar(line) {
            expect.result = Expected::Scalar(scalar);
            return Ok((expect, i + 1));
        } else {
            series.push(parse_series(line)?);
        }
    }
    if matches!(expect.result, Expected::Series(_)) {
        let missing = series.iter().any(|s: &Series| s.points.is_empty());
        if missing {
            return Err("a result without value".into());
        }
        expect.result = Expected::Series(series);
    }
    Ok((expect, body.len()))
}

fn parse_expect(text: &str, expect: &mut Expectations) -> Result<(), String> {
    let text = text.trim();
    let (kind, pattern) = text.split_once(' ').unwrap_or((text, ""));
    let pattern = match pattern.trim().split_once(':') {
        Some(("msg", text)) => Pattern::Text(text.trim().to_owned()),
        Some(("regex", text)) => Pattern::regex(text.trim())?,
        None if pattern.is_empty() => Pattern::Any,
        _ => return Err(format!("cannot read {text:?}")),
    };
    match kind {
        "fail" => expect.fail = Some(pattern),
        "warn" => expect.warnings.patterns.push(pattern),
        "info" => expect.infos.patterns.push(pattern),
        "no_warn" => expect.warnings.none = true,
        "no_info" => expect.infos.none = true,
        "ordered" => expect.ordered = true,
        _ => return Err(format!("unknown expectation {kind:?}")),
    }
    Ok(())
}

/// `from A to B step S`
fn parse_range(text: &str) -> Result<(i64, i64, i64), String> {
    match text.split_whitespace().collect::<Vec<_>>()[..] {
        ["from", start, "to", end, "step", step] => {
            Ok((parse_duration(start)?, parse_duration(end)?, parse_duration(step)?))
        }
        _ => Err(format!("not a range: {text:?}")),
    }
}

impl Expected {
    /// The points that must be there, by series: (timestamp, point).
    pub fn at(series: &Series, start: i64, step: i64) -> Vec<(i64, &Point)> {
        let timestamps = (0..).map(|i| start + i * step);
        let points = timestamps.zip(&series.points);
        points.filter(|(_, point)| !matches!(point, Point::Gap)).collect()
    }
}
