//! Administration: flushing and compacting, and Prometheus' admin calls as far as the store can.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::task::spawn_blocking;

use crate::app::App;
use crate::error::{ApiError, ErrorType};
use crate::reply::plain;

/// Flushes what is in memory, compacts everything and answers when it is done.
pub async fn compact(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let internal = |text: String| ApiError::new(ErrorType::Internal, text);
    spawn_blocking(move || app.unscoped_store.compact())
        .await
        .map_err(|e| internal(e.to_string()))?
        .map_err(|e| internal(e.to_string()))?;
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

pub async fn delete_series() -> ApiError {
    unavailable("deleting series")
}

pub async fn clean_tombstones() -> ApiError {
    unavailable("cleaning tombstones")
}

pub async fn snapshot() -> ApiError {
    unavailable("taking snapshots")
}

/// There is nothing to reload, and a process is stopped by its supervisor.
pub async fn lifecycle(method: Method) -> Response {
    if method == Method::POST || method == Method::PUT {
        plain(StatusCode::FORBIDDEN, "Lifecycle API is not enabled.")
    } else {
        plain(StatusCode::METHOD_NOT_ALLOWED, "Only POST or PUT requests allowed.")
    }
}

fn unavailable(what: &str) -> ApiError {
    ApiError::new(ErrorType::Unavailable, format!("{what} is not available in this version"))
}
