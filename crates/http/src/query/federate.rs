//! `/federate`: the last sample of every selected series, for another Prometheus to scrape.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use metricstor_model::{Labels, METRIC_NAME, Matcher, Samples, TimeRange, is_stale};

use super::run::{Ask, Reading, run};
use super::selector::selectors;
use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::json::push_number;
use crate::metrics::escape;
use crate::param::Form;
use crate::reply::Sink;

const UNDERSCORES: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
const ALLOW_UTF8: HeaderValue =
    HeaderValue::from_static("text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8");

pub async fn federate(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    let utf8 = takes_utf8(request.headers());
    let content_type = if utf8 { ALLOW_UTF8 } else { UNDERSCORES };
    let ask = Ask { content_type, ..Ask::json(&app, &request) };
    let form = Form::of_query(request.uri().query().unwrap_or(""));
    run(&app, &caller, ask, move |reading, sink| {
        let last = last_samples(reading, &selectors(reading.app, &form)?)?;
        write(sink, &last, utf8)
    })
    .await
}

fn takes_utf8(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("escaping=allow-utf-8"))
}

/// Timestamp and value of each series, the series of one metric together.
type LastSamples = BTreeMap<(String, Labels), (i64, f64)>;

/// Native histograms are left out,
/// because this text format cannot carry them.
fn last_samples(
    reading: &Reading<'_>,
    selectors: &[Vec<Matcher>],
) -> Result<LastSamples, ApiError> {
    let now = reading.app.now();
    let range =
        TimeRange::new(now.saturating_sub(reading.app.engine.options().lookback_ms) + 1, now);
    let mut last = BTreeMap::new();
    let mut samples = Samples::default();
    for matchers in selectors {
        let set = reading.view.select(matchers)?;
        for i in 0..set.len() {
            reading.check()?;
            set.read(i, range, &mut samples)?;
            let Some(at) = samples.len().checked_sub(1) else { continue };
            let is_histogram =
                samples.histograms.last().is_some_and(|(position, _)| *position == at);
            if is_histogram || is_stale(samples.values[at]) {
                continue;
            }
            let labels = set.labels(i);
            let key = (labels.metric_name().to_owned(), labels);
            last.insert(key, (samples.timestamps[at], samples.values[at]));
        }
    }
    Ok(last)
}

fn write(sink: &mut Sink, last: &LastSamples, utf8: bool) -> Result<(), ApiError> {
    let mut previous = None;
    for ((metric, labels), (timestamp, value)) in last {
        let out = sink.out();
        if previous != Some(metric) {
            out.extend_from_slice(b"# TYPE ");
            push_name(out, metric, utf8, true);
            out.extend_from_slice(b" untyped\n");
            previous = Some(metric);
        }
        push_series(out, metric, labels, utf8);
        out.push(b' ');
        push_number(out, *value);
        out.extend_from_slice(format!(" {timestamp}\n").as_bytes());
        sink.checkpoint()?;
    }
    Ok(())
}

/// `name{a="b"}`, or `{"na.me",a="b"}` for a name that needs quotes. A series without an instance
/// gets an empty one, so that the scraper does not put its own in that place.
fn push_series(out: &mut Vec<u8>, metric: &str, labels: &Labels, utf8: bool) {
    let quoted = utf8 && !is_plain(metric, true);
    if !quoted {
        push_name(out, metric, utf8, true);
    }
    out.push(b'{');
    let mut separator: &[u8] = b"";
    if quoted {
        push_name(out, metric, utf8, true);
        separator = b",";
    }
    let no_instance = labels.get("instance").is_none().then_some(("instance", ""));
    for (name, value) in labels.iter().filter(|(n, _)| *n != METRIC_NAME).chain(no_instance) {
        out.extend_from_slice(separator);
        push_name(out, name, utf8, false);
        out.extend_from_slice(b"=\"");
        escape(out, value, true);
        out.push(b'"');
        separator = b",";
    }
    out.push(b'}');
}

/// A name that needs quotes gets them, or underscores when the client does not know quotes.
fn push_name(out: &mut Vec<u8>, name: &str, utf8: bool, is_metric: bool) {
    if is_plain(name, is_metric) {
        out.extend_from_slice(name.as_bytes());
    } else if utf8 {
        out.push(b'"');
        escape(out, name, true);
        out.push(b'"');
    } else {
        for (i, c) in name.chars().enumerate() {
            let plain = is_plain_char(c, is_metric) && !(i == 0 && c.is_ascii_digit());
            out.push(if plain { c as u8 } else { b'_' });
        }
    }
}

fn is_plain(name: &str, is_metric: bool) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| is_plain_char(c, is_metric))
}

fn is_plain_char(c: char, is_metric: bool) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || (is_metric && c == ':')
}
