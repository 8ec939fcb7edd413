//! Where an answer is written on a blocking thread: short ones leave whole, with their length; long
//! ones leave in chunks while the rest is still being written.
//!
//! Invariant: the status is sent before the first chunk, so a writer may fail only before it starts
//! to write, or because the client is gone; a broken answer ends the connection, never in silence.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Frame;
use metricstor_promql::{Interrupt, QueryError};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::encoding::{Encoder, Encoding};
use crate::error::{ApiError, ErrorType};
use crate::gate::Permit;

/// A chunk leaves when this much was written.
const CHUNK_BYTES: usize = 64 * 1024;
/// What is written between two looks at the length may go beyond.
const CHUNK_CAPACITY: usize = CHUNK_BYTES + CHUNK_BYTES / 2;
/// Chunks between the writer and the connection.
const CHUNKS_AHEAD: usize = 2;
/// Shorter answers are not worth compressing.
const COMPRESS_FROM_BYTES: usize = 1024;

/// A part of a streamed answer.
enum Piece {
    Data(Bytes),
    /// The answer is complete; a channel that closes without it was cut.
    End,
}

/// Between two looks whether the query was cancelled, while nobody takes a chunk.
const LOOK_AFTER: Duration = Duration::from_millis(200);

/// How long a chunk may wait for the client.
pub struct Sending {
    pub stall: Duration,
    /// An operator ends the query, and with it an answer that nobody reads.
    pub interrupt: Interrupt,
}

/// The client went away, or does not read, or an operator has had enough of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client no longer reads the answer")]
pub struct Gone;

pub struct Sink {
    buffer: Vec<u8>,
    content_type: HeaderValue,
    encoding: Encoding,
    sending: Sending,
    /// Nobody takes chunks while the rest is written.
    whole: bool,
    /// The answer is 204.
    empty: bool,
    /// Until the answer starts to leave.
    head: Option<oneshot::Sender<Result<Response, ApiError>>>,
    /// From then on.
    stream: Option<(Encoder, mpsc::Sender<Piece>)>,
    /// Held until the answer is written, because until then its memory is: a slow reader takes one
    /// of its identity's turns, not the server's memory.
    permit: Option<Permit>,
}

impl Sink {
    pub fn new(
        content_type: HeaderValue,
        encoding: Encoding,
        sending: Sending,
        permit: Permit,
    ) -> (Self, oneshot::Receiver<Result<Response, ApiError>>) {
        let (head, response) = oneshot::channel();
        let sink = Self {
            buffer: Vec::with_capacity(4096),
            content_type,
            encoding,
            sending,
            whole: false,
            empty: false,
            head: Some(head),
            stream: None,
            permit: Some(permit),
        };
        (sink, response)
    }

    /// What the answer is, where that is not known before it is worked out.
    pub fn send_as(&mut self, content_type: HeaderValue, encoding: Encoding) {
        (self.content_type, self.encoding) = (content_type, encoding);
    }

    pub fn compresses(&self) -> bool {
        matches!(self.encoding, Encoding::Gzip | Encoding::Zstd)
    }

    /// Whether the answer stays in one piece however long it gets: for one that is known to be short.
    pub fn keep_together(&mut self, whole: bool) {
        self.whole = whole;
    }

    /// Makes the answer 204; nothing may be written then.
    pub fn no_content(&mut self) {
        self.empty = true;
    }

    /// What the answer's bytes are appended to.
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// To be called every few kilobytes: sends a chunk if one is full.
    pub fn checkpoint(&mut self) -> Result<(), Gone> {
        if self.whole || self.buffer.len() < CHUNK_BYTES { Ok(()) } else { self.send_chunk() }
    }

    /// Sends what is left; nothing can be written afterwards. The turn is given back before the
    /// client can know that the answer is complete: its next query must not find its own in the way.
    pub fn finish(mut self) -> Result<(), Gone> {
        if self.stream.is_some() {
            self.send_chunk()?;
            let (encoder, chunks) = self.stream.take().ok_or(Gone)?;
            let rest = encoder.finish().map_err(|_| Gone)?;
            self.sending.send(&chunks, rest)?;
            self.permit = None;
            return self.sending.send_piece(&chunks, Piece::End);
        }
        let response = self.whole();
        self.permit = None;
        self.head.take().ok_or(Gone)?.send(response).map_err(|_| Gone)
    }

    /// Answers with an error instead; only before anything was sent.
    pub fn fail(mut self, error: ApiError) {
        self.permit = None;
        match self.head.take() {
            // A client that is gone has no use for the error.
            Some(head) => drop(head.send(Err(error))),
            None => tracing::warn!(%error, "an answer broke off"),
        }
    }

    fn whole(&mut self) -> Result<Response, ApiError> {
        if self.empty {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        let body = std::mem::take(&mut self.buffer);
        match self.encoding {
            Encoding::Gzip | Encoding::Zstd if body.len() < COMPRESS_FROM_BYTES => {
                return self.response(Encoding::Identity, Body::from(body));
            }
            Encoding::Gzip | Encoding::Zstd => {}
            Encoding::Identity | Encoding::Snappy => {
                return self.response(self.encoding, Body::from(body));
            }
        }
        let compress = || -> io::Result<Vec<u8>> {
            let mut encoder = self.encoding.encoder()?;
            let mut out = encoder.push(body)?;
            out.append(&mut encoder.finish()?);
            Ok(out)
        };
        let out = compress().map_err(internal)?;
        self.response(self.encoding, Body::from(out))
    }

    fn response(&self, encoding: Encoding, body: Body) -> Result<Response, ApiError> {
        let mut response = Response::builder()
            .status(StatusCode::OK)
            .header(header::CONTENT_TYPE, self.content_type.clone());
        if let Some(name) = encoding.name() {
            response = response.header(header::CONTENT_ENCODING, name);
        }
        response.body(body).map_err(internal)
    }

    fn send_chunk(&mut self) -> Result<(), Gone> {
        if let Some(head) = self.head.take() {
            let (chunks, pieces) = mpsc::channel(CHUNKS_AHEAD);
            let encoder = self.encoding.encoder().map_err(|_| Gone)?;
            self.stream = Some((encoder, chunks));
            let response =
                self.response(self.encoding, Body::new(Chunks { pieces, complete: false }));
            head.send(response).map_err(|_| Gone)?;
        }
        let (encoder, chunks) = self.stream.as_mut().ok_or(Gone)?;
        let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK_CAPACITY));
        self.sending.send(chunks, encoder.push(full).map_err(|_| Gone)?)
    }
}

fn internal(error: impl std::fmt::Display) -> ApiError {
    ApiError::new(ErrorType::Internal, error.to_string())
}

impl Sending {
    fn send(&self, chunks: &mpsc::Sender<Piece>, bytes: Vec<u8>) -> Result<(), Gone> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.send_piece(chunks, Piece::Data(bytes.into()))
    }

    fn send_piece(&self, chunks: &mpsc::Sender<Piece>, piece: Piece) -> Result<(), Gone> {
        let place = Handle::current().block_on(self.place(chunks))?;
        place.send(piece);
        Ok(())
    }

    /// A place for a chunk. What was out of time when it began to leave is left to leave.
    async fn place<'a>(
        &self,
        chunks: &'a mpsc::Sender<Piece>,
    ) -> Result<mpsc::Permit<'a, Piece>, Gone> {
        let deadline = Instant::now() + self.stall;
        loop {
            if self.interrupt.check() == Err(QueryError::Cancelled) {
                return Err(Gone);
            }
            let look = deadline.min(Instant::now() + LOOK_AFTER);
            match timeout_at(look, chunks.reserve()).await {
                Ok(place) => return place.map_err(|_| Gone),
                Err(_) if Instant::now() >= deadline => return Err(Gone),
                Err(_) => {}
            }
        }
    }
}

/// The body of a streamed answer.
struct Chunks {
    pieces: mpsc::Receiver<Piece>,
    complete: bool,
}

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.complete {
            return Poll::Ready(None);
        }
        self.pieces.poll_recv(cx).map(|piece| match piece {
            Some(Piece::Data(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Piece::End) => {
                self.complete = true;
                None
            }
            None => Some(Err(io::Error::other("the answer broke off"))),
        })
    }
}
