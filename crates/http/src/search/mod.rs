//! `search/*`: names and values for somebody who types, a line of JSON per batch.

mod parameters;
mod score;

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::response::Response;
use metricstor_model::METRIC_NAME;
use metricstor_storage::Description;

use self::parameters::{Order, Parameters};
use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::json::{push_html_string, push_number};
use crate::param::read_form;
use crate::query::{Ask, Reading, run, selectors};
use crate::reply::Sink;

const LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson; charset=utf-8");

pub async fn metric_names(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    search(&app, &caller, request, "metric_names", |_| Ok(Of::Values(METRIC_NAME.to_owned()))).await
}

pub async fn label_names(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    search(&app, &caller, request, "label_names", |_| Ok(Of::Names)).await
}

pub async fn label_values(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    search(&app, &caller, request, "label_values", |label| match label {
        "" => Err(ApiError::bad_data("missing required parameter \"label\"")),
        label => Ok(Of::Values(label.to_owned())),
    })
    .await
}

/// What is searched.
enum Of {
    Names,
    /// The values of a label.
    Values(String),
}

async fn search(
    app: &Arc<App>,
    caller: &Caller,
    request: Request,
    call: &'static str,
    of: impl FnOnce(&str) -> Result<Of, ApiError>,
) -> Result<Response, ApiError> {
    let ask = Ask { content_type: LINES, ..Ask::json(app, &request) };
    let form = read_form(request, &app.config.requests).await?;
    let parameters = Parameters::new(app, &form, call)?;
    let of = of(form.get("label"))?;
    run(app, caller, ask, move |reading, sink| {
        let (view, selectors) = (reading.view, selectors(reading.app, &form)?);
        let texts = match &of {
            Of::Names => view.label_names(&selectors, parameters.range)?,
            Of::Values(label) => {
                view.label_values(label, &selectors, parameters.range, usize::MAX)?
            }
        };
        let rows = ranked(texts, &parameters, reading)?;
        write(sink, call, &rows, &parameters, reading)
    })
    .await
}

/// What fits, with its score.
fn ranked(
    texts: Vec<String>,
    parameters: &Parameters,
    reading: &Reading<'_>,
) -> Result<Vec<(String, f64)>, ApiError> {
    let mut rows = Vec::new();
    for text in texts {
        reading.check()?;
        if let Some(score) = parameters.filter.score(&text) {
            rows.push((text, score));
        }
    }
    match parameters.order {
        Order::Ascending => {}
        Order::Descending => rows.reverse(),
        // Equal scores stay in the order of their texts.
        Order::BestFirst => rows.sort_by(|a, b| b.1.total_cmp(&a.1)),
    }
    Ok(rows)
}

fn write(
    sink: &mut Sink,
    call: &str,
    rows: &[(String, f64)],
    parameters: &Parameters,
    reading: &Reading<'_>,
) -> Result<(), ApiError> {
    let key = if call == "label_values" { "value" } else { "name" };
    let with_metadata = call == "metric_names" && parameters.with_metadata;
    let described =
        if with_metadata { reading.view.metadata(None, usize::MAX)? } else { Vec::new() };
    let shown = &rows[..rows.len().min(parameters.limit)];
    let mut batches = shown.chunks(parameters.batch);
    // There is always a first line, even of nothing.
    let mut next = Some(batches.next().unwrap_or_default());
    while let Some(batch) = next {
        sink.out().extend_from_slice(br#"{"results":["#);
        for (i, (text, score)) in batch.iter().enumerate() {
            let out = sink.out();
            out.extend_from_slice(if i == 0 { b"{" } else { b",{" });
            out.extend_from_slice(format!(r#""{key}":"#).as_bytes());
            push_html_string(out, text);
            if parameters.with_score {
                out.extend_from_slice(br#","score":"#);
                push_number(out, *score);
            }
            if let Ok(at) = described.binary_search_by(|(metric, _)| metric.cmp(text)) {
                push_description(out, &described[at].1);
            }
            out.push(b'}');
            sink.checkpoint()?;
        }
        sink.out().extend_from_slice(b"]}\n");
        next = batches.next();
    }
    let has_more = rows.len() > shown.len();
    let trailer = format!("{{\"status\":\"success\",\"has_more\":{has_more}}}\n");
    sink.out().extend_from_slice(trailer.as_bytes());
    Ok(())
}

fn push_description(out: &mut Vec<u8>, description: &Description) {
    let fields =
        [("type", &description.kind), ("help", &description.help), ("unit", &description.unit)];
    for (name, text) in fields.into_iter().filter(|(_, text)| !text.is_empty()) {
        out.extend_from_slice(format!(r#","{name}":"#).as_bytes());
        push_html_string(out, text);
    }
}
