//! Group commit: one thread writes to the log what all requests brought, syncs once, applies in log
//! order, and only then lets them answer.
//!
//! Invariant: a request's `done` hears of success only after its entries are durable *and* visible.

use std::mem;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::entry::Change;
use crate::metrics::Metrics;
use crate::outcome::{WriteError, WriteOutcome};
use crate::wal::{Entry, EntryId, Log, LogError};

/// Called once, from the commit thread: keep it short.
pub type Done = Box<dyn FnOnce(Result<WriteOutcome, WriteError>) + Send>;

/// One shard's part of a request.
pub(crate) struct Part {
    pub shard: u16,
    pub change: Change,
    /// `change`, encoded by the request's own thread.
    pub payload: Vec<u8>,
}

/// A request on its way to the log.
pub(crate) struct Commit {
    pub parts: Vec<Part>,
    /// Refusals found before the log.
    pub outcome: WriteOutcome,
    pub done: Done,
}

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
        let thread =
            std::thread::Builder::new().name("commit".into()).spawn(move || writer.run())?;
        Ok(Self { queue, thread: Mutex::new(Some(thread)) })
    }

    /// Hands over a request; refused at once when too much waits already.
    pub fn submit(&self, commit: Commit) {
        let bytes: usize = commit.parts.iter().map(|p| p.payload.len()).sum();
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

    /// Waits for jobs; empty only when closed.
    fn take(&self) -> Vec<Job> {
        let mut state = self.lock();
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
        mem::take(&mut state.jobs)
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
        loop {
            let jobs = self.queue.take();
            if jobs.is_empty() {
                return;
            }
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
                self.commit(commits);
            }
            for done in drains {
                // Who asked may have given up.
                let _ = done.send(());
            }
            if !purges.is_empty()
                && let Err(error) = self.purge(&purges)
            {
                tracing::error!(%error, "the log could not be shortened");
            }
        }
    }

    /// Log, sync, apply, answer: in this order for everything.
    fn commit(&mut self, commits: Vec<Commit>) {
        let bytes: usize =
            commits.iter().flat_map(|c| &c.parts).map(|part| part.payload.len()).sum();
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

    fn purge(&mut self, purges: &[(u16, u64)]) -> Result<(), LogError> {
        for (shard, index) in purges {
            self.log.purge_prefix(u32::from(*shard), EntryId { term: 0, index: *index })?;
        }
        self.log.reclaim()?;
        Ok(())
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
        for Commit { parts, mut outcome, done } in commits {
            for part in &parts {
                let index = &mut indices[usize::from(part.shard)];
                self.apply.apply(part, *index, &mut outcome);
                *index += 1;
            }
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
