//! URLs as people type them: `?query=up{job="a"}` has characters that a URL must escape and that
//! Prometheus takes all the same.
//!
//! Invariant: bytes are changed in the first line of a connection only, which can be nothing but a
//! request line; whoever is helped is asked to connect anew for the next request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub struct Lenient<S> {
    stream: S,
    in_first_line: bool,
    /// Escaped bytes that are still to be handed out.
    escaped: Vec<u8>,
    helped: Arc<AtomicBool>,
}

impl<S> Lenient<S> {
    /// `helped` becomes true when something was escaped.
    pub fn new(stream: S, helped: Arc<AtomicBool>) -> Self {
        Self { stream, in_first_line: true, escaped: Vec::new(), helped }
    }

    fn escape(&mut self, received: &[u8]) {
        for byte in received {
            let escape = match byte {
                b'"' => "%22",
                b'<' => "%3C",
                b'>' => "%3E",
                _ => "",
            };
            if self.in_first_line && !escape.is_empty() {
                self.escaped.extend_from_slice(escape.as_bytes());
                self.helped.store(true, Ordering::Relaxed);
            } else {
                self.escaped.push(*byte);
                self.in_first_line &= *byte != b'\n';
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lenient<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.in_first_line && this.escaped.is_empty() {
            let mut part = [0; 1024];
            let mut received = ReadBuf::new(&mut part);
            std::task::ready!(Pin::new(&mut this.stream).poll_read(cx, &mut received))?;
            this.escape(received.filled());
            if this.escaped.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        if this.escaped.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        }
        let fits = this.escaped.len().min(buf.remaining());
        buf.put_slice(&this.escaped[..fits]);
        this.escaped.drain(..fits);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lenient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
