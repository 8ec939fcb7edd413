//! How everything that reads is run: in turn, on a blocking thread, stopped when its time is up or
//! its client gone. What is over soon is done in place; if it has to wait for the disk,
//! [`ServingFiles`](crate::ServingFiles) see to it that nobody else does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::response::Response;
use metricstor_promql::{Interrupt, ParseOptions};
use tokio::runtime::Handle;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{sleep_until, timeout};

use super::memory::Held;
use crate::app::App;
use crate::caller::Caller;
use crate::error::{ApiError, ErrorType};
use crate::reply::{Encoding, Gone, JSON, Sending, Sink};
use crate::view::View;

/// How long after its time a query may take to notice.
const NOTICE: Duration = Duration::from_secs(5);

/// Cells and samples that take no more than a few times a hand-over there and back, some 50 µs.
const SHORT_EFFORT: usize = 1 << 15;
/// Those of some milliseconds.
const MEDIUM_EFFORT: usize = 1 << 20;
/// Values of a label that do, those that several shards have counted for each.
pub const SHORT_VALUES: usize = 1 << 12;
/// Series whose labels do not take much more.
pub const SHORT_SERIES: usize = 1 << 10;
/// Bytes of an answer that take less than a millisecond to write.
const SHORT_BYTES: usize = 1 << 19;
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

/// How much work a run is, at most, and with it where it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Over before another thread would wake up: done where the request was read.
    Short,
    /// Some hand-overs' worth: done there too, while another thread is left for what is short.
    Medium,
    /// Done on a blocking thread, and the answer leaves while it is still being written.
    Long,
}

impl Effort {
    /// Of a query that looks at about so many cells and samples.
    pub fn of_query(cells: usize) -> Self {
        match cells {
            0..=SHORT_EFFORT => Self::Short,
            ..=MEDIUM_EFFORT => Self::Medium,
            _ => Self::Long,
        }
    }

    pub fn short_if(short: bool) -> Self {
        if short { Self::Short } else { Self::Long }
    }
}

/// The runtime's threads that are at medium work.
///
/// Invariant: never all of them, so that whatever is short waits for short work only.
#[derive(Debug, Default)]
pub struct Busy(AtomicUsize);

impl Busy {
    fn enter(&self) -> Option<BusyThread<'_>> {
        let all = Handle::current().metrics().num_workers();
        let one_more = |busy: usize| (busy + 1 < all).then_some(busy + 1);
        self.0.fetch_update(Relaxed, Relaxed, one_more).ok().map(|_| BusyThread(&self.0))
    }
}

struct BusyThread<'a>(&'a AtomicUsize);

impl Drop for BusyThread<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// What is left to do after the work.
pub enum Rest {
    Nothing,
    /// An answer that is not short, whatever finding it took: it is written on a blocking thread.
    Writing(Box<dyn FnOnce(&mut Sink) -> Result<(), Gone> + Send>),
}

impl Rest {
    /// Writes an answer of about so many bytes, now if they are few.
    pub fn of_answer(
        sink: &mut Sink,
        bytes: usize,
        write: impl FnOnce(&mut Sink) -> Result<(), Gone> + Send + 'static,
    ) -> Result<Self, Gone> {
        if bytes <= SHORT_BYTES {
            return write(sink).map(Self::from);
        }
        Ok(Self::Writing(Box::new(write)))
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
    pub view: View,
    pub interrupt: &'a Interrupt,
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
pub async fn run<R: Into<Rest>>(
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

async fn in_turn<R: Into<Rest>>(
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
    let busy = (ask.effort == Effort::Medium).then(|| app.busy.enter()).flatten();
    let here = ask.effort == Effort::Short || busy.is_some();
    sink.keep_together(here);
    let (worker, stop, view) = (Arc::clone(app), interrupt.clone(), View::of(app, caller));
    let deadline = Instant::now() + ask.timeout;
    let job = move || {
        let reading = Reading { app: &worker, view, interrupt: &stop, deadline, memory_max };
        let done = reading.check().and_then(|()| work(&reading, &mut sink));
        match done.map(Into::into) {
            Ok(Rest::Nothing) => {
                drop(listed);
                // A client that is gone needs no answer.
                let _ = sink.finish();
                None
            }
            Ok(Rest::Writing(write)) => Some(move || {
                sink.keep_together(false);
                let written = write(&mut sink);
                drop(listed);
                let _ = written.and_then(|()| sink.finish());
            }),
            Err(error) => {
                drop(listed);
                sink.fail(error);
                None
            }
        }
    };
    if here {
        let rest = in_time(job, deadline, &interrupt);
        drop(busy);
        rest.map(spawn_blocking);
    } else {
        spawn_blocking(|| job().map(|rest| rest()));
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

/// Does `job` here; it is interrupted at the deadline.
fn in_time<T>(job: impl FnOnce() -> T, deadline: Instant, interrupt: &Interrupt) -> T {
    let stop = interrupt.clone();
    let timer = tokio::spawn(async move {
        sleep_until(deadline.into()).await;
        stop.time_out();
    });
    let done = job();
    timer.abort();
    done
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_thread_is_left_to_short_work() {
        for threads in 1..=3 {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = runtime.worker_threads(threads).build().unwrap();
            let _inside = runtime.enter();
            let busy = Busy::default();
            let at_work: Vec<_> = std::iter::from_fn(|| busy.enter()).collect();
            assert_eq!(at_work.len(), threads - 1);
            drop(at_work);
            assert_eq!(busy.enter().is_some(), threads > 1);
        }
    }
}
