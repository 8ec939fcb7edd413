//! Answers on their way to the client: compressed if the client can, streamed if they are long.

mod encoding;
mod sink;

pub use encoding::Encoding;
pub use sink::{Gone, Sending, Sink};

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

pub const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// A short text with a status; a newline is added. No browser is to guess what an error is.
pub fn plain(status: StatusCode, text: &str) -> Response {
    let mut response =
        (status, [(header::CONTENT_TYPE, TEXT)], format!("{text}\n")).into_response();
    if !status.is_success() {
        let nosniff = HeaderValue::from_static("nosniff");
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    }
    response
}

/// `{"status":"success","data":…}` around what `write_data` appends; for short answers.
pub fn success(write_data: impl FnOnce(&mut Vec<u8>)) -> Response {
    let mut body = br#"{"status":"success","data":"#.to_vec();
    write_data(&mut body);
    body.push(b'}');
    ([(header::CONTENT_TYPE, JSON)], body).into_response()
}
