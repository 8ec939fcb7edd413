//! One generation of samples in memory: chains in an arena, late samples and histograms beside.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use metricstor_model::{FloatHistogram, Room, Samples, TimeRange};

use super::cells::{Cells, Chain};
use super::codec::CodecState;
use super::sealed::SealedChains;
use super::starts::Starts;
use super::table::{Chains, PAGE};
use crate::chunk_file::Exemplars;
use crate::settle::{compare_anew, settle};

/// So many more samples of a series are read before room for them is asked for.
const ASKED_AFTER: usize = 1 << 16;

/// About what an exemplar takes in memory.
const EXEMPLAR_SIZE: usize = 256;
/// About what a histogram takes beside its own bytes.
const HISTOGRAM_SIZE: usize = 64;
/// About what a late sample takes, in a tree's half-full node.
const LATE_SIZE: usize = 32;

/// Samples that go to the same chunk file.
pub(crate) struct Tier {
    pub cells: Cells,
    pub sealed: SealedChains,
    /// Late samples: bits by timestamp. They may come in any order, and a million of one series.
    pub late: HashMap<u32, BTreeMap<i64, u64>>,
    /// So may these.
    pub histograms: HashMap<u32, BTreeMap<i64, Arc<FloatHistogram>>>,
    pub starts: Starts,
    pub samples: u64,
    /// Bytes of the histograms: their buckets may be a hundred or ten thousand.
    histogram_bytes: usize,
    pub exemplars: Exemplars,
    pub exemplar_count: usize,
    start: i64,
    end: i64,
}

impl Default for Tier {
    fn default() -> Self {
        Self {
            cells: Cells::default(),
            sealed: SealedChains::default(),
            late: HashMap::new(),
            histograms: HashMap::new(),
            starts: Starts::default(),
            samples: 0,
            histogram_bytes: 0,
            exemplars: Exemplars::new(),
            exemplar_count: 0,
            start: i64::MAX,
            end: i64::MIN,
        }
    }
}

impl Tier {
    /// Counts a stored sample.
    #[inline]
    pub fn note(&mut self, timestamp: i64) {
        self.samples += 1;
        self.start = self.start.min(timestamp);
        self.end = self.end.max(timestamp);
    }

    /// Counts a histogram that came to the others.
    pub fn hold(&mut self, histogram: &FloatHistogram) {
        self.histogram_bytes += histogram.size() + HISTOGRAM_SIZE;
    }

    /// Deletes a series' histograms inside `range`, and returns how many there were.
    pub fn delete_histograms(&mut self, series: u32, range: TimeRange) -> usize {
        let Some(column) = self.histograms.get_mut(&series) else { return 0 };
        let before = column.len();
        let held = &mut self.histogram_bytes;
        column.retain(|timestamp, histogram| {
            let stays = !range.contains(*timestamp);
            *held -= if stays { 0 } else { histogram.size() + HISTOGRAM_SIZE };
            stays
        });
        let deleted = before - column.len();
        if deleted > 0
            && let Some((_, next)) = column.range_mut(range.end..).next()
        {
            compare_anew(next);
        }
        if column.is_empty() {
            self.histograms.remove(&series);
        }
        deleted
    }

    /// Counts deleted samples; the range may stay wider than what is left.
    pub fn forget(&mut self, samples: usize) {
        self.samples -= samples as u64;
    }

    /// Is there nothing that a file must hold?
    pub fn is_empty(&self) -> bool {
        self.samples == 0 && self.exemplar_count == 0
    }

    pub fn range(&self) -> Option<TimeRange> {
        (self.samples > 0).then(|| TimeRange::new(self.start, self.end))
    }

    /// Appends a series' samples inside `range` to `out`, which keeps its order; `false` if there is no
    /// `room` for all of them.
    pub fn read(
        &self,
        series: u32,
        chain: Option<&Chain>,
        range: TimeRange,
        room: Room<'_>,
        out: &mut Samples,
    ) -> bool {
        if !self.starts.has(series) {
            return self.read_values(series, chain, range, room, out);
        }
        let start = out.len();
        let mut own = Samples::default();
        if !self.read_values(series, chain, range, room, &mut own) {
            return false;
        }
        self.starts.fill(series, &mut own);
        out.append(&own, 0..own.len());
        settle(out, start);
        true
    }

    fn read_values(
        &self,
        series: u32,
        chain: Option<&Chain>,
        range: TimeRange,
        room: Room<'_>,
        out: &mut Samples,
    ) -> bool {
        let start = out.len();
        for sealed in self.sealed.inside(series, range) {
            if !sealed.read(range, &self.cells, room, out) {
                return false;
            }
        }
        if !chain.is_none_or(|chain| read_chain(chain, range, &self.cells, room, out)) {
            return false;
        }
        settle(out, start);
        self.read_side(series, range, out);
        true
    }

    /// Merges in the late samples and histograms of a series.
    fn read_side(&self, series: u32, range: TimeRange, out: &mut Samples) {
        if range.start > range.end {
            return;
        }
        let inside = range.start..=range.end;
        if let Some(late) = self.late.get(&series) {
            let start = out.len();
            for (timestamp, bits) in late.range(inside.clone()) {
                out.push(*timestamp, f64::from_bits(*bits));
            }
            settle(out, start);
        }
        if let Some(histograms) = self.histograms.get(&series) {
            let start = out.len();
            for (timestamp, histogram) in histograms.range(inside) {
                out.push_histogram(*timestamp, histogram.clone());
            }
            settle(out, start);
        }
    }

    /// The series with late samples, then those with histograms, then those with sealed chains.
    pub fn side(&self) -> impl Iterator<Item = u32> {
        self.late.keys().chain(self.histograms.keys()).chain(self.sealed.series()).copied()
    }

    /// Has the series late samples or histograms inside `range`, or perhaps samples in sealed chains?
    pub fn has_side(&self, series: u32, range: TimeRange) -> bool {
        let inside = || range.start..=range.end;
        let late = self.late.get(&series);
        let histograms = self.histograms.get(&series);
        range.start <= range.end
            && (self.sealed.may_hold(series, range)
                || late.is_some_and(|late| late.range(inside()).next().is_some())
                || histograms.is_some_and(|column| column.range(inside()).next().is_some()))
    }

    /// Bytes of the late samples, the histograms and the sealed chains of a series.
    pub fn side_size(&self, series: u32) -> usize {
        let late = self.late.get(&series).map_or(0, |late| late.len() * LATE_SIZE);
        let histograms = self.histograms.get(&series);
        let histograms = histograms.map_or(0, |histograms| histograms.len() * HISTOGRAM_SIZE);
        late + histograms + self.sealed.size_of(series)
    }

    pub fn size(&self) -> usize {
        let late: usize = self.late.values().map(|late| late.len() * LATE_SIZE + 192).sum();
        self.cells.size()
            + late
            + self.sealed.size()
            + self.histogram_bytes
            + self.starts.size()
            + self.exemplar_count * EXEMPLAR_SIZE
    }
}

/// Appends a chain's samples inside `range`; `false` if there is no `room` for all of them.
pub(super) fn read_chain(
    chain: &Chain,
    range: TimeRange,
    cells: &Cells,
    room: Room<'_>,
    out: &mut Samples,
) -> bool {
    let bytes = cells.bytes(chain);
    let mut walk = ChainWalk::new(&bytes);
    while let Some((timestamp, bits)) = walk.next() {
        if timestamp > range.end {
            break;
        }
        if timestamp >= range.start {
            out.push(timestamp, f64::from_bits(bits));
            if out.len().is_multiple_of(ASKED_AFTER) && !room(out) {
                return false;
            }
        }
    }
    true
}

/// Decodes a chain sample by sample.
pub(super) struct ChainWalk<'a> {
    bytes: &'a [u8],
    state: CodecState,
    first: bool,
}

impl<'a> ChainWalk<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, state: CodecState::default(), first: true }
    }

    #[inline]
    pub fn next(&mut self) -> Option<(i64, u64)> {
        let n = self.state.decode(self.bytes)?;
        self.bytes = &self.bytes[n..];
        if self.first {
            // The first delta is the whole timestamp; the second sample must not inherit it.
            self.state.delta = 0;
            self.first = false;
        }
        Some((self.state.timestamp, self.state.bits))
    }
}

/// What a flush writes out, unchanging.
pub(crate) struct Frozen {
    /// By page; only pages with a chain.
    chains: Vec<Option<Chains>>,
    pub(super) tier: Tier,
}

impl Frozen {
    pub(super) fn new(chains: Vec<Option<Chains>>, tier: Tier) -> Self {
        Self { chains, tier }
    }

    /// Appends the samples of a series inside `range` to `out`, which keeps its order; `false` if there
    /// is no `room` for all of them.
    pub fn read(&self, series: u32, range: TimeRange, room: Room<'_>, out: &mut Samples) -> bool {
        self.tier.read(series, self.chain(series), range, room, out)
    }

    /// Hands over the samples of a series in parts, one after the other, of one chain each. `part` is room
    /// for them.
    pub fn read_parts<E>(
        &self,
        series: u32,
        part: &mut Samples,
        mut visit: impl FnMut(&Samples) -> Result<(), E>,
    ) -> Result<(), E> {
        let Tier { sealed, cells, .. } = &self.tier;
        let mut from = i64::MIN;
        for sealed in sealed.of(series) {
            part.clear();
            sealed.read(TimeRange::ALL, cells, &mut |_| true, part);
            let times = TimeRange::new(from, sealed.times.end);
            visit(self.complete(series, times, part))?;
            from = sealed.times.end.saturating_add(1);
        }
        part.clear();
        if let Some(chain) = self.chain(series) {
            read_chain(chain, TimeRange::ALL, cells, &mut |_| true, part);
        }
        visit(self.complete(series, TimeRange::new(from, i64::MAX), part))
    }

    /// Adds to a chain's samples what came beside it in its times.
    fn complete<'p>(&self, series: u32, times: TimeRange, part: &'p mut Samples) -> &'p Samples {
        self.tier.read_side(series, times, part);
        if self.tier.starts.has(series) {
            self.tier.starts.fill(series, part);
        }
        if times.start > i64::MIN
            && let Some((_, first)) = part.histograms.first_mut()
        {
            compare_anew(first);
        }
        part
    }

    fn chain(&self, series: u32) -> Option<&Chain> {
        let page = self.chains.get(series as usize / PAGE)?.as_deref()?;
        Some(&page[series as usize % PAGE]).filter(|chain| chain.len() > 0)
    }

    /// The series that have samples, ascending.
    pub fn series(&self) -> Vec<u32> {
        let mut all: Vec<u32> = self.tier.side().collect();
        for (number, page) in (0u32..).zip(&self.chains) {
            let chains = (0u32..).zip(page.iter().flat_map(|page| page.iter()));
            let first = number * PAGE as u32;
            all.extend(chains.filter(|(_, chain)| chain.len() > 0).map(|(i, _)| first + i));
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// May a sample of this series lie inside `range`? Errs on the side of yes.
    pub fn may_hold(&self, series: u32, range: TimeRange) -> bool {
        let chain = self.chain(series).is_some();
        let overlaps = self.tier.range().is_some_and(|own| own.overlaps(range));
        overlaps && (chain || self.tier.has_side(series, range))
    }

    pub fn range(&self) -> Option<TimeRange> {
        self.tier.range()
    }

    pub fn size(&self) -> usize {
        let pages = self.chains.iter().flatten().count();
        pages * size_of::<[Chain; PAGE]>() + self.tier.size()
    }
}
