//! Reading every chunk file once in a while, so that damage is found while there is a copy to restore.
//!
//! Files are named by a hash of their content, so the names are spread evenly: the clock says where in
//! the order of names the scrub should be. It needs no memory of its own, and a restart goes on there.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Inner;
use crate::chunk_file::{ChunkFile, ChunkFileError, ContentCheck};
use crate::shard::{Shard, name};

/// Bytes read in one round.
const STEP: u64 = 16 << 20;
/// Damaged places named in one file.
const PLACES_MAX: usize = 1000;

#[derive(Default)]
pub(super) struct Scrub {
    state: Mutex<State>,
    /// Milliseconds since the epoch; 0: none yet.
    last_pass: AtomicI64,
}

#[derive(Default)]
struct State {
    /// When the files due were last looked up; milliseconds since the epoch.
    looked: Option<i64>,
    /// Shards and names of files: one that is deleted meanwhile must not take space any longer.
    due: VecDeque<(Arc<Shard>, String)>,
    /// What is read of the first of them.
    at_work: Option<ContentCheck>,
    /// Milliseconds of the pass at work that are behind.
    passed: i64,
}

impl Scrub {
    /// When every file was last read by a process that ran all the time; milliseconds since the epoch.
    pub fn last_pass(&self) -> Option<i64> {
        Some(self.last_pass.load(Ordering::Relaxed)).filter(|time| *time > 0)
    }
}

impl Inner {
    /// Reads a bounded part of what is due.
    pub(super) fn scrub(&self) {
        let interval = self.config.scrub_interval_ms;
        if interval <= 0 {
            return;
        }
        let mut state = self.scrub.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.scrub_round(&mut state, (self.clock)(), interval, STEP);
    }

    fn scrub_round(&self, state: &mut State, now: i64, interval: i64, bytes: u64) {
        self.look_up(state, now, interval);
        let mut left = bytes;
        while left > 0
            && let Some((shard, name)) = state.due.front().cloned()
        {
            let (read, is_done) = self.check(&shard, &name, &mut state.at_work, left);
            left = left.saturating_sub(read.max(1));
            if is_done {
                state.at_work = None;
                state.due.pop_front();
            }
        }
        if state.due.is_empty() && state.passed >= interval {
            state.passed = 0;
            self.scrub.last_pass.store(now, Ordering::Relaxed);
        }
    }

    fn look_up(&self, state: &mut State, now: i64, interval: i64) {
        // A clock that went back begins anew.
        let looked = state.looked.filter(|looked| *looked <= now).unwrap_or(now);
        state.looked = Some(now);
        state.passed += now - looked;
        for shard in &self.shards.shards {
            for file in shard.files().iter().filter(|f| is_due(place(f), looked, now, interval)) {
                // When reading falls behind, a file may be due again before its turn came.
                let is_same = |(of, due): &(Arc<Shard>, String)| {
                    of.number == shard.number && due == name(file)
                };
                if !state.due.iter().any(is_same) {
                    state.due.push_back((shard.clone(), name(file).to_owned()));
                }
            }
        }
    }

    /// Reads at most so many bytes more of a file, if there still is one of that name; returns how
    /// many, and whether that was all.
    fn check(
        &self,
        shard: &Shard,
        name: &str,
        at_work: &mut Option<ContentCheck>,
        bytes: u64,
    ) -> (u64, bool) {
        let files = shard.files();
        let Some(file) = files.find(name) else { return (0, true) };
        // Another one of the same content is another place on the disk.
        let begun = at_work.take().filter(|check| std::ptr::eq(check.file(), Arc::as_ptr(file)));
        let check = at_work.insert(begun.unwrap_or_else(|| ContentCheck::new(file.clone())));
        let before = check.left();
        let verdict = check.step(bytes);
        let read = before - check.left();
        self.metrics.scrubbed_bytes.add(read);
        match verdict {
            Ok(None) => return (read, false),
            Ok(Some(true)) => {}
            Ok(Some(false)) => self.quarantine(shard, file),
            Err(error) => self.note_damage(shard, name, &error),
        }
        (read, true)
    }

    /// The content is not what the name says: which places are damaged?
    fn quarantine(&self, shard: &Shard, file: &ChunkFile) {
        match file.verify(PLACES_MAX) {
            Ok(damages) => {
                for damage in damages {
                    let error = ChunkFileError::damaged(file.path(), damage.offset, damage.what);
                    self.note_damage(shard, name(file), &error);
                }
            }
            Err(error) => self.note_damage(shard, name(file), &error),
        }
    }

    /// Reports what is wrong with a file, unless it is gone meanwhile.
    fn note_damage(&self, shard: &Shard, name: &str, error: &ChunkFileError) {
        let files = shard.files();
        if files.find(name).is_none() {
            return;
        }
        if matches!(error, ChunkFileError::Damaged { .. }) {
            self.metrics.scrub_damage.add(1);
            files.report(error);
        } else {
            tracing::warn!(%error, "a chunk file could not be read to check it");
        }
    }
}

/// Where a file stands among all names: a part of `u32::MAX`.
fn place(file: &ChunkFile) -> u32 {
    name(file).get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

/// Does the scrub pass this place between two times?
fn is_due(place: u32, from: i64, to: i64, interval: i64) -> bool {
    let at = |time: i64| {
        let part = i128::from(time.rem_euclid(interval)) << 32;
        (part / i128::from(interval)) as u32
    };
    if to - from >= interval {
        return true;
    }
    let (from, to) = (at(from), at(to));
    if from <= to { (from..to).contains(&place) } else { place >= from || place < to }
}

#[cfg(test)]
mod tests {
    use metricstor_model::{EncodedLabels, WriteRequest, WriteSeries};

    use super::*;
    use crate::config::StoreConfig;
    use crate::files::Disk;
    use crate::store::Store;

    const NOW: i64 = 1_800_000_000_000;

    fn store(dir: &std::path::Path) -> Store {
        let mut config = StoreConfig::new(dir);
        (config.shards, config.scrub_interval_ms) = (1, 0);
        Store::open(config, Arc::new(Disk), Arc::new(|| NOW)).unwrap().0
    }

    /// A chunk file with one sample.
    fn add_file(store: &Store, at: i64) {
        let mut request = WriteRequest::default();
        request.timestamps.push(at);
        request.values.push(1.0);
        request.series.push(WriteSeries {
            labels: EncodedLabels {
                bytes: b"m",
                decode: |_, pairs| {
                    pairs.push(("__name__", "m"));
                    Ok(())
                },
            },
            samples: 0..1,
            histograms: 0..0,
            exemplars: 0..0,
        });
        let (answer, answered) = std::sync::mpsc::channel();
        store.write(&request, Box::new(move |result| answer.send(result).unwrap()));
        answered.recv().unwrap().unwrap();
        store.inner.flush(&store.inner.shards.shards[0]).unwrap();
    }

    #[test]
    fn a_file_is_queued_once_and_read_only_if_it_is_still_there() {
        let dir = tempfile::tempdir().unwrap();
        let (store, mut state, week) = (store(dir.path()), State::default(), 7 * 24 * 3_600_000);
        add_file(&store, NOW - 2000);
        add_file(&store, NOW - 1000);
        let inner = &store.inner;
        let shard = &inner.shards.shards[0];
        for round in 0..3 {
            inner.scrub_round(&mut state, NOW + round * week, week, 0);
            assert_eq!(
                (state.due.len(), inner.scrub.last_pass()),
                (2 * round.min(1) as usize, None)
            );
        }
        let first = state.due[0].1.clone();
        inner.scrub_round(&mut state, NOW + 3 * week, week, 1);
        assert!(state.at_work.is_some());
        shard.drop_files(|file| name(file) == first).unwrap();
        inner.scrub_round(&mut state, NOW + 3 * week + 1, week, STEP);
        assert!(state.due.is_empty() && state.at_work.is_none());
        assert_eq!(inner.scrub.last_pass(), Some(NOW + 3 * week + 1));
        assert_eq!(inner.metrics.scrubbed_bytes.get(), 1 + shard.file_bytes());
    }

    #[test]
    fn every_place_is_passed_once_in_an_interval_however_the_rounds_fall() {
        let interval = 7 * 24 * 3_600_000;
        for step in [1000, 999_983, 3_600_000, interval - 1, interval] {
            for place in [0, 1, 77_777, 1 << 31, u32::MAX - 1, u32::MAX] {
                let mut now = 1_800_000_000_123;
                let end = now + interval;
                let mut times = 0;
                while now < end {
                    let next = (now + step).min(end);
                    times += i32::from(is_due(place, now, next, interval));
                    now = next;
                }
                assert_eq!(times, 1, "{step} {place}");
            }
        }
    }
}
