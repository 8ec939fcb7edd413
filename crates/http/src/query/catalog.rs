//! What there is: series, label names, label values, metadata.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use metricstor_model::{Labels, Matcher, TimeRange};

use super::effort::Effort;
use super::label_name::unescape;
use super::result::{TRUNCATED, push_annotations};
use super::run::{Ask, Rest, SHORT_VALUES, run, short_syntax};
use super::selector::{selectors, selectors_within};
use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::json::{push_html_string, push_labels};
use crate::param::{Form, read_form};
use crate::reply::{Gone, Sink};
use crate::view::View;

/// Selectors of one request that are parsed where it was read.
const SELECTORS_AT_ONCE: usize = 4;

/// What to look for, and how many rows to answer.
struct Lookup {
    range: TimeRange,
    limit: usize,
}

impl Lookup {
    fn new(app: &App, form: &Form) -> Result<Self, ApiError> {
        let limit = form.limit()?.unwrap_or(usize::MAX).min(app.config.queries.rows);
        let start = form.time_or("start", i64::MIN)?;
        let end = form.time_or("end", i64::MAX)?;
        Ok(Self { range: TimeRange::new(start, end), limit })
    }
}

pub async fn series(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    let mut ask = Ask::json(&app, &request);
    let form = read_form(request, &app.config.requests).await?;
    if form.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let lookup = Lookup::new(&app, &form)?;
    let (sets, effort) = foresee(&app, &View::of(&app, &caller), &form);
    ask.effort = effort;
    run(&app, &caller, ask, move |reading, sink| {
        let selectors = sets
            .map_or_else(|| selectors(reading.app, &form), Ok)
            .map_err(|error| error.in_parameter("match[]"))?;
        let (rows, cut) = reading.view.series(&selectors, lookup.range, lookup.limit)?;
        let bytes = rows.iter().map(Labels::size).sum();
        let write = move |sink: &mut _| write_rows(sink, &rows, cut, push_labels);
        Ok(Rest::of_answer(sink, bytes, write)?)
    })
    .await
}

pub async fn label_names(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    let mut ask = Ask::json(&app, &request);
    let form = read_form(request, &app.config.requests).await?;
    let lookup = Lookup::new(&app, &form)?;
    let view = View::of(&app, &caller);
    let (sets, effort) = foresee(&app, &view, &form);
    // A store has few names; those of a part of it are found series by series.
    ask.effort = if is_everything(&form, &view) { Effort::Short } else { effort };
    run(&app, &caller, ask, move |reading, sink| {
        let selectors = sets.map_or_else(|| selectors(reading.app, &form), Ok)?;
        let rows = reading.view.label_names(&selectors, lookup.range)?;
        let bytes = rows.iter().map(String::len).sum();
        let write = move |sink: &mut _| write_texts(sink, &rows, lookup.limit);
        Ok(Rest::of_answer(sink, bytes, write)?)
    })
    .await
}

pub async fn label_values(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let mut ask = Ask::json(&app, &request);
    let form = Form::of_query(request.uri().query().unwrap_or(""));
    let lookup = Lookup::new(&app, &form)?;
    let name = unescape(&name).into_owned();
    if name.is_empty() {
        return Err(ApiError::bad_data("invalid label name: \"\""));
    }
    let view = View::of(&app, &caller);
    let (sets, effort) = foresee(&app, &view, &form);
    let has_few_values = || view.values_at_most(&name) <= SHORT_VALUES;
    let is_short = is_everything(&form, &view) && has_few_values();
    ask.effort = if is_short { Effort::Short } else { effort };
    run(&app, &caller, ask, move |reading, sink| {
        let selectors = sets.map_or_else(|| selectors(reading.app, &form), Ok)?;
        // One more says that some are left off.
        let limit = lookup.limit.saturating_add(1);
        let rows = reading.view.label_values(&name, &selectors, lookup.range, limit)?;
        let bytes = rows.iter().map(String::len).sum();
        let write = move |sink: &mut _| write_texts(sink, &rows, lookup.limit);
        Ok(Rest::of_answer(sink, bytes, write)?)
    })
    .await
}

pub async fn metadata(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    let ask = Ask::json(&app, &request);
    let form = Form::of_query(request.uri().query().unwrap_or(""));
    let limit = count(&form, "limit")?;
    // There is one description per metric, so this only has to be a number.
    count(&form, "limit_per_metric")?;
    run(&app, &caller, ask, move |reading, sink| {
        let metric = Some(form.get("metric")).filter(|metric| !metric.is_empty());
        let described = reading.view.metadata(metric, limit)?;
        let out = sink.out();
        out.extend_from_slice(br#"{"status":"success","data":{"#);
        for (i, (metric, description)) in described.iter().enumerate() {
            out.extend_from_slice(if i == 0 { b"" } else { b"," });
            push_html_string(out, metric);
            out.extend_from_slice(br#":[{"type":"#);
            push_html_string(out, &description.kind);
            out.extend_from_slice(br#","help":"#);
            push_html_string(out, &description.help);
            out.extend_from_slice(br#","unit":"#);
            push_html_string(out, &description.unit);
            out.extend_from_slice(b"}]");
        }
        out.extend_from_slice(b"}}");
        Ok(())
    })
    .await
}

/// Is it asked about all series, so that none has to be looked at?
fn is_everything(form: &Form, view: &View) -> bool {
    form.all("match[]").next().is_none() && view.is_whole()
}

/// The selectors, if they are few and short, and how much work their series are. Without any, nothing
/// is known.
fn foresee(app: &App, view: &View, form: &Form) -> (Option<Vec<Vec<Matcher>>>, Effort) {
    let count = form.all("match[]").take(SELECTORS_AT_ONCE + 1).count();
    if !(1..=SELECTORS_AT_ONCE).contains(&count) {
        return (None, Effort::Long);
    }
    let Ok(sets) = selectors_within(short_syntax(app), form) else { return (None, Effort::Long) };
    let series = sets.iter().map(|matchers| view.at_most(matchers)).sum();
    (Some(sets), Effort::of_series(series))
}

/// A number of rows; absent, 0 and negative mean all.
fn count(form: &Form, name: &str) -> Result<usize, ApiError> {
    let text = form.get(name);
    if text.is_empty() {
        return Ok(usize::MAX);
    }
    let count: i64 =
        text.parse().map_err(|_| ApiError::bad_data(format!("{name} must be a number")))?;
    Ok(usize::try_from(count).ok().filter(|n| *n > 0).unwrap_or(usize::MAX))
}

fn write_texts(sink: &mut Sink, texts: &[String], limit: usize) -> Result<(), Gone> {
    let shown = &texts[..limit.min(texts.len())];
    write_rows(sink, shown, texts.len() > limit, |out, text| push_html_string(out, text))
}

fn write_rows<T>(
    sink: &mut Sink,
    rows: &[T],
    cut: bool,
    push: impl Fn(&mut Vec<u8>, &T),
) -> Result<(), Gone> {
    sink.out().extend_from_slice(br#"{"status":"success","data":["#);
    for (i, row) in rows.iter().enumerate() {
        if i > 0 {
            sink.out().push(b',');
        }
        push(sink.out(), row);
        sink.checkpoint()?;
    }
    sink.out().push(b']');
    push_annotations(sink.out(), "warning", &[], cut.then_some(TRUNCATED));
    sink.out().push(b'}');
    Ok(())
}
