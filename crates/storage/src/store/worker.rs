//! The store's background threads. A merge may take minutes, so what must not wait for it (flushes,
//! retention, looking at memory and disk) has threads of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Inner;

/// How often a thread looks around.
const TICK: Duration = Duration::from_secs(1);
/// Metadata is saved, and unused references are looked for, after so many rounds.
const SLOW_ROUNDS: u64 = 60;
/// Each panic after another doubles the pause, but not more often than this: 256 s.
const DOUBLINGS_MAX: u32 = 8;

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

    /// Runs `act` with the number of the round, from 1 on, until the stop. What panics is tried again
    /// in the next round: without it, memory and disk would fill.
    fn every_tick(&self, name: &'static str, act: fn(&Inner, u64)) -> std::io::Result<()> {
        let (inner, stop) = (self.inner.clone(), self.stop.clone());
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
            let (mut round, mut panics) = (0, 0);
            while !stop.wait(pause(panics)) {
                round += 1;
                // Every lock is taken whatever a panic left in it, as after one of a request.
                let done = catch_unwind(AssertUnwindSafe(|| act(&inner, round)));
                panics = if done.is_ok() { 0 } else { panics + 1 };
                if done.is_err() {
                    inner.metrics.maintenance_panics.add(1);
                    let again = pause(panics);
                    tracing::error!(thread = name, ?again, "failed for a bug, will try again");
                }
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
            if thread.join().is_err() {
                tracing::error!("a thread of the maintenance panicked");
            }
        }
    }
}

/// How long a thread waits for its next round after so many panics one after another.
fn pause(panics: u32) -> Duration {
    TICK * (1 << panics.min(DOUBLINGS_MAX))
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;

    use super::*;
    use crate::config::StoreConfig;
    use crate::files::Disk;
    use crate::store::Store;

    #[test]
    fn a_thread_that_panicked_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let (asked, rounds) = mpsc::channel();
        let is_first = AtomicBool::new(true);
        let clock = move || {
            if std::thread::current().name() == Some("maintain") {
                assert!(!is_first.swap(false, Ordering::Relaxed), "a bug");
                // The test may have ended.
                let _ = asked.send(());
            }
            1_800_000_000_000
        };
        let (store, _) =
            Store::open(StoreConfig::new(dir.path()), Arc::new(Disk), Arc::new(clock)).unwrap();
        rounds.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(store.metrics().maintenance_panics.get(), 1);
    }

    #[test]
    fn pauses_after_panics_grow_up_to_a_bound() {
        let seconds = [0, 1, 2, 8, 9, u32::MAX].map(|panics| pause(panics).as_secs());
        assert_eq!(seconds, [1, 2, 4, 256, 256, 256]);
    }
}
