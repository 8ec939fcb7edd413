//! Group commit: one thread writes to the log what all requests brought, syncs once, applies in log
//! order, and only then lets them answer.
//!
//! Invariant: a request's `done` hears of success only after its entries are durable *and* visible.

use std::mem;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use metricstor_memory::Permit;

use crate::entry::Change;
use crate::metrics::Metrics;
use crate::outcome::{WriteError, WriteOutcome};
use crate::wal::{Entry, EntryId, Log, LogError, MAX_PAYLOAD};

/// Called once, from the commit thread: keep it short.
pub type Done = Box<dyn FnOnce(Result<WriteOutcome, WriteError>) + Send>;

/// One shard's part of a request.
pub(crate) struct Part {
    pub shard: u16,
    pub change: Change,
    /// `change`, encoded by the request's own thread.
    pub payload: Vec<u8>,
}

impl Part {
    /// Bytes of memory that both forms take, about. Texts and histograms take a few times their
    /// encoding, while a byte of that may be a whole sample.
    pub fn memory(&self) -> usize {
        let columns = match &self.change {
            Change::Write(batch) => batch.columns_size(),
            Change::Delete(_) => 0,
        };
        self.payload.len() + columns.max(3 * self.payload.len())
    }
}

/// A request on its way to the log.
pub(crate) struct Commit {
    pub parts: Vec<Part>,
    /// Refusals found before the log.
    pub outcome: WriteOutcome,
    pub done: Done,
    /// Holds the memory of `parts`.
    pub memory: Permit,
}

impl Commit {
    /// Payload bytes.
    fn size(&self) -> usize {
        self.parts.iter().map(|part| part.payload.len()).sum()
    }
}

/// Payload bytes that one append takes; the log's own limit is beyond.
const BATCH_SIZE_MAX: usize = 128 << 20;

/// What is applied after a commit: the heads of all shards.
pub(crate) trait Apply: Send + Sync + 'static {
    /// Applies one durable part, adding to the outcome.
    fn apply(&self, part: &Part, log_index: u64, outcome: &mut WriteOutcome);
}

enum Job {
    Commit(Commit),
    /// A shard's entries up to this index are in chunk files.
    Purge {
        shard: u16,
        upto: u64,
    },
    /// Told when everything before is applied or refused.
    Drain(Sender<()>),
}

/// The queue in front of the log, and its thread.
pub(crate) struct Committer {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    bytes_max: usize,
    linger: Duration,
}

#[derive(Default)]
struct State {
    jobs: Vec<Job>,
    /// Payload bytes waiting or being written.
    bytes: usize,
    closed: bool,
}

impl Committer {
    /// Takes over the log. `next` holds each shard's next log index.
    pub fn start(
        log: Log,
        next: Vec<u64>,
        apply: Arc<dyn Apply>,
        metrics: Arc<Metrics>,
        bytes_max: usize,
        linger: Duration,
    ) -> std::io::Result<Self> {
        let state = Mutex::default();
        let queue = Arc::new(Queue { state, wake: Condvar::new(), bytes_max, linger });
        let mut writer = Writer { log, next, apply, metrics, queue: queue.clone() };
        let thread = std::thread::Builder::new().name("commit".into()).spawn(move || {
            let _guard = Guard(Arc::clone(&writer.queue));
            writer.run();
        })?;
        Ok(Self { queue, thread: Mutex::new(Some(thread)) })
    }

    /// Hands over a request; refused at once when too much waits already.
    pub fn submit(&self, commit: Commit) {
        let bytes = commit.size();
        let refused = {
            let mut state = self.queue.lock();
            let waiting = state.bytes;
            if state.closed {
                Some((WriteError::Closed, commit))
            } else if waiting > 0 && waiting + bytes > self.queue.bytes_max {
                Some((WriteError::Overloaded { waiting, limit: self.queue.bytes_max }, commit))
            } else {
                state.bytes += bytes;
                state.jobs.push(Job::Commit(commit));
                None
            }
        };
        match refused {
            Some((error, commit)) => (commit.done)(Err(error)),
            None => self.queue.wake.notify_one(),
        }
    }

    /// Lets the log forget what chunk files hold.
    pub fn purge(&self, shard: u16, upto: u64) {
        self.queue.lock().jobs.push(Job::Purge { shard, upto });
        self.queue.wake.notify_one();
    }

    /// Waits until all that was handed over before is applied or refused; false after a close.
    pub fn drain(&self) -> bool {
        let (done, drained) = channel();
        {
            let mut state = self.queue.lock();
            if state.closed {
                return false;
            }
            state.jobs.push(Job::Drain(done));
        }
        self.queue.wake.notify_one();
        drained.recv().is_ok()
    }

    /// Payload bytes that wait for the disk.
    pub fn waiting_bytes(&self) -> usize {
        self.queue.lock().bytes
    }

    /// Commits what was handed over and ends the thread.
    pub fn close(&self) {
        self.queue.lock().closed = true;
        self.queue.wake.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the commit thread panicked");
        }
    }
}

/// Refuses what waits and what comes when the commit thread panics: it would wait for ever.
struct Guard(Arc<Queue>);

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(
                "the commit thread failed for a bug; nothing is stored until a restart"
            );
            let mut state = self.0.lock();
            state.closed = true;
            state.bytes = 0;
            let dropped = mem::take(&mut state.jobs);
            drop(state);
            drop(dropped);
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.close();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding this lock; its state is whole even if something did.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for jobs, unless the caller has something better to do; `None` when closed and empty.
    fn take(&self, wait: bool) -> Option<Vec<Job>> {
        let mut state = self.lock();
        if state.jobs.is_empty() && !state.closed && !wait {
            return Some(Vec::new());
        }
        while state.jobs.is_empty() && !state.closed {
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if !self.linger.is_zero() && !state.closed {
            let deadline = Instant::now() + self.linger;
            while let Some(left) = deadline.checked_duration_since(Instant::now()) {
                let waited = self.wake.wait_timeout(state, left);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                if state.closed {
                    break;
                }
            }
        }
        let jobs = mem::take(&mut state.jobs);
        (!jobs.is_empty()).then_some(jobs)
    }
}

/// The commit thread's own.
struct Writer {
    log: Log,
    next: Vec<u64>,
    apply: Arc<dyn Apply>,
    metrics: Arc<Metrics>,
    queue: Arc<Queue>,
}

impl Writer {
    fn run(&mut self) {
        // Segments may be left that the log does not need.
        let mut reclaiming = false;
        while let Some(jobs) = self.queue.take(!reclaiming) {
            let mut commits = Vec::with_capacity(jobs.len());
            let (mut purges, mut drains) = (Vec::new(), Vec::new());
            for job in jobs {
                match job {
                    Job::Commit(commit) => commits.push(commit),
                    Job::Purge { shard, upto } => purges.push((shard, upto)),
                    Job::Drain(done) => drains.push(done),
                }
            }
            if !commits.is_empty() {
                self.commit_all(commits);
            }
            for done in drains {
                // Who asked may have given up.
                let _ = done.send(());
            }
            reclaiming |= !purges.is_empty();
            if reclaiming {
                reclaiming = self.shorten(&purges).unwrap_or_else(|error| {
                    tracing::error!(%error, "the log could not be shortened");
                    false
                });
            }
        }
    }

    /// Commits in batches that the log takes; what it never would is refused alone.
    fn commit_all(&mut self, commits: Vec<Commit>) {
        let (mut batch, mut batch_size) = (Vec::with_capacity(commits.len()), 0);
        for commit in commits {
            let size = commit.size();
            let largest = commit.parts.iter().map(|part| part.payload.len()).max().unwrap_or(0);
            if largest > MAX_PAYLOAD as usize {
                let limit = MAX_PAYLOAD;
                let text = format!("an entry of {largest} bytes exceeds the limit of {limit}");
                tracing::error!("{text}");
                self.queue.lock().bytes -= size;
                (commit.done)(Err(WriteError::Failed(text)));
                continue;
            }
            if batch_size + size > BATCH_SIZE_MAX {
                self.commit(mem::take(&mut batch));
                batch_size = 0;
            }
            batch_size += size;
            batch.push(commit);
        }
        if !batch.is_empty() {
            self.commit(batch);
        }
    }

    /// Log, sync, apply, answer: in this order for everything.
    fn commit(&mut self, commits: Vec<Commit>) {
        let bytes: usize = commits.iter().map(Commit::size).sum();
        match self.make_durable(&commits) {
            Ok(first_indices) => {
                self.apply_and_answer(commits, first_indices);
            }
            Err(error) => {
                let error = write_error(&error);
                tracing::error!(%error, requests = commits.len(), "commit failed");
                for commit in commits {
                    (commit.done)(Err(error.clone()));
                }
            }
        }
        self.queue.lock().bytes -= bytes;
    }

    /// Notes what is purged and frees one segment; true when there may be more. Writes wait for
    /// one file's removal at most.
    fn shorten(&mut self, purges: &[(u16, u64)]) -> Result<bool, LogError> {
        let started = Instant::now();
        for (shard, index) in purges {
            self.log.purge_prefix(u32::from(*shard), EntryId { term: 0, index: *index })?;
        }
        let freed = self.log.reclaim()?;
        self.metrics.log_segments_freed.add(freed as u64);
        self.metrics.reclaim.observe(started.elapsed());
        Ok(freed > 0)
    }

    /// Returns each shard's first new log index.
    fn make_durable(&mut self, commits: &[Commit]) -> Result<Vec<u64>, LogError> {
        let started = Instant::now();
        let mut next = self.next.clone();
        let mut entries = Vec::new();
        let mut bytes = 0;
        for part in commits.iter().flat_map(|c| &c.parts) {
            let index = &mut next[usize::from(part.shard)];
            let group = u32::from(part.shard);
            entries.push(Entry { group, term: 0, index: *index, payload: &part.payload });
            *index += 1;
            bytes += part.payload.len() as u64;
        }
        if !entries.is_empty() {
            self.log.append(&entries)?;
            self.log.sync()?;
            self.metrics.fsync.observe(started.elapsed());
        }
        self.metrics.log_bytes.add(bytes);
        self.metrics.log_entries.add(entries.len() as u64);
        self.metrics.commit_requests.add(commits.len() as u64);
        Ok(mem::replace(&mut self.next, next))
    }

    fn apply_and_answer(&mut self, commits: Vec<Commit>, mut indices: Vec<u64>) {
        let started = Instant::now();
        for Commit { parts, mut outcome, done, memory } in commits {
            for part in &parts {
                let index = &mut indices[usize::from(part.shard)];
                self.apply.apply(part, *index, &mut outcome);
                *index += 1;
            }
            drop((parts, memory));
            done(Ok(outcome));
        }
        self.metrics.apply.observe(started.elapsed());
    }
}

fn write_error(error: &LogError) -> WriteError {
    match error {
        LogError::Full { .. } => WriteError::DiskFull(error.to_string()),
        LogError::Io { .. } | LogError::Poisoned => WriteError::Poisoned(error.to_string()),
        _ => WriteError::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
