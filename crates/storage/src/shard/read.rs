//! Reading a series: chunk files, frozen tier and head as one column.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use metricstor_model::{Need, Room, Samples, SelectError, TimeRange};
use roaring::RoaringBitmap;

use super::{FileSet, Shard};
use crate::chunk_file::{Exemplars, SeriesKey};
use crate::settle::settle;

/// Series looked up in the head under one lock, at most, and the samples after which no more are:
/// applying and flushing wait for as many.
const SERIES_AT_ONCE: usize = 32;
const SAMPLES_AT_ONCE: usize = 4096;
/// Room for more samples of one series than this is given back at once: no budget knows of it.
const SAMPLES_KEPT: usize = 4 * SAMPLES_AT_ONCE;
/// Series whose samples' presence is looked up under one lock.
const LOOKED_UP_AT_ONCE: usize = 1024;

thread_local! {
    /// The head's part of some series, while the files' part is put before it.
    static RECENT: Cell<Vec<Recent>> = const { Cell::new(Vec::new()) };
}

struct Recent {
    key: SeriesKey,
    samples: Samples,
}

impl Shard {
    /// Replaces `out` by a series' samples inside `range`.
    pub fn read(
        &self,
        key: SeriesKey,
        range: TimeRange,
        out: &mut Samples,
    ) -> Result<(), SelectError> {
        let all = &mut |_: &mut Samples| ControlFlow::Continue(());
        let key = std::iter::once(key);
        self.read_each(key, range, Need::Every, &mut |_| true, out, all).map(|_| ())
    }

    /// Reads series one after the other into `out`, as long as there is `room`, and hands over each until
    /// `visit` breaks off.
    pub fn read_each(
        &self,
        mut keys: impl Iterator<Item = SeriesKey>,
        range: TimeRange,
        need: Need,
        room: Room<'_>,
        out: &mut Samples,
        visit: &mut dyn FnMut(&mut Samples) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, SelectError> {
        let mut recent = RECENT.take();
        loop {
            let (count, in_memory, files) =
                self.read_recent(&mut keys, range, room, &mut recent)?;
            if count == 0 {
                RECENT.set(recent);
                return Ok(ControlFlow::Continue(()));
            }
            for Recent { key, samples } in &mut recent[..count] {
                out.clear();
                files.read_needed(*key, range, need, in_memory, room, out)?;
                append(out, samples);
                if !room(out) {
                    return Err(SelectError::Cancelled);
                }
                if samples.timestamps.capacity() > SAMPLES_KEPT {
                    *samples = Samples::default();
                }
                if visit(out).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
    }

    /// The head's part of the next series, how many these are, and of the same moment the times of all
    /// samples in memory and the files.
    fn read_recent(
        &self,
        keys: &mut impl Iterator<Item = SeriesKey>,
        range: TimeRange,
        room: Room<'_>,
        recent: &mut Vec<Recent>,
    ) -> Result<(usize, Option<TimeRange>, Arc<FileSet>), SelectError> {
        let live = self.live();
        let in_memory = live.head.range();
        let in_head = in_memory.is_some_and(|own| own.overlaps(range));
        let (mut count, mut samples) = (0, 0);
        while count < SERIES_AT_ONCE
            && samples < SAMPLES_AT_ONCE
            && let Some(key) = keys.next()
        {
            if count == recent.len() {
                recent.push(Recent { key, samples: Samples::default() });
            }
            let part = &mut recent[count];
            part.key = key;
            part.samples.clear();
            if in_head && !live.head.read(key.series, range, room, &mut part.samples) {
                return Err(SelectError::Cancelled);
            }
            count += 1;
            samples += part.samples.len();
        }
        Ok((count, in_memory, live.files.clone()))
    }

    /// The exemplars inside `range` of the `wanted` series.
    pub fn exemplars(
        &self,
        range: TimeRange,
        wanted: &RoaringBitmap,
    ) -> Result<Exemplars, SelectError> {
        let mut all = Exemplars::new();
        let files = {
            let live = self.live();
            live.head.exemplars(range, wanted, &mut all);
            live.files.clone()
        };
        files.exemplars(range, wanted, &mut all)?;
        all.retain(|_, column| !column.is_empty());
        Ok(all)
    }

    /// Keeps the series that may have samples inside `range`: all of them if it is that of all samples,
    /// for series without any do not stay.
    pub fn retain_holding(&self, series: &mut RoaringBitmap, range: TimeRange) {
        if !self.forget_due.load(Ordering::Relaxed) && self.live().is_whole_within(range) {
            return;
        }
        let files = self.live().files.clone();
        let mut rest = series.clone();
        // To take from runs is slow.
        rest.remove_run_compression();
        files.subtract_held(&mut rest, range);
        let mut lacking = RoaringBitmap::new();
        let mut rest = rest.iter().peekable();
        while rest.peek().is_some() {
            let (mut missing, now) = {
                let live = self.live();
                let some = rest.by_ref().take(LOOKED_UP_AT_ONCE);
                let missing = some.filter(|series| !live.head.may_hold(*series, range));
                (missing.collect::<RoaringBitmap>(), live.files.clone())
            };
            if !Arc::ptr_eq(&files, &now) {
                // A flush may have moved them meanwhile.
                now.subtract_held(&mut missing, range);
            }
            lacking |= missing;
        }
        *series -= lacking;
    }
}

/// Puts the head's part of a series behind the files'.
fn append(out: &mut Samples, recent: &mut Samples) {
    if out.is_empty() {
        return std::mem::swap(out, recent);
    }
    let start = out.len();
    out.append(recent, 0..recent.len());
    settle(out, start);
}
