//! Which path is answered by which handler, and what every request passes on its way there.
//!
//! Invariant: a path is behind the verb of its group; there is no handler outside a group.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, delete, get, post};
use axum::{Extension, Router};
use metricstor_pki::Verb;
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;
use crate::body::discard;
use crate::caller::{Caller, Peer, Refused};
use crate::error::{ApiError, ErrorType};
use crate::redirect::redirect;
use crate::reply::plain;
use crate::server::Place;
use crate::{admin, empty, health, ingest, notifications, provision, query, search, status};

/// All paths.
pub fn router(app: Arc<App>) -> Router {
    let panics = app.instruments.panics.clone();
    Router::new()
        .merge(open())
        .merge(writing().route_layer(from_fn_with_state((Arc::clone(&app), Verb::Write), guard)))
        .merge(reading().route_layer(from_fn_with_state((Arc::clone(&app), Verb::Read), guard)))
        .merge(
            inspecting()
                .route_layer(from_fn(whole_view))
                .route_layer(from_fn_with_state((Arc::clone(&app), Verb::Read), guard)),
        )
        .merge(
            administering().route_layer(from_fn_with_state((Arc::clone(&app), Verb::Admin), guard)),
        )
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(Arc::clone(&app), strangers))
        .layer(CatchPanicLayer::custom(move |_panic| {
            panics.inc();
            internal()
        }))
        .layer(from_fn_with_state(Arc::clone(&app), measure))
        .layer(from_fn(cross_origin))
        .with_state(app)
}

fn open() -> Router<Arc<App>> {
    let pki = Router::new()
        .route("/enrol", post(provision::enrol))
        .route("/approval", post(provision::approval))
        .route("/renew", post(provision::renew))
        .route("/bundle", get(provision::bundle))
        .route("/crl", get(provision::crl))
        .route("/crl/{issuer}", get(provision::crl_of));
    Router::new()
        .route("/", get(health::welcome))
        .route("/-/healthy", get(health::healthy))
        .route("/-/ready", get(health::ready))
        .nest("/pki/v1", pki)
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
        .route("/read", post(query::remote_read))
        .route("/search/metric_names", get(search::metric_names).post(search::metric_names))
        .route("/search/label_names", get(search::label_names).post(search::label_names))
        .route("/search/label_values", get(search::label_values).post(search::label_values))
        .route("/rules", get(empty::rules))
        .route("/alerts", get(empty::alerts))
        .route("/alertmanagers", get(empty::alertmanagers))
        .route("/targets", get(empty::targets))
        .route("/targets/metadata", get(empty::targets_metadata))
        .route("/targets/relabel_steps", get(empty::relabel_steps))
        .route("/scrape_pools", get(empty::scrape_pools))
        .route("/notifications", get(notifications::list))
        .route("/notifications/live", get(notifications::live))
        .route("/features", get(status::features))
        .route("/openapi.yaml", get(status::openapi))
        .route("/status/buildinfo", get(status::buildinfo))
        .route("/status/flags", get(status::flags))
        .route("/status/runtimeinfo", get(status::runtimeinfo))
        .route("/status/tsdb", get(status::tsdb))
        .route("/status/walreplay", get(status::walreplay));
    Router::new()
        .nest("/api/v1", v1)
        .route("/federate", get(query::federate))
        .route("/version", get(status::version))
}

/// What the server says about itself, all tenants and identities included.
fn inspecting() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/status/config", get(status::config))
        .route("/api/v1/status/self_metrics", get(status::self_metrics))
        .route("/api/v1/status/tsdb/blocks", get(status::blocks))
        .route("/metrics", get(health::metrics))
}

fn administering() -> Router<Arc<App>> {
    let v1 = Router::new()
        .route("/storage/compact", post(admin::compact))
        .route("/queries/{id}/cancel", post(admin::cancel_query))
        .route("/tsdb/delete_series", post(admin::delete_series).put(admin::delete_series))
        .route("/tsdb/clean_tombstones", post(admin::clean_tombstones).put(admin::clean_tombstones))
        .route("/tsdb/snapshot", post(admin::snapshot).put(admin::snapshot));
    let pki = Router::new()
        .route("/tokens", get(provision::tokens).post(provision::create_token))
        .route("/tokens/{id}", delete(provision::withdraw))
        .route("/bearers", post(provision::create_bearer))
        .route("/pending", get(provision::pending))
        .route("/pending/{fingerprint}/approve", post(provision::approve))
        .route("/pending/{fingerprint}/deny", post(provision::deny))
        .route("/identities", get(provision::identities))
        .route("/revoke", post(provision::revoke))
        .route("/rotate/issuing", post(provision::rotate_issuing))
        .route("/rotate/root", post(provision::add_root))
        .route("/rotate/drop-old-roots", post(provision::drop_old_roots))
        .route("/policy/can-i", get(provision::can_i));
    Router::new()
        .nest("/api/v1/admin", v1)
        .nest("/api/v1/admin/pki", pki)
        .route("/api/v1/status/active_queries", get(status::active_queries))
        .route("/-/reload", any(admin::lifecycle))
        .route("/-/quit", any(admin::lifecycle))
}

async fn not_found(request: Request) -> Response {
    // Grafana recognises a missing API by these words.
    redirect(&request).unwrap_or_else(|| plain(StatusCode::NOT_FOUND, "404 page not found"))
}

async fn method_not_allowed() -> Response {
    plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
}

fn internal() -> Response {
    ApiError::new(ErrorType::Internal, "the request failed for a bug of this server; see its log")
        .into_response()
}

/// Who shows neither certificate nor token learns of nothing but health and enrolment, not even which
/// paths there are.
async fn strangers(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let is_open = path == "/-/healthy" || path.starts_with("/pki/v1/");
    let is_stranger = matches!(peer, Peer::Anonymous(_))
        && !request.headers().contains_key(header::AUTHORIZATION);
    if is_stranger && !is_open {
        app.instruments.refused_requests.with(&[Refused::Unknown.reason()]).inc();
        return answer(&Refused::Unknown, request).await;
    }
    next.run(request).await
}

/// Lets those through whom the policy grants the verb, with their [`Caller`].
async fn guard(
    State((app, verb)): State<(Arc<App>, Verb)>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    if verb == Verb::Admin {
        let refusal = if is_foreign_page(request.headers()) {
            Some("administration is not possible from another site's page")
        } else if matches!(peer, Peer::Local) && has_foreign_name(&request) {
            Some("for administration this server is named localhost, or by its address")
        } else {
            None
        };
        if let Some(text) = refusal {
            return ApiError::new(ErrorType::Forbidden, text).into_response();
        }
    }
    match Caller::admit(&app.pki, &peer, request.headers(), verb) {
        Ok(caller) => {
            if let Some(place) = request.extensions().get::<Arc<Place>>() {
                place.give_up();
            }
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refused) => {
            app.instruments.refused_requests.with(&[refused.reason()]).inc();
            // Strangers are counted only: they must not be able to fill the log.
            if !matches!(refused, Refused::Unknown | Refused::Bearer) {
                let path = request.uri().path();
                tracing::warn!(target: "audit", %peer, %verb, path, reason = %refused, "refused a request");
            }
            answer(&refused, request).await
        }
    }
}

async fn answer(refused: &Refused, request: Request) -> Response {
    let version = request.version();
    discard(request.into_body()).await;
    let text = refused.to_string();
    let mut response = match refused {
        Refused::Unknown | Refused::Bearer => {
            let mut response = plain(StatusCode::UNAUTHORIZED, &text);
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
            response
        }
        Refused::NoTenant(_) => ApiError::bad_data(text).into_response(),
        Refused::NotAdmitted { .. } | Refused::Tenant { .. } => {
            ApiError::new(ErrorType::Forbidden, text).into_response()
        }
    };
    if refused.ends_connection() && version < Version::HTTP_2 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Refuses those who see only a part of what is stored.
async fn whole_view(
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Response {
    if caller.sees_the_server() {
        return next.run(request).await;
    }
    let text = format!("{caller} is bound to a tenant or to matchers and may not see the server");
    ApiError::new(ErrorType::Forbidden, text).into_response()
}

/// A browser that was sent here by a page of another site.
fn is_foreign_page(headers: &HeaderMap) -> bool {
    match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        Some(site) => site != b"same-origin" && site != b"none",
        None => headers.contains_key(header::ORIGIN),
    }
}

/// Is this machine addressed by a name that may be another's? A browser takes pages of a site that
/// makes its name lead here (DNS rebinding) for this server's own. Without TLS nothing else tells
/// them apart; names without dots are nobody's on the internet.
fn has_foreign_name(request: &Request) -> bool {
    let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = header.and_then(|host| host.parse::<Authority>().ok());
    let host = request.uri().host().or(authority.as_ref().map(Authority::host));
    let name = host.unwrap_or_default().trim_matches(['[', ']']).trim_end_matches('.');
    name.contains('.') && !name.ends_with(".localhost") && name.parse::<IpAddr>().is_err()
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

/// Pages of other sites may read answers, as from Prometheus; `OPTIONS` is answered wherever there is
/// something, to whomever asks: a browser asks without credentials.
async fn cross_origin(request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let is_question = request.method() == Method::OPTIONS;
    let mut response = next.run(request).await;
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    match response.status() {
        StatusCode::NOT_FOUND => return response,
        _ if is_question => response = StatusCode::NO_CONTENT.into_response(),
        StatusCode::METHOD_NOT_ALLOWED => return response,
        _ => {}
    }
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
