//! How much work a query is, as far as that is told before, and with it where it is done.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::runtime::Handle;

/// Cells and samples that take no more than a few times a hand-over to another thread and back, some
/// 50 µs.
const SHORT: usize = 1 << 15;
/// Those of some milliseconds.
const MEDIUM: usize = 1 << 21;
/// The same for series whose labels are answered.
const SHORT_SERIES: usize = 1 << 10;
const MEDIUM_SERIES: usize = 1 << 12;

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
        Self::within(cells, SHORT, MEDIUM)
    }

    /// Of an answer with the labels of so many series.
    pub fn of_series(series: usize) -> Self {
        Self::within(series, SHORT_SERIES, MEDIUM_SERIES)
    }

    fn within(size: usize, short: usize, medium: usize) -> Self {
        match size {
            _ if size <= short => Self::Short,
            _ if size <= medium => Self::Medium,
            _ => Self::Long,
        }
    }

    /// How long it may take before it is left and done elsewhere: samples may be much denser than usual,
    /// and others wait behind it, as many as there are turns.
    pub fn patience(self) -> Duration {
        match self {
            Self::Short => Duration::from_millis(2),
            Self::Medium => Duration::from_millis(20),
            Self::Long => Duration::MAX,
        }
    }
}

/// The runtime's threads that are at medium work.
///
/// Invariant: never all of them, so that whatever is short waits for short work only.
#[derive(Debug, Default)]
pub struct Busy(AtomicUsize);

impl Busy {
    /// The right to do such work on this thread, if it is not to be done elsewhere.
    pub fn enter(&self, effort: Effort) -> Option<Place<'_>> {
        match effort {
            Effort::Short => Some(Place(None)),
            Effort::Medium => {
                let all = Handle::current().metrics().num_workers();
                let one_more = |busy: usize| (busy + 1 < all).then_some(busy + 1);
                self.0.fetch_update(Relaxed, Relaxed, one_more).ok()?;
                wake_another();
                Some(Place(Some(&self.0)))
            }
            Effort::Long => None,
        }
    }
}

/// Wakes a thread that has nothing to do, so that it looks for what comes over the connections: it may
/// have been this one who did.
fn wake_another() {
    // The last task spawned is left to this thread, so it takes two to make one that others are told of.
    for _ in 0..2 {
        drop(tokio::spawn(async {}));
    }
}

/// Work on a thread of the runtime, until dropped.
pub struct Place<'a>(Option<&'a AtomicUsize>);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(busy) = self.0 {
            busy.fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::sync::{Arc, Mutex};
    use std::time::Instant;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_last_thread_is_left_to_short_work() {
        for threads in 1..=3 {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = runtime.worker_threads(threads).build().unwrap();
            let _inside = runtime.enter();
            let busy = Busy::default();
            let medium: Vec<_> = std::iter::from_fn(|| busy.enter(Effort::Medium)).collect();
            assert_eq!(medium.len(), threads - 1);
            assert!(busy.enter(Effort::Short).is_some());
            assert!(busy.enter(Effort::Long).is_none());
            drop(medium);
            assert_eq!(busy.enter(Effort::Medium).is_some(), threads > 1);
        }
    }

    /// Work of one that tells when it begins, and ends when it is told to.
    struct Held {
        begun: Sender<()>,
        end: Receiver<()>,
    }

    /// Answers every byte; `m` after medium work.
    async fn answer(mut stream: TcpStream, busy: Arc<Busy>, work: Arc<Mutex<Held>>) {
        while let Ok(byte) = stream.read_u8().await {
            if byte == b'm' {
                let _place = busy.enter(Effort::Medium).unwrap();
                let work = work.lock().unwrap();
                work.begun.send(()).unwrap();
                work.end.recv_timeout(PATIENT).unwrap();
            }
            stream.write_u8(byte).await.unwrap();
        }
    }

    /// How long a failing test waits for what does not come.
    const PATIENT: Duration = Duration::from_secs(10);

    #[test]
    fn the_thread_that_is_left_looks_for_what_comes() {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let ((begun, began), (end, ended)) = (channel(), channel());
        let work = Arc::new(Mutex::new(Held { begun, end: ended }));
        runtime.spawn(async move {
            let busy = Arc::new(Busy::default());
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&busy), Arc::clone(&work)));
            }
        });
        let [mut medium, mut short] = [(); 2].map(|()| {
            let stream = std::net::TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(PATIENT / 2)).unwrap();
            stream
        });
        let ask = |stream: &mut std::net::TcpStream| {
            stream.write_all(b"s").unwrap();
            stream.read_exact(&mut [0]).expect("an answer while medium work goes on");
        };
        ask(&mut medium);
        ask(&mut short);
        // One of them looks for what comes, the other waits to be woken.
        let metrics = runtime.metrics();
        let parked = |worker| metrics.worker_park_unpark_count(worker) % 2 == 1;
        let asked = Instant::now();
        while !(parked(0) && parked(1)) {
            assert!(asked.elapsed() < PATIENT, "the threads never rest");
            std::thread::yield_now();
        }
        medium.write_all(b"m").unwrap();
        began.recv_timeout(PATIENT).unwrap();
        ask(&mut short);
        end.send(()).unwrap();
    }
}
