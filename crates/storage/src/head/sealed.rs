//! Chains that are not appended to any more: a series begins another one after so many bytes, so that no
//! more than one is decoded to find a sample.

use std::collections::HashMap;
use std::ops::Range;

use metricstor_model::{Room, Samples, TimeRange};

use super::cells::{Cells, Chain};
use super::tier::read_chain;
use crate::tombstone::cut;

/// The sealed chains of series, in time order: what came before the chain that is appended to.
#[derive(Default)]
pub(super) struct SealedChains(HashMap<u32, Vec<Sealed>>);

pub(super) struct Sealed {
    pub times: TimeRange,
    chain: Chain,
    /// The same decoded, once somebody looked for single samples; what was deleted is only gone here.
    open: Option<Samples>,
}

impl Sealed {
    /// Appends the samples inside `range`; `false` if there is no `room` for all of them.
    pub fn read(&self, range: TimeRange, cells: &Cells, room: Room<'_>, out: &mut Samples) -> bool {
        let Some(open) = &self.open else {
            return read_chain(&self.chain, range, cells, room, out);
        };
        out.append(open, places(open, range));
        room(out)
    }

    /// May there be a sample inside `range`? Errs on the side of yes.
    fn may_hold(&self, range: TimeRange) -> bool {
        let overlaps = self.times.overlaps(range);
        overlaps && self.open.as_ref().is_none_or(|open| !places(open, range).is_empty())
    }

    fn open(&mut self, cells: &Cells) -> &mut Samples {
        self.open.get_or_insert_with(|| {
            let mut samples = Samples::default();
            read_chain(&self.chain, TimeRange::ALL, cells, &mut |_| true, &mut samples);
            samples
        })
    }

    /// Bytes of memory held beside the cells.
    fn size(&self) -> usize {
        size_of::<Self>() + self.open.as_ref().map_or(0, Samples::size)
    }
}

impl SealedChains {
    pub fn push(&mut self, series: u32, times: TimeRange, chain: Chain) {
        self.0.entry(series).or_default().push(Sealed { times, chain, open: None });
    }

    pub fn of(&self, series: u32) -> &[Sealed] {
        if self.0.is_empty() {
            return &[];
        }
        self.0.get(&series).map_or(&[], Vec::as_slice)
    }

    /// Those of a series that may have samples inside `range`.
    pub fn inside(&self, series: u32, range: TimeRange) -> &[Sealed] {
        let all = self.of(series);
        &all[overlapping(all, range)]
    }

    /// Decodes for good what may have samples inside `range`.
    pub fn open(&mut self, series: u32, range: TimeRange, cells: &Cells) {
        let Some(all) = self.0.get_mut(&series) else { return };
        let inside = overlapping(all, range);
        for sealed in &mut all[inside] {
            sealed.open(cells);
        }
    }

    /// Deletes a series' samples inside `range`, and returns how many there were.
    pub fn delete(&mut self, series: u32, range: TimeRange, cells: &Cells) -> usize {
        let Some(all) = self.0.get_mut(&series) else { return 0 };
        let inside = overlapping(all, range);
        let mut deleted = 0;
        for sealed in &mut all[inside] {
            let samples = sealed.open(cells);
            let before = samples.len();
            cut(samples, 0, range);
            deleted += before - samples.len();
        }
        all.retain(|sealed| sealed.open.as_ref().is_none_or(|open| !open.is_empty()));
        if all.is_empty() {
            self.0.remove(&series);
        }
        deleted
    }

    /// May a series have a sample inside `range`? Errs on the side of yes.
    pub fn may_hold(&self, series: u32, range: TimeRange) -> bool {
        self.inside(series, range).iter().any(|sealed| sealed.may_hold(range))
    }

    pub fn series(&self) -> impl Iterator<Item = &u32> {
        self.0.keys()
    }

    /// Bytes of a series' samples.
    pub fn size_of(&self, series: u32) -> usize {
        self.of(series).iter().map(|sealed| sealed.chain.len() + sealed.size()).sum()
    }

    /// Bytes of memory held beside the cells.
    pub fn size(&self) -> usize {
        self.0.values().flatten().map(Sealed::size).sum()
    }
}

/// Where the samples inside `range` stand.
fn places(samples: &Samples, range: TimeRange) -> Range<usize> {
    let start = samples.timestamps.partition_point(|at| *at < range.start);
    let end = samples.timestamps.partition_point(|at| *at <= range.end);
    start..end.max(start)
}

fn overlapping(all: &[Sealed], range: TimeRange) -> Range<usize> {
    let start = all.partition_point(|sealed| sealed.times.end < range.start);
    let end = all.partition_point(|sealed| sealed.times.start <= range.end);
    start..end.max(start)
}
