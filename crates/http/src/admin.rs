//! Administration: flushing and compacting, and Prometheus' admin calls as far as the store can.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use metricstor_model::TimeRange;
use tokio::task::spawn_blocking;

use crate::app::App;
use crate::caller::Caller;
use crate::error::{ApiError, ErrorType};
use crate::json::push_html_string;
use crate::param::{format_time, parse_bool, read_form};
use crate::query::selectors;
use crate::reply::{plain, success};
use crate::view::View;

/// Flushes what is in memory, compacts everything and answers when it is done.
pub async fn compact(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    spawn_blocking(move || app.unscoped_store.compact())
        .await
        .map_err(internal)?
        .map_err(internal)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Stops a query that `status/active_queries` lists.
pub async fn cancel_query(State(app): State<Arc<App>>, Path(id): Path<u64>) -> Response {
    if app.running.cancel(id) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        plain(StatusCode::NOT_FOUND, "no such query")
    }
}

/// Hides the samples of the matching series when it answers; their bytes go with the next merges, or
/// when `clean_tombstones` is asked for.
pub async fn delete_series(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    let form = read_form(request, &app.config.requests).await?;
    if form.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let (start, end) = (form.time_or("start", i64::MIN)?, form.time_or("end", i64::MAX)?);
    if end < start {
        return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
    }
    let parser = Arc::clone(&app);
    let sets = spawn_blocking(move || selectors(&parser, &form)).await.map_err(internal)?;
    let sets = sets.map_err(|error| error.in_parameter("match[]"))?;
    let view = View::of(&app, &caller);
    let deleted = spawn_blocking(move || view.delete(&sets, TimeRange::new(start, end)));
    let series = deleted.await.map_err(internal)?.map_err(|error| {
        ApiError::new(ErrorType::Unavailable, format!("nothing was deleted: {error}"))
    })?;
    tracing::info!(target: "audit", %caller, series, "deleted series");
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Rewrites what holds deleted samples and answers when they are gone from the disk.
pub async fn clean_tombstones(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    spawn_blocking(move || app.unscoped_store.clean_tombstones())
        .await
        .map_err(internal)?
        .map_err(internal)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Copies what is stored into a directory that another server opens; with `skip_head`, only what is in
/// chunk files already.
pub async fn snapshot(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let form = read_form(request, &app.config.requests).await?;
    let skip_head = match form.get("skip_head") {
        "" => false,
        text => parse_bool(text).ok_or_else(|| {
            let reason = format!("strconv.ParseBool: parsing {text:?}: invalid syntax");
            ApiError::parameter("skip_head", format!("unable to parse boolean {reason}"))
        })?,
    };
    let time = format_time(app.now() / 1000 * 1000).replace(['-', ':'], "");
    let name = spawn_blocking(move || app.unscoped_store.snapshot(&time, !skip_head))
        .await
        .map_err(internal)?
        .map_err(internal)?;
    tracing::info!(target: "audit", name, "took a snapshot");
    Ok(success(|out| {
        out.extend_from_slice(br#"{"name":"#);
        push_html_string(out, &name);
        out.push(b'}');
    }))
}

/// There is nothing to reload, and a process is stopped by its supervisor.
pub async fn lifecycle(method: Method) -> Response {
    if method == Method::POST || method == Method::PUT {
        plain(StatusCode::FORBIDDEN, "Lifecycle API is not enabled.")
    } else {
        plain(StatusCode::METHOD_NOT_ALLOWED, "Only POST or PUT requests allowed.")
    }
}

fn internal(error: impl std::fmt::Display) -> ApiError {
    ApiError::new(ErrorType::Internal, error.to_string())
}
