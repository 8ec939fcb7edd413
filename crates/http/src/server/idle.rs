//! A stream that fails when nothing moves for too long, whichever side is to blame.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// Wraps a stream; every byte read or written starts the clock anew.
pub struct Idle<S, L> {
    stream: S,
    /// Asked whenever the alarm rings.
    limit: L,
    last: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl<S, L: Fn() -> Duration> Idle<S, L> {
    pub fn new(stream: S, limit: L) -> Self {
        let alarm = Box::pin(sleep(limit()));
        Self { stream, limit, last: Instant::now(), alarm }
    }

    /// Wakes the task when the limit may have passed. The alarm is moved only when it rings: moving
    /// it at every byte would cost more than the reads.
    fn poll_limit<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            let due = self.last + (self.limit)();
            if due <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.alarm.as_mut().reset(due);
        }
    }

    fn after<T>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match outcome {
            Poll::Pending => self.poll_limit(cx),
            done => {
                self.last = Instant::now();
                done
            }
        }
    }
}

impl<S: AsyncRead + Unpin, L: Fn() -> Duration + Unpin> AsyncRead for Idle<S, L> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.after(cx, outcome)
    }
}

impl<S: AsyncWrite + Unpin, L: Fn() -> Duration + Unpin> AsyncWrite for Idle<S, L> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.after(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.after(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.after(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.after(cx, outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_stream_and_bytes_keep_it() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut server = Idle::new(server, || Duration::from_secs(10));
        for _ in 0..3 {
            tokio::time::advance(Duration::from_secs(7)).await;
            client.write_all(b"x").await.unwrap();
            assert_eq!(server.read_u8().await.unwrap(), b'x');
        }
        let error = server.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
