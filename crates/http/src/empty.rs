//! Rules, alerts and targets: this server has none, and says so in Prometheus' shapes.

use axum::extract::Request;
use axum::response::Response;

use crate::error::ApiError;
use crate::param::Form;
use crate::reply::success;

pub async fn rules(request: Request) -> Result<Response, ApiError> {
    let form = Form::of_query(request.uri().query().unwrap_or(""));
    match form.get("type") {
        "" | "alert" | "record" => Ok(constant(r#"{"groups":[]}"#)),
        other => Err(ApiError::parameter("type", format!("not supported value {other:?}"))),
    }
}

pub async fn alerts() -> Response {
    constant(r#"{"alerts":[]}"#)
}

pub async fn alertmanagers() -> Response {
    constant(r#"{"activeAlertmanagers":[],"droppedAlertmanagers":[]}"#)
}

pub async fn targets() -> Response {
    constant(r#"{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":{}}"#)
}

pub async fn scrape_pools() -> Response {
    constant(r#"{"scrapePools":[]}"#)
}

pub async fn list() -> Response {
    constant("[]")
}

fn constant(json: &str) -> Response {
    success(|out| out.extend_from_slice(json.as_bytes()))
}
