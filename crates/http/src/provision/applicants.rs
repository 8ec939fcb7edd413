//! What those without a certificate, or with an old one, may ask for.
//!
//! Invariant: a body is bounded before it is read, an asker is counted before anything is computed,
//! and nothing of a request's address line ever carries a secret.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use metricstor_pki::{
    ApprovalAnswer, ApprovalRequest, EnrolError, EnrolRequest, KeyHash, Provisioner, RenewRequest,
};
use serde::de::DeserializeOwned;
use tokio::task::spawn_blocking;

use super::{json, refused};
use crate::app::App;
use crate::body::read_body;
use crate::caller::Peer;
use crate::reply::plain;

const PEM: HeaderValue = HeaderValue::from_static("application/x-pem-file");
const CRL: HeaderValue = HeaderValue::from_static("application/pkix-crl");

/// A certificate for a token.
pub async fn enrol(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    answer(&app, &peer, "enrol", request, |pki, asked: EnrolRequest| {
        Ok((StatusCode::OK, pki.registrar().enrol(&asked, pki.now())?))
    })
    .await
}

/// A certificate for whom an administrator approves; asked again until there is a verdict.
pub async fn approval(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    answer(&app, &peer, "approval", request, |pki, asked: ApprovalRequest| {
        let answer = pki.registrar().ask_approval(&asked, pki.now())?;
        let status = match answer {
            ApprovalAnswer::Pending { .. } => StatusCode::ACCEPTED,
            ApprovalAnswer::Approved(_) => StatusCode::OK,
        };
        Ok((status, answer))
    })
    .await
}

/// The successor of the connection's certificate, or of an expired one that comes along.
pub async fn renew(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    let shown = peer.identity().cloned();
    answer(&app, &peer, "renew", request, move |pki, asked: RenewRequest| {
        Ok((StatusCode::OK, pki.registrar().renew(shown.as_deref(), &asked, pki.now())?))
    })
    .await
}

/// The trusted roots.
pub async fn bundle(State(app): State<Arc<App>>) -> Response {
    let bundle = spawn_blocking(move || {
        metricstor_pki::certificates_to_pem(app.pki.registrar().authority().trust_bundle())
    });
    match bundle.await {
        Ok(pem) => ([(header::CONTENT_TYPE, PEM)], pem).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The revocation lists, one from every key of the authority.
pub async fn crl(State(app): State<Arc<App>>) -> Response {
    match spawn_blocking(move || app.pki.crl()).await {
        Ok(Ok(pem)) => ([(header::CONTENT_TYPE, PEM)], pem).into_response(),
        Ok(Err(error)) => refused(&EnrolError::Pki(error)),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The list of one issuing key, as certificates point to it: DER, and nothing else.
pub async fn crl_of(State(app): State<Arc<App>>, Path(issuer): Path<String>) -> Response {
    let Ok(issuer) = issuer.parse::<KeyHash>() else { return no_such_issuer() };
    match spawn_blocking(move || app.pki.crl_of(&issuer)).await {
        Ok(Ok(Some(der))) => ([(header::CONTENT_TYPE, CRL)], der).into_response(),
        Ok(Ok(None)) => no_such_issuer(),
        Ok(Err(error)) => refused(&EnrolError::Pki(error)),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn no_such_issuer() -> Response {
    plain(StatusCode::NOT_FOUND, "no key of this authority has that hash")
}

async fn answer<Q, A>(
    app: &Arc<App>,
    peer: &Peer,
    what: &'static str,
    request: Request,
    decide: impl FnOnce(&Provisioner, Q) -> Result<(StatusCode, A), EnrolError> + Send + 'static,
) -> Response
where
    Q: DeserializeOwned + Send + 'static,
    A: serde::Serialize + Send + 'static,
{
    let response = judge(app, peer, request, decide).await;
    let result = match response.status() {
        status if status.is_success() => "granted",
        status if status.is_server_error() => "failed",
        _ => "refused",
    };
    app.instruments.enrolments.with(&[what, result]).inc();
    response
}

async fn judge<Q, A>(
    app: &Arc<App>,
    peer: &Peer,
    request: Request,
    decide: impl FnOnce(&Provisioner, Q) -> Result<(StatusCode, A), EnrolError> + Send + 'static,
) -> Response
where
    Q: DeserializeOwned + Send + 'static,
    A: serde::Serialize + Send + 'static,
{
    if !app.attempts.admit(peer) {
        let mut response = plain(StatusCode::TOO_MANY_REQUESTS, "asked too often; wait a minute");
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
        return response;
    }
    if request.uri().query().is_some() {
        // Addresses end up in logs of proxies.
        app.attempts.refused(peer);
        return plain(StatusCode::BAD_REQUEST, "send the request in the body, not in the address");
    }
    let limits = &app.config.enrolment;
    let grace = app.config.requests.body_grace;
    let body = match read_body(request.into_body(), limits.body_bytes, grace).await {
        Ok(body) => body,
        Err(error) => return plain(error.status(), &error.to_string()),
    };
    let Ok(asked) = serde_json::from_slice::<Q>(&body) else {
        app.attempts.refused(peer);
        // The body may hold secrets: nothing of it is repeated.
        return plain(StatusCode::BAD_REQUEST, "the body is not such a request");
    };
    let pki = Arc::clone(&app.pki);
    match spawn_blocking(move || decide(&pki, asked)).await {
        Ok(Ok((status, answer))) => json(status, &answer),
        Ok(Err(error)) => {
            app.attempts.refused(peer);
            refused(&error)
        }
        Err(_) => {
            app.instruments.panics.inc();
            plain(StatusCode::INTERNAL_SERVER_ERROR, "the request failed for a bug of this server")
        }
    }
}
