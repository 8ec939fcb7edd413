//! Reading every chunk file once in a while, so that damage is found while there is a copy to restore.
//!
//! Files are named by a hash of their content, so the names are spread evenly: the clock says where in
//! the order of names the scrub should be. It needs no memory of its own, and a restart goes on there.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Inner;
use crate::chunk_file::{ChunkFile, ChunkFileError, ContentCheck};
use crate::shard::{FileSet, Shard};

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
    due: VecDeque<(Arc<Shard>, ContentCheck)>,
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
        self.look_up(&mut state, (self.clock)(), interval);
        let mut left = STEP;
        while left > 0
            && let Some((shard, check)) = state.due.front_mut()
        {
            let before = check.left();
            let verdict = check.step(left);
            let read = before - check.left();
            self.metrics.scrubbed_bytes.add(read);
            left = left.saturating_sub(read.max(1));
            match verdict {
                Ok(None) => continue,
                Ok(Some(true)) => {}
                Ok(Some(false)) => self.quarantine(&shard.files(), check.file()),
                Err(error) => self.note_damage(&shard.files(), &error),
            }
            state.due.pop_front();
        }
    }

    fn look_up(&self, state: &mut State, now: i64, interval: i64) {
        // A clock that went back begins anew.
        let looked = state.looked.filter(|looked| *looked <= now).unwrap_or(now);
        state.looked = Some(now);
        for shard in &self.shards.shards {
            for file in shard.files().iter() {
                if is_due(place(file), looked, now, interval) {
                    state.due.push_back((shard.clone(), ContentCheck::new(file.clone())));
                }
            }
        }
        state.passed += now - looked;
        if state.passed >= interval {
            state.passed = 0;
            self.scrub.last_pass.store(now, Ordering::Relaxed);
        }
    }

    /// The content is not what the name says: which places are damaged?
    fn quarantine(&self, files: &FileSet, file: &ChunkFile) {
        match file.verify(PLACES_MAX) {
            Ok(damages) => {
                for damage in damages {
                    let error = ChunkFileError::damaged(file.path(), damage.offset, damage.what);
                    self.note_damage(files, &error);
                }
            }
            Err(error) => self.note_damage(files, &error),
        }
    }

    fn note_damage(&self, files: &FileSet, error: &ChunkFileError) {
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
    let name = file.path().file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0)
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
    use super::*;

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
