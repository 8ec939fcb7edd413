//! What the server tells those who look at it: that it is stopping, which is all it has to tell.
//!
//! A live listener holds a connection and costs nothing else; their number is bounded.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Interval, interval_at};

use crate::app::App;
use crate::json::push_html_string;
use crate::param::format_time;
use crate::reply::success;

pub async fn list(State(app): State<Arc<App>>) -> Response {
    success(|out| {
        out.push(b'[');
        if app.is_stopping() {
            push_stopping(out, &app);
        }
        out.push(b']');
    })
}

/// Server-sent events. Who finds no place is told so by an empty answer, as by Prometheus, and a
/// browser does not try again.
pub async fn live(State(app): State<Arc<App>>) -> Response {
    const TYPE: HeaderValue = HeaderValue::from_static("text/event-stream");
    let head = [
        (header::CONTENT_TYPE, TYPE),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    let Ok(place) = Arc::clone(&app.listeners).try_acquire_owned() else {
        app.instruments.refused_listeners.inc();
        return (StatusCode::NO_CONTENT, head).into_response();
    };
    let stopping = Arc::clone(&app);
    let event = async move {
        let app = stopping;
        app.stopping().await;
        let mut event = b"data: ".to_vec();
        push_stopping(&mut event, &app);
        event.extend_from_slice(b"\n\n");
        event.into()
    };
    let period = app.config.connections.idle_timeout / 3;
    let beat = interval_at(Instant::now() + period, period);
    let events = Events { beat, next: Some(Box::pin(event)), _place: place };
    (head, Body::new(events)).into_response()
}

fn push_stopping(out: &mut Vec<u8>, app: &App) {
    out.extend_from_slice(br#"{"text":"metricstor is stopping.","date":"#);
    push_html_string(out, &format_time(app.now()));
    out.extend_from_slice(br#","active":true}"#);
}

/// A stream of at most one event, with a comment now and then: a connection that is silent is closed.
struct Events {
    beat: Interval,
    next: Option<Pin<Box<dyn Future<Output = Bytes> + Send>>>,
    _place: OwnedSemaphorePermit,
}

impl hyper::body::Body for Events {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Some(next) = self.next.as_mut() else { return Poll::Ready(None) };
        if let Poll::Ready(event) = next.as_mut().poll(cx) {
            self.next = None;
            return Poll::Ready(Some(Ok(Frame::data(event))));
        }
        ready!(self.beat.poll_tick(cx));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b":\n\n")))))
    }
}
