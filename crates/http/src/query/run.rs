//! How everything that reads is run: in turn, on a blocking thread, stopped when its time is up or
//! its client gone.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::response::Response;
use metricstor_promql::Interrupt;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::app::App;
use crate::caller::Caller;
use crate::error::{ApiError, ErrorType};
use crate::reply::{Encoding, Gone, JSON, Sink};
use crate::view::Reader;

/// How long after its time a query may take to notice.
const NOTICE: Duration = Duration::from_secs(5);

/// What a run is asked for, besides the work itself.
pub struct Ask {
    pub encoding: Encoding,
    pub content_type: HeaderValue,
    pub timeout: Duration,
    /// What is done, to be shown among the running queries.
    pub text: String,
}

impl Ask {
    /// JSON, within the time that any query may take.
    pub fn json(app: &App, request: &Request) -> Self {
        Self {
            encoding: Encoding::accepted(request.headers()),
            content_type: JSON,
            timeout: app.config.queries.timeout,
            text: request.uri().path().to_owned(),
        }
    }
}

/// Runs `work`, which evaluates and then writes its answer.
pub async fn run(
    app: &Arc<App>,
    caller: &Caller,
    ask: Ask,
    work: impl FnOnce(&Reader, &Interrupt, &mut Sink) -> Result<(), ApiError> + Send + 'static,
) -> Result<Response, ApiError> {
    let _counted = app.instruments.queries.hold();
    let (reader, interrupt) = (Reader::new(app, caller), Interrupt::new());
    let name = caller.to_string();
    let listed = app.running.list(&name, &ask.text, &interrupt);
    let own_limit = caller.grant().and_then(|grant| grant.limits().concurrent_queries);
    let permit = app.gate.enter(&name, own_limit).await?;
    // When the client goes away this future is dropped, and with it the guard.
    let _guard = CancelOnDrop(interrupt.clone());
    let stall = app.config.queries.stall_timeout;
    let (mut sink, mut response) = Sink::new(ask.content_type, ask.encoding, stall, permit);
    let stop = interrupt.clone();
    spawn_blocking(move || {
        let done = stop.check().map_err(ApiError::from);
        let done = done.and_then(|()| work(&reader, &stop, &mut sink));
        drop(listed);
        match done {
            // A client that is gone needs no answer.
            Ok(()) => drop(sink.finish()),
            Err(error) => sink.fail(error),
        }
    });
    let answered = match timeout(ask.timeout, &mut response).await {
        Ok(answered) => answered,
        Err(_) => {
            interrupt.time_out();
            let late =
                ApiError::new(ErrorType::Timeout, "query timed out in expression evaluation");
            timeout(NOTICE, response).await.map_err(|_| late)?
        }
    };
    // The sink was dropped without a word: the thread panicked.
    answered.unwrap_or_else(|_| {
        app.instruments.panics.inc();
        let text = "the query failed for a bug of this server; see its log";
        Err(ApiError::new(ErrorType::Internal, text))
    })
}

struct CancelOnDrop(Interrupt);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl From<Gone> for ApiError {
    fn from(gone: Gone) -> Self {
        Self::new(ErrorType::Canceled, gone.to_string())
    }
}
