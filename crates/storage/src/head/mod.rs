//! The head: the part of a shard that is in memory.
//!
//! Samples in time order are appended to their series' chain; late ones wait beside. A flush freezes
//! everything at once, and what is frozen stays readable until its chunk file is published.
//! Invariant: for one series a timestamp occurs once across head, frozen tier and chunk files.

mod append;
mod cells;
pub(crate) mod codec;
mod delete;
mod exemplars;
mod sealed;
mod starts;
mod table;
mod tier;

use std::collections::HashSet;
use std::sync::Arc;

use metricstor_model::{Room, Samples, TimeRange};
use roaring::RoaringBitmap;

pub(crate) use append::{History, Verdict};
use table::{BORN_HERE, PAGE, Table};
pub(crate) use tier::Frozen;
use tier::Tier;

use crate::tombstone::{Tombstone, hide};

/// Every tombstone in `Head::hidden` is later than all that is frozen.
const BEFORE_ALL: u64 = 0;
/// Bytes of a chain after which another one is begun: no more than that is decoded to find one sample.
const CHAIN_SIZE_MAX: usize = 64 << 10;

/// A shard's samples in memory.
pub(crate) struct Head {
    series: Table,
    tier: Tier,
    frozen: Option<Arc<Frozen>>,
    /// Deletions that came after `frozen` was; they go on in the chunk file's tombstones.
    hidden: Vec<Arc<Tombstone>>,
    chain_size_max: usize,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            series: Table::default(),
            tier: Tier::default(),
            frozen: None,
            hidden: Vec::new(),
            chain_size_max: CHAIN_SIZE_MAX,
        }
    }
}

impl Head {
    /// Notes that a series exists; true when that is news.
    pub fn define(&mut self, series: u32) -> bool {
        self.series.define(series, BORN_HERE)
    }

    /// Notes that all series below exist already, perhaps with samples in chunk files.
    pub fn define_below(&mut self, series: u32) {
        self.series.define_below(series);
    }

    /// Every series below is defined.
    pub fn defined_below(&self) -> u32 {
        self.series.defined_below()
    }

    /// Was this series defined by an applied entry or the catalog?
    pub fn is_defined(&self, series: u32) -> bool {
        self.series.is_defined(series)
    }

    /// Appends the samples of a series inside `range` to `out`, which keeps its order; `false` if there
    /// is no `room` for all of them.
    pub fn read(&self, series: u32, range: TimeRange, room: Room<'_>, out: &mut Samples) -> bool {
        if let Some(frozen) = &self.frozen {
            let start = out.len();
            if !frozen.read(series, range, room, out) {
                return false;
            }
            hide(&self.hidden, series, BEFORE_ALL, out, start);
        }
        let Some(state) = self.series.get(series) else { return true };
        let read = state.chain.len() > 0 && state.times().overlaps(range);
        self.tier.read(series, Some(&state.chain).filter(|_| read), range, room, out)
    }

    /// May the head hold a sample of this series inside `range`? Errs on the side of yes.
    pub fn may_hold(&self, series: u32, range: TimeRange) -> bool {
        let chain = self
            .series
            .get(series)
            .is_some_and(|state| state.chain.len() > 0 && state.times().overlaps(range));
        let frozen = self.frozen.as_ref();
        chain
            || self.tier.has_side(series, range)
            || frozen.is_some_and(|f| f.may_hold(series, range))
    }

    /// The times of all samples in memory; `None` when there are none.
    pub fn range(&self) -> Option<TimeRange> {
        let frozen = self.frozen.as_ref().and_then(|f| f.range());
        [self.tier.range(), frozen].into_iter().flatten().reduce(TimeRange::union)
    }

    /// Samples not yet frozen.
    pub fn samples(&self) -> u64 {
        self.tier.samples
    }

    /// Series with samples that are not yet frozen.
    pub fn active_series(&self) -> usize {
        self.series.chained().count()
    }

    /// Bytes of the samples not yet frozen.
    pub fn sample_bytes(&self) -> usize {
        self.tier.size()
    }

    /// Does something frozen wait for its chunk file?
    pub fn has_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// Bytes of memory held.
    pub fn size(&self) -> usize {
        let frozen = self.frozen.as_ref().map_or(0, |f| f.size());
        self.series.size() + self.tier.size() + frozen
    }

    /// Takes everything aside for a flush; `None` when there is nothing or a flush is under way.
    ///
    /// Takes time in proportion to the number of series (5 ms a million), not of samples.
    pub fn freeze(&mut self) -> Option<Arc<Frozen>> {
        if self.frozen.is_some() || self.tier.is_empty() {
            return None;
        }
        let side: HashSet<u32> = self.tier.side().map(|series| series / PAGE as u32).collect();
        let chains = self.series.take_chains(|page| side.contains(&page));
        let frozen = Arc::new(Frozen::new(chains, std::mem::take(&mut self.tier)));
        self.frozen = Some(frozen.clone());
        Some(frozen)
    }

    /// Gives back the pages of series that have had no samples since the last flush.
    pub fn give_back_idle(&mut self) {
        if self.frozen.is_none() && self.tier.is_empty() {
            self.series.take_chains(|_| false);
        }
    }

    /// Forgets what was frozen: its chunk file is published.
    pub fn release_frozen(&mut self) {
        self.frozen = None;
        self.hidden.clear();
    }

    /// The series that have samples here, frozen ones included.
    pub fn occupied(&self) -> RoaringBitmap {
        let mut all: RoaringBitmap = self.series.chained().collect();
        all.extend(self.tier.side());
        if let Some(frozen) = &self.frozen {
            all.extend(frozen.series());
        }
        all
    }
}

#[cfg(test)]
mod tests;
