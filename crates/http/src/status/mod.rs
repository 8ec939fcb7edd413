//! What the server says about itself, in Prometheus' shapes.

mod blocks;
mod features;
mod tsdb;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use metricstor_model::{METRIC_NAME, MatchOp, Matcher};

pub use blocks::blocks;
pub use features::features;
pub use tsdb::tsdb;

use crate::app::App;
use crate::error::ApiError;
use crate::json::push_html_string;
use crate::param::{Form, format_time};
use crate::query::blocking;
use crate::reply::{JSON, success};

/// The Prometheus whose API this is; clients choose what to call by it.
const PROMETHEUS_VERSION: &str = "3.14.0";

pub async fn buildinfo(State(app): State<Arc<App>>) -> Response {
    success(|out| push_build(out, &app))
}

/// The same without the envelope.
pub async fn version(State(app): State<Arc<App>>) -> Response {
    let mut body = Vec::new();
    push_build(&mut body, &app);
    ([(header::CONTENT_TYPE, JSON)], body).into_response()
}

fn push_build(out: &mut Vec<u8>, app: &App) {
    let revision = format!("metricstor {}", app.about.version);
    let texts = [
        ("version", PROMETHEUS_VERSION),
        ("revision", &revision),
        ("branch", ""),
        ("buildUser", ""),
        ("buildDate", ""),
        ("goVersion", ""),
    ];
    push_object(out, texts);
}

pub async fn flags(State(app): State<Arc<App>>) -> Response {
    let flags = app.about.flags.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    success(|out| push_object(out, flags))
}

pub async fn config(State(app): State<Arc<App>>) -> Response {
    success(|out| push_object(out, [("yaml", app.about.config_yaml.as_str())]))
}

pub async fn runtimeinfo(State(app): State<Arc<App>>) -> Response {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let started = format_time(app.started_ms);
    success(|out| {
        out.extend_from_slice(br#"{"startTime":"#);
        push_html_string(out, &started);
        out.extend_from_slice(br#","CWD":"#);
        push_html_string(out, &app.about.directory);
        out.extend_from_slice(br#","hostname":"#);
        push_html_string(out, &app.about.hostname);
        out.extend_from_slice(br#","serverTime":"#);
        push_html_string(out, &format_time(app.now()));
        out.extend_from_slice(br#","reloadConfigSuccess":true,"lastConfigTime":"#);
        push_html_string(out, &started);
        let numbers = format!(
            r#","corruptionCount":0,"goroutineCount":0,"GOMAXPROCS":{threads},"GOMEMLIMIT":0"#
        );
        out.extend_from_slice(numbers.as_bytes());
        out.extend_from_slice(br#","GOGC":"","GODEBUG":"","storageRetention":"#);
        push_html_string(out, &app.about.retention);
        out.push(b'}');
    })
}

/// What `/metrics` shows, as protobuf's JSON.
pub async fn self_metrics(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let form = Form::of_query(request.uri().query().unwrap_or(""));
    blocking(move || {
        // No pattern is no condition.
        let (pattern, all) = match form.get("metric_name_pattern") {
            "" => (".*", true),
            pattern => (pattern, false),
        };
        let wanted = Matcher::new(MatchOp::Regex, METRIC_NAME, pattern)
            .map_err(|error| ApiError::bad_data(format!("invalid metric_name_pattern: {error}")))?;
        Ok(success(|out| app.registry.push_json(out, |name| all || wanted.matches(name))))
    })
    .await?
}

/// What is evaluated or waits for its turn.
pub async fn active_queries(State(app): State<Arc<App>>) -> Response {
    success(|out| app.running.push_json(out))
}

/// The log is replayed before the server listens.
pub async fn walreplay() -> Response {
    success(|out| out.extend_from_slice(br#"{"min":0,"max":0,"current":0}"#))
}

pub async fn openapi() -> Response {
    const YAML: HeaderValue = HeaderValue::from_static("application/yaml; charset=utf-8");
    ([(header::CONTENT_TYPE, YAML)], include_str!("openapi.yaml")).into_response()
}

fn push_object<'a>(out: &mut Vec<u8>, fields: impl IntoIterator<Item = (&'a str, &'a str)>) {
    out.push(b'{');
    for (i, (name, value)) in fields.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        push_html_string(out, name);
        out.push(b':');
        push_html_string(out, value);
    }
    out.push(b'}');
}
