//! Certificates over HTTP: enrolment for everybody, administration for administrators.

mod administration;
mod applicants;
mod attempts;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use metricstor_pki::{EnrolError, Refusal};
use serde::Serialize;

pub use self::administration::{
    add_root, approve, can_i, create_bearer, create_token, deny, drop_old_roots, identities,
    pending, revoke, rotate_issuing, tokens, withdraw,
};
pub use self::applicants::{approval, bundle, crl, crl_of, enrol, renew};
pub use self::attempts::Attempts;
use crate::reply::{JSON, plain};

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let body = serde_json::to_vec(body).expect("plain data can be serialised");
    (status, [(header::CONTENT_TYPE, JSON)], body).into_response()
}

/// A refusal in one line, with the status that tells clients whether to try again.
fn refused(error: &EnrolError) -> Response {
    let status = match error {
        EnrolError::Refused(refusal) => match refusal {
            Refusal::Full => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::NameTaken | Refusal::TokenExists | Refusal::ClockSetBack => {
                StatusCode::CONFLICT
            }
            Refusal::NobodyWaits => StatusCode::NOT_FOUND,
            Refusal::TooLong => StatusCode::BAD_REQUEST,
            Refusal::UnknownToken
            | Refusal::TokenExpired
            | Refusal::TokenUsed
            | Refusal::NameNotAllowed
            | Refusal::Revoked
            | Refusal::NotEnrolled
            | Refusal::Denied => StatusCode::FORBIDDEN,
        },
        EnrolError::Csr(_)
        | EnrolError::Identity(_)
        | EnrolError::TokenSpec
        | EnrolError::BearerSpec => StatusCode::BAD_REQUEST,
        EnrolError::Expired(_) => StatusCode::FORBIDDEN,
        EnrolError::Pki(error) => {
            tracing::error!(%error, "a certificate could not be granted for a fault of this server");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    plain(status, &error.to_string())
}
