//! The parameters of one request: POSTed form first, then query string, as Prometheus merges them.

use axum::extract::Request;
use axum::http::{Method, StatusCode, header};

use super::{parse_duration_parameter, parse_time};
use crate::body::{BodyError, read_body};
use crate::config::RequestLimits;
use crate::error::{ApiError, ErrorType};

const FORM: &str = "application/x-www-form-urlencoded";

/// Names and values in the order sent; names may repeat (`match[]`).
#[derive(Debug, Clone, Default)]
pub struct Form {
    pairs: Vec<(String, String)>,
}

/// As Go's `strconv.ParseBool` reads it.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Reads the parameters of a GET or a POST; a body of another type than a form is not looked at.
pub async fn read_form(request: Request, limits: &RequestLimits) -> Result<Form, ApiError> {
    let (parts, body) = request.into_parts();
    let mut form = Form::default();
    let is_form = parts
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| media_type(value).eq_ignore_ascii_case(FORM));
    if is_form && parts.method != Method::GET {
        let body = read_body(body, limits.form_bytes, limits.body_grace).await?;
        form.add(&body);
    }
    form.add(parts.uri.query().unwrap_or("").as_bytes());
    Ok(form)
}

/// A content type without its parameters.
fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

impl Form {
    pub fn of_query(query: &str) -> Self {
        let mut form = Self::default();
        form.add(query.as_bytes());
        form
    }

    fn add(&mut self, encoded: &[u8]) {
        self.pairs.extend(form_urlencoded::parse(encoded).into_owned());
    }

    /// The first value of `name`; "" when absent.
    pub fn get(&self, name: &str) -> &str {
        self.pairs.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// A time that must be given, in milliseconds.
    pub fn time(&self, name: &str) -> Result<i64, ApiError> {
        let text = self.get(name);
        parse_time(text).ok_or_else(|| {
            ApiError::parameter(name, format!("cannot parse {text:?} to a valid timestamp"))
        })
    }

    /// A time in milliseconds, or `default`.
    pub fn time_or(&self, name: &str, default: i64) -> Result<i64, ApiError> {
        let text = self.get(name);
        if text.is_empty() {
            return Ok(default);
        }
        parse_time(text).ok_or_else(|| {
            let reason = format!(
                "invalid time value for '{name}': cannot parse {text:?} to a valid timestamp"
            );
            ApiError::parameter(name, reason)
        })
    }

    /// A duration in milliseconds, if given.
    pub fn duration(&self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.get(name) {
            "" => Ok(None),
            text => parse_duration_parameter(text)
                .map(Some)
                .map_err(|reason| ApiError::parameter(name, reason)),
        }
    }

    /// The most rows asked for; `None` when not given or 0.
    pub fn limit(&self) -> Result<Option<usize>, ApiError> {
        let text = self.get("limit");
        if text.is_empty() {
            return Ok(None);
        }
        let limit: i64 = text.parse().map_err(|e: std::num::ParseIntError| {
            use std::num::IntErrorKind::{NegOverflow, PosOverflow};
            let reason = match e.kind() {
                PosOverflow | NegOverflow => "value out of range",
                _ => "invalid syntax",
            };
            ApiError::parameter("limit", format!("strconv.Atoi: parsing {text:?}: {reason}"))
        })?;
        match limit {
            ..0 => Err(ApiError::parameter("limit", "limit must be non-negative")),
            0 => Ok(None),
            _ => Ok(usize::try_from(limit).ok()),
        }
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        let error_type = match error {
            BodyError::TooLarge(_) => ErrorType::TooLarge,
            BodyError::TooSlow => ErrorType::RequestTimeout,
            BodyError::Broken => ErrorType::BadData,
        };
        Self::new(error_type, error.to_string())
    }
}

impl BodyError {
    pub fn status(self) -> StatusCode {
        ApiError::from(self).status()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_name_keeps_its_order_and_the_first_is_taken() {
        let form = Form::of_query("match[]=a&match%5B%5D=b+c&x=1&x=2");
        assert_eq!(form.all("match[]").collect::<Vec<_>>(), ["a", "b c"]);
        assert_eq!((form.get("x"), form.get("y")), ("1", ""));
    }

    #[test]
    fn a_limit_is_a_whole_number_and_zero_means_none() {
        let limit = |text: &str| Form::of_query(&format!("limit={text}")).limit();
        assert_eq!(limit(""), Ok(None));
        assert_eq!(limit("0"), Ok(None));
        assert_eq!(limit("7"), Ok(Some(7)));
        assert!(limit("-1").unwrap_err().text.ends_with("limit must be non-negative"));
        assert!(limit("x").unwrap_err().text.ends_with("parsing \"x\": invalid syntax"));
        assert!(limit("99999999999999999999").unwrap_err().text.ends_with("value out of range"));
    }
}
