//! What administrators do to identities: tokens, approvals, revocations, rotations, questions.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use metricstor_pki::{
    BearerSpec, EnrolError, Kind, NamePattern, PkiError, Provisioner, Registrar, RotateError,
    Subject, TokenId, TokenSpec, UnixTime, Verb, approval_code,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json as tree};
use tokio::task::spawn_blocking;

use super::{json, refused};
use crate::app::App;
use crate::body::read_body;
use crate::caller::Caller;
use crate::param::{Form, format_time};
use crate::reply::plain;

type Shared = State<Arc<App>>;
type By = Extension<Caller>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenOrder {
    kind: Kind,
    names: NamePattern,
    uses: u32,
    ttl_seconds: u64,
}

/// Makes an enrolment token; the answer is the only time that its secret is seen.
pub async fn create_token(State(app): Shared, by: By, request: Request) -> Response {
    let order: TokenOrder = match body(&app, request).await {
        Ok(order) => order,
        Err(response) => return response,
    };
    let lifetime = Duration::from_secs(order.ttl_seconds);
    let spec = TokenSpec { kind: order.kind, names: order.names, uses: order.uses, lifetime };
    decide(&app, by, move |pki, by| {
        let token = pki.registrar().create_token(&spec, by, pki.now())?;
        Ok(tree!({ "id": token.id, "token": token.reveal() }))
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BearerOrder {
    subject: Subject,
    ttl_seconds: u64,
}

/// Makes a bearer token, likewise.
pub async fn create_bearer(State(app): Shared, by: By, request: Request) -> Response {
    let order: BearerOrder = match body(&app, request).await {
        Ok(order) => order,
        Err(response) => return response,
    };
    let lifetime = Duration::from_secs(order.ttl_seconds);
    let spec = BearerSpec { subject: order.subject, lifetime };
    decide(&app, by, move |pki, by| {
        let token = pki.registrar().create_bearer(&spec, by, pki.now())?;
        Ok(tree!({ "id": token.id, "token": token.reveal() }))
    })
    .await
}

/// Tokens of both sorts, without their secrets.
pub async fn tokens(State(app): Shared, by: By) -> Response {
    decide(&app, by, |pki, _| {
        let registrar = pki.registrar();
        let state = registrar.state();
        let enrolment = state.tokens.iter().map(|(id, token)| {
            tree!({
                "id": id, "type": "enrolment",
                "for": format!("{}/{}", token.kind, token.names),
                "uses_left": token.uses_left,
                "used_by": token.redeemed.values().collect::<Vec<_>>(),
                "expires": time(token.expires_at),
            })
        });
        let bearer = state.bearers.iter().map(|(id, bearer)| {
            tree!({
                "id": id, "type": "bearer", "for": bearer.subject,
                "expires": time(bearer.expires_at),
            })
        });
        Ok(enrolment.chain(bearer).collect::<Value>())
    })
    .await
}

/// Withdraws a token of either sort.
pub async fn withdraw(State(app): Shared, by: By, Path(id): Path<String>) -> Response {
    let Ok(id) = id.parse::<TokenId>() else {
        return plain(StatusCode::NOT_FOUND, "no such token: the id is its second part");
    };
    decide(&app, by, move |pki, by| {
        pki.registrar().withdraw(id, by, pki.now())?;
        Ok(Value::Null)
    })
    .await
}

/// Who waits for approval.
pub async fn pending(State(app): Shared, by: By) -> Response {
    decide(&app, by, |pki, _| {
        let registrar = pki.registrar();
        let root = registrar.authority().root_pin()?;
        let waiting = registrar.state().pending.iter().filter(|(_, p)| p.verdict.is_none());
        let waiting = waiting.map(|(key, pending)| {
            tree!({
                "fingerprint": approval_code(key, &root), "subject": pending.subject,
                "since": time(pending.since), "facts": pending.facts,
            })
        });
        Ok(waiting.collect::<Value>())
    })
    .await
}

pub async fn approve(State(app): Shared, by: By, Path(code): Path<String>) -> Response {
    decide(&app, by, move |pki, by| {
        let subject = pki.registrar().approve(&code, by, pki.now())?;
        Ok(tree!({ "subject": subject }))
    })
    .await
}

pub async fn deny(State(app): Shared, by: By, Path(code): Path<String>) -> Response {
    decide(&app, by, move |pki, by| {
        pki.registrar().deny(&code, by, pki.now())?;
        Ok(Value::Null)
    })
    .await
}

/// Everybody who is enrolled or revoked.
pub async fn identities(State(app): Shared, by: By) -> Response {
    decide(&app, by, |pki, _| Ok(all_identities(&pki.registrar(), pki.now()))).await
}

#[derive(Serialize)]
struct Known<'a> {
    subject: &'a Subject,
    enrolled: Option<String>,
    renewed: Option<String>,
    /// When the newest certificate ends.
    expires: Option<String>,
    revoked: Option<&'a str>,
}

fn all_identities(registrar: &Registrar, now: UnixTime) -> Value {
    let state = registrar.state();
    let mut subjects: Vec<&Subject> = state.enrolled.keys().chain(state.revoked.keys()).collect();
    subjects.sort_unstable();
    subjects.dedup();
    let known = subjects.into_iter().map(|subject| {
        let enrolment = state.enrolled.get(subject);
        let live =
            state.issued.values().filter(|i| i.subject == *subject && i.until > now.as_secs());
        let live = live.filter(|i| !state.is_revoked(subject, i.at)).map(|i| i.until).max();
        let known = Known {
            subject,
            enrolled: enrolment.map(|e| time(e.since)),
            renewed: enrolment.map(|e| time(e.renewed_at)),
            expires: live.map(time),
            revoked: match live {
                // Enrolled anew after the revocation.
                Some(_) => None,
                None => state.revoked.get(subject).map(|r| r.reason.as_str()),
            },
        };
        serde_json::to_value(known).expect("plain data can be serialised")
    });
    known.collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeOrder {
    subject: Subject,
    #[serde(default)]
    reason: String,
}

pub async fn revoke(State(app): Shared, by: By, request: Request) -> Response {
    let order: RevokeOrder = match body(&app, request).await {
        Ok(order) => order,
        Err(response) => return response,
    };
    if app.pki.is_own(&order.subject) {
        return plain(StatusCode::CONFLICT, "the server cannot revoke its own identity");
    }
    decide(&app, by, move |pki, by| {
        let mut registrar = pki.registrar();
        let known = is_known(&registrar, &order.subject);
        registrar.revoke(&order.subject, &order.reason, by, pki.now())?;
        Ok(tree!({ "known": known }))
    })
    .await
}

/// Whether anything was ever granted to it: who revokes a misspelt name has to hear of it.
fn is_known(registrar: &Registrar, subject: &Subject) -> bool {
    let state = registrar.state();
    state.enrolled.contains_key(subject)
        || state.issued.values().any(|issued| issued.subject == *subject)
        || state.bearers.values().any(|bearer| bearer.subject == *subject)
}

pub async fn rotate_issuing(State(app): Shared, by: By) -> Response {
    decide(&app, by, |pki, by| Ok(pki.rotate_issuing(by).map(|()| Value::Null)?)).await
}

pub async fn add_root(State(app): Shared, by: By) -> Response {
    decide(&app, by, |pki, by| Ok(pki.add_root(by).map(|()| Value::Null)?)).await
}

/// `?force=true` locks out whoever does not know the new root.
pub async fn drop_old_roots(State(app): Shared, by: By, request: Request) -> Response {
    let force = Form::of_query(request.uri().query().unwrap_or("")).get("force") == "true";
    let (pki, by) = (Arc::clone(&app.pki), by.to_string());
    match spawn_blocking(move || pki.drop_old_roots(&by, force)).await {
        Ok(Ok(())) => json(StatusCode::OK, &Value::Null),
        Ok(Err(error @ RotateError::Lagging(_))) => plain(StatusCode::CONFLICT, &error.to_string()),
        Ok(Err(RotateError::Pki(error))) => fault(error),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "a bug of this server; see its log"),
    }
}

/// What the policy in force says about `?subject=`, and with `?verb=` whether it may.
pub async fn can_i(State(app): Shared, request: Request) -> Response {
    let form = Form::of_query(request.uri().query().unwrap_or(""));
    let Ok(subject) = form.get("subject").parse::<Subject>() else {
        return plain(StatusCode::BAD_REQUEST, "subject: <kind>/<name>, such as agent/web-1");
    };
    let verb = serde_json::from_value::<Verb>(form.get("verb").into());
    let Ok(verb) = verb else {
        return plain(StatusCode::BAD_REQUEST, "verb: write, read, rules, admin or peer");
    };
    let policy = app.pki.guard().policy();
    json(
        StatusCode::OK,
        &match policy.decide(&subject, verb) {
            Ok(grant) => tree!({ "allowed": true, "why": grant.to_string() }),
            Err(denial) => tree!({ "allowed": false, "why": denial.to_string() }),
        },
    )
}

async fn body<T: DeserializeOwned>(app: &App, request: Request) -> Result<T, Response> {
    let (limit, grace) = (app.config.enrolment.body_bytes, app.config.requests.body_grace);
    let body = read_body(request.into_body(), limit, grace)
        .await
        .map_err(|error| plain(error.status(), &error.to_string()))?;
    serde_json::from_slice(&body)
        .map_err(|error| plain(StatusCode::BAD_REQUEST, &error.to_string()))
}

async fn decide(
    app: &Arc<App>,
    by: By,
    decide: impl FnOnce(&Provisioner, &str) -> Result<Value, EnrolError> + Send + 'static,
) -> Response {
    let (pki, by) = (Arc::clone(&app.pki), by.to_string());
    match spawn_blocking(move || decide(&pki, &by)).await {
        Ok(Ok(answer)) => json(StatusCode::OK, &answer),
        Ok(Err(EnrolError::Pki(error))) => fault(error),
        Ok(Err(error)) => refused(&error),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "a bug of this server; see its log"),
    }
}

/// An administrator is told what to do about it.
fn fault(error: PkiError) -> Response {
    tracing::error!(%error, "a change to the authority failed");
    plain(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
}

fn time(seconds: u64) -> String {
    format_time(i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX))
}
