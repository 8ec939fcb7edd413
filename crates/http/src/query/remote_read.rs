//! `POST /api/v1/read`: stored samples for another Prometheus, all in one message or as a stream of
//! chunks. Errors are plain text, as readers expect them.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::response::Response;
use bytes::Bytes;
use metricstor_model::{Labels, Samples};
use metricstor_wire::remote_read::{
    Limits, Query, ReadRequest, ResponseType, decode, push_frames, push_result, push_series,
};
use metricstor_wire::{DecodeError, snappy};

use super::run::{Ask, Reading, run};
use crate::app::App;
use crate::body::read_body;
use crate::caller::Caller;
use crate::error::{ApiError, ErrorType};
use crate::reply::{Encoding, Sink, plain};

const SAMPLES: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const CHUNKS: HeaderValue = HeaderValue::from_static(
    "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse",
);

pub async fn remote_read(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    let ask = Ask::json(&app, &request);
    match answer(&app, &caller, ask, request.into_body()).await {
        Ok(response) => response,
        Err(error) => plain(error.status(), &error.text),
    }
}

async fn answer(
    app: &Arc<App>,
    caller: &Caller,
    ask: Ask,
    body: Body,
) -> Result<Response, ApiError> {
    let limits = &app.config.requests;
    let body = read_body(body, limits.form_bytes, limits.body_grace).await?;
    run(app, caller, ask, move |reading, sink| {
        let request = parse(reading.app, &body)?;
        match request.response_type {
            Some(ResponseType::Samples) => {
                sink.send_as(SAMPLES, Encoding::Snappy);
                write_samples(reading, &request, sink)
            }
            Some(ResponseType::Chunks) => {
                // Chunks are dense already.
                sink.send_as(CHUNKS, Encoding::Identity);
                write_chunks(reading, &request, sink)
            }
            None => Err(ApiError::bad_data(
                "server does not support any of the requested response types; \
                 supported: SAMPLES, STREAMED_XOR_CHUNKS",
            )),
        }
    })
    .await
}

/// Regular expressions are compiled here, so this is work for a turn.
fn parse(app: &App, body: &Bytes) -> Result<ReadRequest, DecodeError> {
    let mut message = Vec::new();
    snappy::decompress(body, app.config.requests.decoded_bytes, &mut message)?;
    // A request comes from one evaluation of one query, which has not more selectors than this.
    let limits = Limits {
        queries_max: 1000,
        matchers_max: 10_000,
        regex_memory_max: app.engine.options().syntax.regex_memory_max,
    };
    decode(&message, limits)
}

fn write_samples(
    reading: &Reading<'_>,
    request: &ReadRequest,
    sink: &mut Sink,
) -> Result<(), ApiError> {
    let limit = reading.app.config.queries.read_samples;
    let (mut message, mut total, mut memory) = (Vec::new(), 0, reading.memory());
    for query in &request.queries {
        push_result(&mut message, |result| {
            each_series(reading, query, |labels, samples| {
                total += samples.len();
                if total > limit {
                    let text = format!(
                        "exceeded sample limit ({limit}); ask for less, for STREAMED_XOR_CHUNKS, \
                         or raise query.max_read_samples"
                    );
                    return Err(ApiError { limit: Some("sample"), ..ApiError::bad_data(text) });
                }
                let before = result.len();
                push_series(result, labels, samples);
                // The message is held twice while it is compressed.
                memory.grow(2 * (result.len() - before))
            })
        })?;
    }
    *sink.out() = snappy::compress(&message)
        .map_err(|error| ApiError::new(ErrorType::Internal, error.to_string()))?;
    Ok(())
}

fn write_chunks(
    reading: &Reading<'_>,
    request: &ReadRequest,
    sink: &mut Sink,
) -> Result<(), ApiError> {
    for (i, query) in request.queries.iter().enumerate() {
        each_series(reading, query, |labels, samples| {
            push_frames(sink.out(), i, labels, samples);
            Ok(sink.checkpoint()?)
        })?;
    }
    Ok(())
}

/// Visits the series of a query that have samples in its range, in the order of their labels.
fn each_series(
    reading: &Reading<'_>,
    query: &Query,
    mut visit: impl FnMut(&Labels, &Samples) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    let (mut samples, mut memory) = (Samples::default(), reading.memory());
    if query.only_labels {
        let sets = [query.matchers.clone()];
        let limit = reading.app.config.queries.rows;
        let (all, cut) = reading.view.series(&sets, query.range, limit)?;
        if cut {
            let text = format!("more than {limit} series; raise query.max_rows");
            return Err(ApiError::beyond("rows", &text));
        }
        return all.iter().try_for_each(|labels| visit(labels, &samples));
    }
    let set = reading.view.select(&query.matchers)?;
    let mut order: Vec<(Labels, usize)> = Vec::new();
    for i in 0..set.len() {
        let labels = set.labels(i);
        memory.grow(labels.size() + size_of::<(Labels, usize)>())?;
        order.push((labels, i));
    }
    order.sort_unstable();
    let mut read = reading.memory();
    for (labels, i) in order {
        reading.check()?;
        read.read(&*set, i, query.range, &mut samples)?;
        if !samples.is_empty() {
            visit(&labels, &samples)?;
        }
    }
    Ok(())
}

impl From<DecodeError> for ApiError {
    fn from(error: DecodeError) -> Self {
        let (error_type, limit) = match error {
            DecodeError::TooLarge { .. } => (ErrorType::TooLarge, None),
            DecodeError::NoRoom => (ErrorType::Unavailable, None),
            DecodeError::Regexes(_) => (ErrorType::BadData, Some("query_regexes")),
            DecodeError::Snappy(_) | DecodeError::Protobuf { .. } | DecodeError::Invalid(_) => {
                (ErrorType::BadData, None)
            }
        };
        Self { limit, ..Self::new(error_type, error.to_string()) }
    }
}
