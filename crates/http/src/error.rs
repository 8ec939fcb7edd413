//! Every error of the API with its type and status, in Prometheus' envelope.
//!
//! Invariant: errors of the crates below are given a status here and nowhere else, without a
//! catch-all arm, so that a new kind of error forces a decision.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use metricstor_model::SelectError;
use metricstor_promql::{ParseError, QueryError};

use crate::json::push_html_string;

/// Prometheus' error types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorType {
    BadData,
    Execution,
    Canceled,
    Timeout,
    Unavailable,
    Internal,
    Forbidden,
    TooManyRequests,
    TooLarge,
    RequestTimeout,
}

impl ErrorType {
    fn name(self) -> &'static str {
        match self {
            Self::BadData | Self::TooLarge | Self::RequestTimeout => "bad_data",
            Self::Execution => "execution",
            Self::Canceled => "canceled",
            Self::Timeout => "timeout",
            Self::Unavailable | Self::TooManyRequests => "unavailable",
            Self::Internal => "internal",
            Self::Forbidden => "forbidden",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::BadData => StatusCode::BAD_REQUEST,
            Self::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            // nginx' "client closed request", which nobody reads: the client is gone.
            Self::Canceled => StatusCode::from_u16(499).expect("499 is a three-digit number"),
            Self::Timeout => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unavailable | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        }
    }
}

/// What a client is told instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct ApiError {
    pub error_type: ErrorType,
    pub text: String,
    /// The limit that was exceeded, by its name.
    pub limit: Option<&'static str>,
}

impl ApiError {
    pub fn new(error_type: ErrorType, text: impl Into<String>) -> Self {
        Self { error_type, text: text.into(), limit: None }
    }

    pub fn bad_data(text: impl Into<String>) -> Self {
        Self::new(ErrorType::BadData, text)
    }

    /// A parameter with a value that cannot be used.
    pub fn parameter(name: &str, reason: impl std::fmt::Display) -> Self {
        Self::bad_data(format!("invalid parameter {name:?}: {reason}"))
    }

    /// The same, as the fault of a parameter.
    pub fn in_parameter(self, name: &str) -> Self {
        Self { text: format!("invalid parameter {name:?}: {}", self.text), ..self }
    }

    /// More than the limit of this name allows.
    pub fn beyond(limit: &'static str, text: &str) -> Self {
        let text = format!("{text} (limit {limit})");
        Self { limit: Some(limit), ..Self::new(ErrorType::Execution, text) }
    }

    /// The limit of this name makes the client come again later.
    pub fn too_many_requests(limit: &'static str, text: &str) -> Self {
        Self { limit: Some(limit), ..Self::new(ErrorType::TooManyRequests, text) }
    }

    /// Why the server would not answer what another time, or a smaller question, it would; `None` for
    /// what the client got wrong.
    pub fn refusal(&self) -> Option<&'static str> {
        match self.error_type {
            ErrorType::Timeout => Some("timeout"),
            ErrorType::Canceled => Some("canceled"),
            ErrorType::TooLarge => Some("too_large"),
            _ => self.limit,
        }
    }

    pub fn status(&self) -> StatusCode {
        self.error_type.status()
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let text = error.to_string();
        match error {
            QueryError::Parse(error) => Self::from(error),
            QueryError::Invalid(_) => Self::parameter("query", text),
            QueryError::Execution(_) => Self::new(ErrorType::Execution, text),
            QueryError::Limit { name, .. } => Self::beyond(name, &text),
            QueryError::Cancelled => Self::new(ErrorType::Canceled, text),
            QueryError::Timeout | QueryError::Longer => Self::new(ErrorType::Timeout, text),
            QueryError::Source(source) => Self { text, ..Self::from(source) },
        }
    }
}

impl From<ParseError> for ApiError {
    fn from(error: ParseError) -> Self {
        Self { limit: error.limit, ..Self::parameter("query", error) }
    }
}

impl From<SelectError> for ApiError {
    fn from(error: SelectError) -> Self {
        let text = error.to_string();
        match error {
            SelectError::Damaged(_) | SelectError::Failed(_) => {
                Self::new(ErrorType::Internal, text)
            }
            SelectError::LimitExceeded { limit, detail } => Self::beyond(limit, &detail),
            SelectError::Cancelled => Self::new(ErrorType::Canceled, text),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.error_type == ErrorType::Internal {
            tracing::error!(error = %self.text, "a request failed for a fault of this server");
        }
        let mut body = Vec::with_capacity(128 + self.text.len());
        body.extend_from_slice(br#"{"status":"error","errorType":""#);
        body.extend_from_slice(self.error_type.name().as_bytes());
        body.extend_from_slice(br#"","error":"#);
        push_html_string(&mut body, &self.text);
        body.push(b'}');
        let mut response =
            (self.status(), [(header::CONTENT_TYPE, "application/json")], body).into_response();
        if self.error_type == ErrorType::TooManyRequests {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}
