//! What a writer is told. Prometheus drops what is answered 4xx and retries what is answered 5xx:
//! 4xx only for what can never succeed.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use metricstor_storage::{RefusalReason, WriteError, WriteOutcome};
use metricstor_wire::DecodeError;

use crate::body::BodyError;
use crate::config::RequestLimits;

/// Why nothing of a request was stored.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("content type {0:?} is not supported, send application/x-protobuf")]
    ContentType(String),
    #[error("content encoding {0:?} is not supported, send snappy")]
    Encoding(String),
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("this sender's limit of samples per second is used up; send again in {seconds} s")]
    Rate { seconds: u64 },
    #[error("overloaded: too many requests are being written")]
    Overloaded,
    #[error(transparent)]
    Store(WriteError),
    #[error("the request failed for a bug of this server; see its log")]
    Bug,
}

impl Refused {
    pub fn status(&self, limits: &RequestLimits) -> StatusCode {
        let overload = if limits.overload_is_429 {
            StatusCode::TOO_MANY_REQUESTS
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        match self {
            Self::ContentType(_) | Self::Encoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Body(error) => error.status(),
            Self::Decode(DecodeError::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Decode(
                DecodeError::Snappy(_)
                | DecodeError::Protobuf { .. }
                | DecodeError::Regexes(_)
                | DecodeError::Invalid(_),
            ) => StatusCode::BAD_REQUEST,
            Self::Rate { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Overloaded
            | Self::Decode(DecodeError::NoRoom)
            | Self::Store(WriteError::Overloaded { .. }) => overload,
            Self::Store(
                WriteError::Memory(_)
                | WriteError::DiskFull(_)
                | WriteError::Poisoned(_)
                | WriteError::Closed,
            ) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(WriteError::Failed(_)) | Self::Bug => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The `reason` label of the refusal counter.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::ContentType(_) | Self::Encoding(_) => "media_type",
            Self::Body(BodyError::TooLarge(_)) => "too_large",
            Self::Decode(DecodeError::TooLarge { .. }) => "too_large",
            Self::Body(BodyError::TooSlow | BodyError::Broken) => "body",
            Self::Decode(
                DecodeError::Snappy(_)
                | DecodeError::Protobuf { .. }
                | DecodeError::Regexes(_)
                | DecodeError::Invalid(_),
            ) => "malformed",
            Self::Rate { .. } => "rate",
            Self::Overloaded
            | Self::Decode(DecodeError::NoRoom)
            | Self::Store(WriteError::Overloaded { .. }) => "overloaded",
            Self::Store(WriteError::Memory(_)) => "memory",
            Self::Store(WriteError::DiskFull(_)) => "disk_full",
            Self::Store(WriteError::Poisoned(_)) => "poisoned",
            Self::Store(WriteError::Closed) => "closed",
            Self::Store(WriteError::Failed(_)) => "failed",
            Self::Bug => "bug",
        }
    }
}

/// 204 if everything was stored; 400 with the first refusal and the count if not, or 429 if all
/// that was refused is beyond the sender's own limit of series.
pub fn answer(outcome: &WriteOutcome) -> Response {
    let Some(first) = &outcome.first_refusal else {
        return StatusCode::NO_CONTENT.into_response();
    };
    let (refused, accepted) = (outcome.refused.total(), outcome.accepted.total());
    let text = format!("{refused} samples refused, {accepted} stored; first refusal: {first}\n");
    let for_limit = outcome.refused_by_reason[RefusalReason::SenderSeriesLimit as usize];
    if for_limit > 0 && for_limit == refused {
        let later = [(header::RETRY_AFTER, "60")];
        return (StatusCode::TOO_MANY_REQUESTS, later, text).into_response();
    }
    (StatusCode::BAD_REQUEST, text).into_response()
}
