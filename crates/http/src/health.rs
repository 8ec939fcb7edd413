//! Is the server there, does it take requests, what does it measure.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::error::ApiError;
use crate::query::blocking;
use crate::reply::plain;

pub async fn healthy() -> Response {
    plain(StatusCode::OK, "metricstor is healthy.")
}

/// For people, and for clients that look whether anything is there at all.
pub async fn welcome() -> Response {
    plain(
        StatusCode::OK,
        "metricstor: Prometheus' HTTP API is at /api/v1, described in /api/v1/openapi.yaml",
    )
}

/// 503 once the server is stopping, so that balancers look elsewhere.
pub async fn ready(State(app): State<Arc<App>>) -> Response {
    if app.is_stopping() {
        plain(StatusCode::SERVICE_UNAVAILABLE, "metricstor is stopping.")
    } else {
        plain(StatusCode::OK, "metricstor is ready.")
    }
}

/// Counts series, so not on the threads that serve connections.
pub async fn metrics(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    const TYPE: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    let page = blocking(move || app.registry.expose()).await?;
    Ok(([(header::CONTENT_TYPE, TYPE)], page).into_response())
}
