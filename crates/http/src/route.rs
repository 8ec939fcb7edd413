//! Which path is answered by which handler, and what every request passes on its way there.
//!
//! Invariant: a path is behind the verb of its group; there is no handler outside a group.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Router};
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;
use crate::caller::{Caller, Verb};
use crate::error::{ApiError, ErrorType};
use crate::reply::plain;
use crate::{admin, empty, health, ingest, query, status};

/// All paths.
pub fn router(app: Arc<App>) -> Router {
    let panics = app.instruments.panics.clone();
    Router::new()
        .merge(open())
        .merge(writing().route_layer(from_fn(require_write)))
        .merge(reading().route_layer(from_fn(require_read)))
        .merge(administering().route_layer(from_fn(require_admin)))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(move |_panic| {
            panics.inc();
            internal()
        }))
        .layer(from_fn_with_state(Arc::clone(&app), measure))
        .layer(from_fn(cross_origin))
        .with_state(app)
}

fn open() -> Router<Arc<App>> {
    Router::new().route("/-/healthy", get(health::healthy)).route("/-/ready", get(health::ready))
}

fn writing() -> Router<Arc<App>> {
    Router::new().route("/api/v1/write", post(ingest::remote_write))
}

fn reading() -> Router<Arc<App>> {
    let v1 = Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route("/query_exemplars", get(query::exemplars).post(query::exemplars))
        .route("/format_query", get(query::format).post(query::format))
        .route("/parse_query", get(query::parse).post(query::parse))
        .route("/series", get(query::series).post(query::series))
        .route("/labels", get(query::label_names).post(query::label_names))
        .route("/label/{name}/values", get(query::label_values))
        .route("/metadata", get(query::metadata))
        .route("/rules", get(empty::rules))
        .route("/alerts", get(empty::alerts))
        .route("/alertmanagers", get(empty::alertmanagers))
        .route("/targets", get(empty::targets))
        .route("/targets/metadata", get(empty::list))
        .route("/scrape_pools", get(empty::scrape_pools))
        .route("/notifications", get(empty::list))
        .route("/features", get(status::features))
        .route("/openapi.yaml", get(status::openapi))
        .route("/status/buildinfo", get(status::buildinfo))
        .route("/status/flags", get(status::flags))
        .route("/status/config", get(status::config))
        .route("/status/runtimeinfo", get(status::runtimeinfo))
        .route("/status/tsdb", get(status::tsdb))
        .route("/status/walreplay", get(status::walreplay));
    Router::new()
        .nest("/api/v1", v1)
        .route("/federate", get(query::federate))
        .route("/metrics", get(health::metrics))
        .route("/version", get(status::version))
}

fn administering() -> Router<Arc<App>> {
    let v1 = Router::new()
        .route("/storage/compact", post(admin::compact))
        .route("/queries/{id}/cancel", post(admin::cancel_query))
        .route("/tsdb/delete_series", post(admin::delete_series).put(admin::delete_series))
        .route("/tsdb/clean_tombstones", post(admin::clean_tombstones).put(admin::clean_tombstones))
        .route("/tsdb/snapshot", post(admin::snapshot).put(admin::snapshot));
    Router::new()
        .nest("/api/v1/admin", v1)
        .route("/api/v1/status/active_queries", get(status::active_queries))
        .route("/-/reload", any(admin::lifecycle))
        .route("/-/quit", any(admin::lifecycle))
}

async fn not_found() -> Response {
    // Grafana recognises a missing API by these words.
    plain(StatusCode::NOT_FOUND, "404 page not found")
}

async fn method_not_allowed() -> Response {
    plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
}

fn internal() -> Response {
    ApiError::new(ErrorType::Internal, "the request failed for a bug of this server; see its log")
        .into_response()
}

async fn require_write(caller: Extension<Caller>, request: Request, next: Next) -> Response {
    require(Verb::Write, caller, request, next).await
}

async fn require_read(caller: Extension<Caller>, request: Request, next: Next) -> Response {
    require(Verb::Read, caller, request, next).await
}

async fn require_admin(caller: Extension<Caller>, request: Request, next: Next) -> Response {
    if is_foreign_page(request.headers()) {
        let text = "administration is not possible from another site's page";
        return ApiError::new(ErrorType::Forbidden, text).into_response();
    }
    require(Verb::Admin, caller, request, next).await
}

async fn require(verb: Verb, caller: Extension<Caller>, request: Request, next: Next) -> Response {
    if caller.may(verb) {
        return next.run(request).await;
    }
    tracing::info!(caller = %*caller, ?verb, path = request.uri().path(), "refused a request");
    let text = format!("{} may not {verb}", *caller);
    ApiError::new(ErrorType::Forbidden, text).into_response()
}

/// A browser that was sent here by a page of another site.
fn is_foreign_page(headers: &HeaderMap) -> bool {
    match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        Some(site) => site != b"same-origin" && site != b"none",
        None => headers.contains_key(header::ORIGIN),
    }
}

/// Counts and times every request under its path pattern, so that unknown paths share one label.
async fn measure(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let _in_work = app.instruments.in_work.hold();
    let start = Instant::now();
    let response = next.run(request).await;
    let path = path.as_ref().map_or("other", MatchedPath::as_str);
    app.instruments.took.with(&[path]).observe(start.elapsed());
    app.instruments.requests.with(&[path, response.status().as_str()]).inc();
    response
}

/// Pages of other sites may read answers, as from Prometheus; `OPTIONS` is answered everywhere.
async fn cross_origin(request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        let allow = |text| HeaderValue::from_static(text);
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            allow("Accept, Authorization, Content-Type, Origin"),
        );
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, allow("GET, POST, OPTIONS"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, allow("Date"));
    }
    response
}
