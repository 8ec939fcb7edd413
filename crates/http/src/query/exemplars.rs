//! `query_exemplars`: the exemplars of the series that an expression selects.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use metricstor_model::{Labels, Matcher, StoredExemplar, TimeRange};

use super::run::{Ask, run};
use super::text::parsed;
use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::json::{push_labels, push_timestamp, push_value};
use crate::param::read_form;

pub async fn exemplars(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    let mut ask = Ask::json(&app, &request);
    let form = read_form(request, &app.config.requests).await?;
    let start = form.time_or("start", i64::MIN)?;
    let end = form.time_or("end", i64::MAX)?;
    if end < start {
        return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
    }
    form.get("query").clone_into(&mut ask.text);
    run(&app, &caller, ask, move |reading, sink| {
        let sets = selected(reading.app, form.get("query"))?;
        if sets.is_empty() {
            // What asks for no series is answered with nothing at all.
            sink.no_content();
            return Ok(());
        }
        let limit = reading.app.config.queries.rows;
        let found = reading.view.exemplars(&sets, TimeRange::new(start, end), limit)?;
        sink.out().extend_from_slice(br#"{"status":"success","data":["#);
        for (i, (labels, exemplars)) in found.iter().enumerate() {
            let out = sink.out();
            out.extend_from_slice(if i == 0 { b"" } else { b"," });
            push_series(out, labels, exemplars);
            sink.checkpoint()?;
        }
        sink.out().extend_from_slice(b"]}");
        Ok(())
    })
    .await
}

/// The matchers of every selector of an expression. Regular expressions are compiled here, so this is
/// work for a turn.
fn selected(app: &App, query: &str) -> Result<Vec<Vec<Matcher>>, ApiError> {
    let expr = parsed(app, query).map_err(|error| ApiError {
        limit: error.limit,
        ..ApiError::bad_data(error.to_string())
    })?;
    Ok(metricstor_promql::selectors(&expr).into_iter().map(<[Matcher]>::to_vec).collect())
}

fn push_series(out: &mut Vec<u8>, labels: &Labels, exemplars: &[StoredExemplar]) {
    out.extend_from_slice(br#"{"seriesLabels":"#);
    push_labels(out, labels);
    out.extend_from_slice(br#","exemplars":["#);
    for (i, exemplar) in exemplars.iter().enumerate() {
        out.extend_from_slice(if i == 0 { br#"{"labels":"# } else { br#",{"labels":"# });
        push_labels(out, &exemplar.labels);
        out.extend_from_slice(br#","value":"#);
        push_value(out, exemplar.value);
        out.extend_from_slice(br#","timestamp":"#);
        push_timestamp(out, exemplar.timestamp);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
}
