//! What the three search calls understand.

use metricstor_model::TimeRange;

use super::score::{Algorithm, Filter};
use crate::app::App;
use crate::error::ApiError;
use crate::param::Form;

const ROWS_DEFAULT: usize = 100;
/// What is searched when no time is given.
const RECENT_MS: i64 = 3_600_000;
/// Every term is compared with every text.
const TERMS_MAX: usize = 32;

pub struct Parameters {
    pub range: TimeRange,
    pub filter: Filter,
    pub order: Order,
    pub with_score: bool,
    pub with_metadata: bool,
    pub limit: usize,
    /// Rows of one line.
    pub batch: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
    BestFirst,
}

impl Parameters {
    pub fn new(app: &App, form: &Form, call: &str) -> Result<Self, ApiError> {
        let now = app.now();
        let start = form.time_or("start", now.saturating_sub(RECENT_MS))?;
        let end = form.time_or("end", now)?;
        if end < start {
            return Err(wrong("end timestamp must not be before start timestamp"));
        }
        let terms = form.all("search[]").count();
        if terms > TERMS_MAX {
            let text = format!("too many search[] terms: got {terms}, maximum is {TERMS_MAX}");
            return Err(wrong(text));
        }
        Ok(Self {
            range: TimeRange::new(start, end),
            filter: filter(form)?,
            order: order(form, call)?,
            with_score: flag(form, "include_score", false)?,
            with_metadata: flag(form, "include_metadata", false)?,
            limit: limit(form, app.config.queries.rows)?,
            batch: positive(form, "batch_size")?.unwrap_or(ROWS_DEFAULT),
        })
    }
}

fn filter(form: &Form) -> Result<Filter, ApiError> {
    let algorithm = match form.get("fuzz_alg") {
        "" | "subsequence" => Algorithm::Subsequence,
        "jarowinkler" => Algorithm::JaroWinkler,
        other => {
            let known = "must be one of [subsequence jarowinkler]";
            return Err(wrong(format!("unsupported fuzz_alg {other:?}: {known}")));
        }
    };
    let threshold: u8 = match form.get("fuzz_threshold") {
        "" => 0,
        text => text
            .parse()
            .ok()
            .filter(|percent| *percent <= 100)
            .ok_or_else(|| wrong(format!("invalid fuzz_threshold {text:?}: must be 0-100")))?,
    };
    let case_sensitive = flag(form, "case_sensitive", true)?;
    let terms = form.all("search[]");
    Ok(Filter::new(terms, algorithm, f64::from(threshold) / 100.0, case_sensitive))
}

fn order(form: &Form, call: &str) -> Result<Order, ApiError> {
    let (by, direction) = (form.get("sort_by"), form.get("sort_dir"));
    match (by, direction) {
        ("", "") | ("alpha", "" | "asc") => Ok(Order::Ascending),
        ("", _) => Err(wrong("sort_dir is only valid when sort_by is set")),
        ("alpha", "dsc") => Ok(Order::Descending),
        ("score", "") if form.all("search[]").next().is_some() => Ok(Order::BestFirst),
        ("score", "") => Err(wrong("sort_by=score requires search[] to be set")),
        ("score", _) => Err(wrong("sort_dir is not supported for sort_by=score")),
        ("alpha", _) => {
            Err(wrong(format!("invalid sort_dir {direction:?}: must be \"asc\" or \"dsc\"")))
        }
        _ => {
            let expected = "must be \"alpha\" or \"score\"";
            Err(wrong(format!("invalid sort_by {by:?} for {call}: {expected}")))
        }
    }
}

fn limit(form: &Form, max: usize) -> Result<usize, ApiError> {
    let limit = positive(form, "limit")?.unwrap_or(ROWS_DEFAULT.min(max));
    if limit > max {
        let text = format!("limit {limit} exceeds the configured maximum ({max}, query.max_rows)");
        return Err(wrong(text));
    }
    Ok(limit)
}

fn positive(form: &Form, name: &str) -> Result<Option<usize>, ApiError> {
    match form.get(name) {
        "" => Ok(None),
        text => match text.parse() {
            Ok(number) if number > 0 => Ok(Some(number)),
            _ => Err(wrong(format!("invalid {name} {text:?}: must be a positive integer"))),
        },
    }
}

fn flag(form: &Form, name: &str, default: bool) -> Result<bool, ApiError> {
    match form.get(name) {
        "" => Ok(default),
        text => crate::param::parse_bool(text)
            .ok_or_else(|| wrong(format!("invalid {name} {text:?}: must be boolean"))),
    }
}

fn wrong(text: impl Into<String>) -> ApiError {
    ApiError::bad_data(text)
}
