//! How everything that reads is run: in turn, on a blocking thread, stopped when its time is up or
//! its client gone. What is over soon is done in place; if it has to wait for the disk,
//! [`ServingFiles`](crate::ServingFiles) see to it that nobody else does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::response::Response;
use metricstor_promql::{Interrupt, ParseOptions};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;

use super::effort::Effort;
use super::explain::stopwatch;
use super::memory::Held;
use crate::app::App;
use crate::caller::Caller;
use crate::error::{ApiError, ErrorType};
use crate::reply::{Encoding, Gone, JSON, Sending, Sink};
use crate::running::Listed;
use crate::view::View;

/// How long after its time a query may take to notice.
const NOTICE: Duration = Duration::from_secs(5);

/// Values of a label that take no more than a few times a hand-over to another thread, those that
/// several shards have counted for each.
pub const SHORT_VALUES: usize = 1 << 12;
/// Bytes of an answer that take less than a millisecond to write.
const SHORT_BYTES: usize = 1 << 19;
/// The same, to compress.
const SHORT_BYTES_COMPRESSED: usize = 1 << 15;
/// A query, or all selectors, that are parsed where they were read; bytes.
const SHORT_TEXT: usize = 1 << 10;

/// What a run is asked for, besides the work itself.
pub struct Ask {
    pub encoding: Encoding,
    pub content_type: HeaderValue,
    pub timeout: Duration,
    /// What is done, to be shown among the running queries.
    pub text: String,
    pub effort: Effort,
}

/// What is left to do after the work, on a blocking thread.
pub enum Rest {
    Nothing,
    Later(Work),
}

type Work = Box<dyn FnOnce(&Reading<'_>, &mut Sink) -> Result<(), ApiError> + Send>;

impl Rest {
    pub fn later(
        work: impl FnOnce(&Reading<'_>, &mut Sink) -> Result<(), ApiError> + Send + 'static,
    ) -> Self {
        Self::Later(Box::new(work))
    }

    /// Writes an answer of about so many bytes, now if they are few, however little it took to find it.
    pub fn of_answer(
        sink: &mut Sink,
        bytes: usize,
        write: impl FnOnce(&mut Sink) -> Result<(), Gone> + Send + 'static,
    ) -> Result<Self, Gone> {
        let short = if sink.compresses() { SHORT_BYTES_COMPRESSED } else { SHORT_BYTES };
        if bytes <= short {
            return write(sink).map(Self::from);
        }
        Ok(Self::later(move |_, sink| Ok(write(sink)?)))
    }
}

impl From<()> for Rest {
    fn from((): ()) -> Self {
        Self::Nothing
    }
}

impl Ask {
    /// JSON, within the time that any query may take.
    pub fn json(app: &App, request: &Request) -> Self {
        Self {
            encoding: Encoding::accepted(request.headers()),
            content_type: JSON,
            timeout: app.config.queries.timeout,
            text: request.uri().path().to_owned(),
            effort: Effort::Long,
        }
    }
}

/// The syntax of what is parsed before its turn: what exceeds it is parsed again, on a blocking thread.
pub fn short_syntax(app: &App) -> ParseOptions {
    let syntax = app.engine.options().syntax;
    let length_max = syntax.length_max.min(SHORT_TEXT);
    ParseOptions { length_max, light_regexes: true, ..syntax }
}

/// What a run may use: the server, what the caller sees of its data, and when to stop.
pub struct Reading<'a> {
    pub app: &'a App,
    pub view: &'a View,
    pub interrupt: &'a Interrupt,
    /// For work that can be done again elsewhere: ends it also when it holds up others, for longer than
    /// was expected of it.
    pub patience: &'a Interrupt,
    deadline: Instant,
    /// The most bytes that the caller's queries may hold.
    memory_max: usize,
}

impl Reading<'_> {
    /// An account of what the run holds beside the engine.
    pub fn memory(&self) -> Held {
        Held::new(&self.app.engine.options().memory, self.memory_max)
    }

    /// Fails when the run has to end; to be asked again and again by work that takes long, and by
    /// work that still reads while its answer leaves already.
    pub fn check(&self) -> Result<(), ApiError> {
        if Instant::now() > self.deadline {
            self.interrupt.time_out();
        }
        Ok(self.interrupt.check()?)
    }
}

/// Runs `work`, which evaluates and then writes its answer, or leaves that to be done; every refusal is
/// counted.
pub async fn run<R: Into<Rest> + 'static>(
    app: &Arc<App>,
    caller: &Caller,
    ask: Ask,
    work: impl FnOnce(&Reading<'_>, &mut Sink) -> Result<R, ApiError> + Send + 'static,
) -> Result<Response, ApiError> {
    let answer = in_turn(app, caller, ask, work).await;
    if let Some(reason) = answer.as_ref().err().and_then(ApiError::refusal) {
        app.instruments.refused_queries.with(&[reason]).inc();
    }
    answer
}

async fn in_turn<R: Into<Rest> + 'static>(
    app: &Arc<App>,
    caller: &Caller,
    ask: Ask,
    work: impl FnOnce(&Reading<'_>, &mut Sink) -> Result<R, ApiError> + Send + 'static,
) -> Result<Response, ApiError> {
    let _counted = app.instruments.queries.hold();
    let (name, interrupt) = (caller.to_string(), Interrupt::new());
    let listed = app.running.list(&name, &ask.text, &interrupt);
    let own_limit = caller.grant().and_then(|grant| grant.limits().concurrent_queries);
    let own_memory = caller.grant().and_then(|grant| grant.limits().query_memory_bytes);
    let memory_max = app.engine_with(own_memory).options().memory_max;
    let permit = app.gate.enter(&name, own_limit).await?;
    // When the client goes away before there is an answer, this future is dropped, and the guard
    // with it; later the sink notices.
    let mut guard = CancelOnDrop(Some(interrupt.clone()));
    let stall = app.config.queries.stall_timeout;
    let sending = Sending { stall, interrupt: interrupt.clone() };
    let (mut sink, mut response) = Sink::new(ask.content_type, ask.encoding, sending, permit);
    let here = app.busy.enter(ask.effort);
    sink.keep_together(here.is_some());
    let run = Run {
        app: Arc::clone(app),
        view: View::of(app, caller),
        interrupt: interrupt.clone(),
        deadline: Instant::now() + ask.timeout,
        memory_max,
        sink,
        listed,
    };
    if here.is_some() {
        // Nobody is there to end it when its time is up.
        if let Some((run, rest)) = run.begin(ask.effort.patience().min(ask.timeout), work) {
            spawn_blocking(move || run.end(rest));
        }
        drop(here);
    } else {
        spawn_blocking(move || run.begin(Duration::MAX, work).map(|(run, rest)| run.end(rest)));
    }
    let answered = match timeout(ask.timeout, &mut response).await {
        Ok(answered) => answered,
        Err(_) => {
            interrupt.time_out();
            let late =
                ApiError::new(ErrorType::Timeout, "query timed out in expression evaluation");
            timeout(NOTICE, response).await.map_err(|_| late)?
        }
    };
    guard.0 = None;
    // The sink was dropped without a word: the thread panicked.
    answered.unwrap_or_else(|_| {
        app.instruments.panics.inc();
        let text = "the query failed for a bug of this server; see its log";
        Err(ApiError::new(ErrorType::Internal, text))
    })
}

/// What a run has, on whichever thread it is.
struct Run {
    app: Arc<App>,
    view: View,
    interrupt: Interrupt,
    deadline: Instant,
    memory_max: usize,
    sink: Sink,
    listed: Listed,
}

impl Run {
    /// Does the work, with this much patience; what is left of it is given back.
    fn begin<R: Into<Rest>>(
        mut self,
        patience: Duration,
        work: impl FnOnce(&Reading<'_>, &mut Sink) -> Result<R, ApiError>,
    ) -> Option<(Self, Work)> {
        match self.read(patience, work).map(Into::into) {
            Ok(Rest::Later(rest)) => {
                self.sink.keep_together(false);
                return Some((self, rest));
            }
            Ok(Rest::Nothing) => self.finish(Ok(())),
            Err(error) => self.finish(Err(error)),
        }
        None
    }

    fn end(mut self, rest: Work) {
        let done = self.read(Duration::MAX, rest);
        self.finish(done);
    }

    fn read<R>(
        &mut self,
        patience: Duration,
        work: impl FnOnce(&Reading<'_>, &mut Sink) -> Result<R, ApiError>,
    ) -> Result<R, ApiError> {
        let reading = Reading {
            app: &self.app,
            view: &self.view,
            interrupt: &self.interrupt,
            patience: &self.interrupt.until(stopwatch, stopwatch().saturating_add(patience)),
            deadline: self.deadline,
            memory_max: self.memory_max,
        };
        reading.check()?;
        work(&reading, &mut self.sink)
    }

    fn finish(self, done: Result<(), ApiError>) {
        drop(self.listed);
        match done {
            // A client that is gone needs no answer.
            Ok(()) => drop(self.sink.finish().ok()),
            Err(error) => self.sink.fail(error),
        }
    }
}

/// Runs what takes a moment, out of turn, on a blocking thread.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    let failed = |error: JoinError| ApiError::new(ErrorType::Internal, error.to_string());
    spawn_blocking(work).await.map_err(failed)
}

struct CancelOnDrop(Option<Interrupt>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(interrupt) = &self.0 {
            interrupt.cancel();
        }
    }
}

impl From<Gone> for ApiError {
    fn from(gone: Gone) -> Self {
        Self::new(ErrorType::Canceled, gone.to_string())
    }
}
