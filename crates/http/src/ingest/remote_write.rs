//! `POST /api/v1/write`: Prometheus remote write 1.0 and 2.0.
//!
//! Invariant: 204 is sent only after the store said that everything is durable and visible.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use metricstor_storage::{Counts, WriteError, WriteOutcome};
use metricstor_wire::remote_write::{Limits, v1, v2};
use metricstor_wire::snappy;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::task::spawn_blocking;

use super::answer::{Refused, answer};
use crate::app::App;
use crate::body::{discard, read_body};
use crate::caller::Caller;
use crate::config::RequestLimits;
use crate::sender::Sender;

/// Buckets of one native histogram; Prometheus' own scrapes stay below 200.
const HISTOGRAM_BUCKETS_MAX: usize = 10_000;

/// Requests up to this size are decoded where they were read: it takes less than the half
/// millisecond that the runtime can spare, and less than waking another thread costs.
const INLINE_BYTES_MAX: usize = 128 * 1024;

/// How much longer labels may be written out than as references of remote write 2.0; senders' own
/// requests grow up to tenfold.
const LABELS_GROWTH: usize = 16;

/// Which message a body holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

impl Version {
    fn name(self) -> &'static str {
        match self {
            Self::V1 => "1.0",
            Self::V2 => "2.0",
        }
    }
}

pub async fn remote_write(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let version = match version(&headers) {
        Ok(version) => version,
        Err(refused) => {
            discard(body).await;
            return refuse(&app, &refused);
        }
    };
    app.instruments.writes.with(&[version.name()]).inc();
    let (counts, mut response) = match take(&app, &caller, version, body).await {
        Ok(outcome) => (written(&outcome), answer(&outcome)),
        Err(refused) => ([0; 3], refuse(&app, &refused)),
    };
    if version == Version::V2 {
        tell_written(counts, response.headers_mut());
    }
    response
}

fn refuse(app: &App, refused: &Refused) -> Response {
    app.instruments.refused_writes.with(&[refused.reason()]).inc();
    refused.response(&app.config.requests)
}

/// Samples, histograms and exemplars that are stored.
fn written(outcome: &WriteOutcome) -> [u64; 3] {
    let Counts { samples, histograms } = outcome.accepted;
    [samples, histograms, outcome.accepted_exemplars]
}

/// What a sender of 2.0 compares with what it sent.
fn tell_written(counts: [u64; 3], headers: &mut HeaderMap) {
    let names = [
        "x-prometheus-remote-write-samples-written",
        "x-prometheus-remote-write-histograms-written",
        "x-prometheus-remote-write-exemplars-written",
    ];
    for (name, count) in names.into_iter().zip(counts) {
        headers.insert(name, HeaderValue::from(count));
    }
}

async fn take(
    app: &Arc<App>,
    caller: &Caller,
    version: Version,
    body: Body,
) -> Result<WriteOutcome, Refused> {
    let now = app.now();
    let sender = app.senders.of(caller, now);
    if let Err(seconds) = sender.check_rate(now) {
        discard(body).await;
        return Err(Refused::Rate { seconds });
    }
    let limits = &app.config.requests;
    let body = read_body(body, limits.compressed_bytes, limits.body_grace).await?;
    app.instruments.written_bytes.add(body.len() as u64);
    let declared = snappy::declared_len(&body, limits.decoded_bytes)?;
    let labels_max = match version {
        Version::V1 => 0,
        Version::V2 => (declared * LABELS_GROWTH + 64 * 1024).min(limits.decoded_bytes),
    };
    let permit = room(app, declared + labels_max).ok_or(Refused::Overloaded)?;
    let (done, outcome) = oneshot::channel();
    let worker = Arc::clone(app);
    let work = move || decode_and_write(&worker, &sender, version, &body, labels_max, permit, done);
    if declared <= INLINE_BYTES_MAX {
        work()?;
    } else {
        spawn_blocking(work).await.map_err(|_| Refused::Bug)??;
    }
    outcome.await.map_err(|_| Refused::Bug)?.map_err(Refused::Store)
}

/// Room for so many bytes of requests in work, if there is.
fn room(app: &App, bytes: usize) -> Option<OwnedSemaphorePermit> {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    Arc::clone(&app.writing).try_acquire_many_owned(bytes).ok()
}

/// Holds `permit`, and what more room the request takes, until storage keeps account of what waits for
/// the disk.
fn decode_and_write(
    app: &App,
    sender: &Sender,
    version: Version,
    body: &Bytes,
    labels_max: usize,
    mut permit: OwnedSemaphorePermit,
    done: oneshot::Sender<Result<WriteOutcome, WriteError>>,
) -> Result<(), Refused> {
    let limits = &app.config.requests;
    let mut decoded = Vec::new();
    snappy::decompress(body, limits.decoded_bytes, &mut decoded)?;
    let limits = Limits {
        samples_max: limits.samples,
        histogram_buckets_max: HISTOGRAM_BUCKETS_MAX,
        memory_max: limits.decoded_bytes,
    };
    let mut more = |bytes| room(app, bytes).map(|granted| permit.merge(granted)).is_some();
    let mut labels = Vec::new();
    let request = match version {
        Version::V1 => v1::decode(&decoded, limits, &mut more)?,
        Version::V2 => v2::decode(&decoded, limits, &mut labels, labels_max, &mut more)?,
    };
    let done = Box::new(move |result| {
        // A sender that is gone will send again; what it sent is stored all the same.
        let _ = done.send(result);
    });
    sender.charge(request.timestamps.len() + request.histograms.len());
    app.unscoped_store.write_as(&sender.writer, &request, done);
    Ok(())
}

fn version(headers: &HeaderMap) -> Result<Version, Refused> {
    let text = |name| headers.get(name).map_or(Ok(""), |v: &HeaderValue| v.to_str());
    let content_type = text(header::CONTENT_TYPE).unwrap_or("?");
    let mut parts = content_type.split(';').map(str::trim);
    let media = parts.next().unwrap_or("");
    let known = media.is_empty() || media.eq_ignore_ascii_case("application/x-protobuf");
    let message = parts.find_map(|part| part.strip_prefix("proto=")).unwrap_or("");
    let version = match message.trim_matches('"') {
        "" | "prometheus.WriteRequest" if known => Version::V1,
        v2::MESSAGE if known => Version::V2,
        _ => return Err(Refused::ContentType(content_type.chars().take(200).collect())),
    };
    let encoding = text(header::CONTENT_ENCODING).unwrap_or("?");
    if !matches!(encoding, "" | "snappy") {
        return Err(Refused::Encoding(encoding.chars().take(200).collect()));
    }
    Ok(version)
}

impl Refused {
    fn response(&self, limits: &RequestLimits) -> Response {
        let status = self.status(limits);
        let text = format!("{self}\n");
        if let Self::Rate { seconds } = self {
            return (status, [(header::RETRY_AFTER, seconds.to_string())], text).into_response();
        }
        let retry_later =
            matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
        if retry_later {
            (status, [(header::RETRY_AFTER, "1")], text).into_response()
        } else {
            (status, text).into_response()
        }
    }
}
