//! The store's background threads. A merge may take minutes, so what must not wait for it (flushes,
//! retention, looking at memory and disk) has threads of its own.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Inner;

/// How often a thread looks around.
const TICK: Duration = Duration::from_secs(1);
/// Metadata is saved, and unused references are looked for, after so many rounds.
const SLOW_ROUNDS: u64 = 60;

pub(super) struct Worker {
    inner: Arc<Inner>,
    stop: Arc<Stop>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Stop {
    stopped: Mutex<bool>,
    wake: Condvar,
}

impl Worker {
    pub fn start(inner: Arc<Inner>) -> std::io::Result<Self> {
        let worker = Self { inner, stop: Arc::default(), threads: Mutex::default() };
        worker.every_tick("watch", |inner, round| {
            inner.note_memory(round);
            inner.reserve.keep();
        })?;
        worker.every_tick("maintain", |inner, round| {
            inner.flush_and_expire();
            if round.is_multiple_of(SLOW_ROUNDS) {
                inner.save_metadata();
            }
        })?;
        worker.every_tick("merge", |inner, round| {
            if round.is_multiple_of(SLOW_ROUNDS) {
                inner.shards.shards.iter().for_each(|shard| shard.look_for_unused());
            }
            inner.merge_and_forget();
            inner.scrub();
        })?;
        Ok(worker)
    }

    /// Runs `act` with the number of the round, from 1 on, until the stop.
    fn every_tick(&self, name: &'static str, act: fn(&Inner, u64)) -> std::io::Result<()> {
        let (inner, stop) = (self.inner.clone(), self.stop.clone());
        let told = Told(name);
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
            let _told = told;
            let mut round = 0;
            while !stop.wait(TICK) {
                round += 1;
                act(&inner, round);
            }
        })?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    /// Lets the steps at hand end, merges excepted, and ends the threads.
    pub fn stop(&self) {
        *self.stop.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.wake.notify_all();
        self.inner.shards.shards.iter().for_each(|shard| shard.stop_merging());
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // One that panicked has told.
            let _ = thread.join();
        }
    }
}

/// Tells of a panic at once: the server goes on without the thread.
struct Told(&'static str);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let thread = self.0;
            tracing::error!(thread, "failed for a bug; its work waits for a restart");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Stop {
    /// Waits; true when it is time to stop.
    fn wait(&self, timeout: Duration) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.wake.wait_timeout_while(stopped, timeout, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
