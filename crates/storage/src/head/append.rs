//! How one sample enters the head: appended, set beside as late, recognised, or refused.

use std::sync::Arc;

use metricstor_model::{FloatHistogram, Samples, TimeRange};

use super::Head;
use super::codec::{CodecState, SAMPLE_SIZE_MAX};
use super::table::{BORN_HERE, HAS_HISTOGRAMS, HAS_LAST};
use crate::settle::compare_anew;

/// Bytes of a chain in which late samples are looked for.
const SEARCHED_MAX: usize = 16 << 10;

/// What became of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    /// The same value was there already: a retry.
    Duplicate,
    /// Another value stands at this timestamp.
    Conflict,
}

/// A sample that is stored already.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Existing {
    Float(u64),
    Histogram(Arc<FloatHistogram>),
}

/// The chunk files' part of the past, asked only for samples that may be late.
pub(crate) trait History {
    /// The newest timestamp in any chunk file.
    fn end(&self) -> i64;
    /// Appends the stored samples of a series inside `range`. What is damaged counts as absent: the
    /// sample at hand is stored then, so that nothing is lost.
    fn read(&self, series: u32, range: TimeRange, out: &mut Samples);
}

impl Head {
    /// Stores a float. The fast path is one comparison and one append.
    #[inline]
    pub fn append<H: History>(
        &mut self,
        series: u32,
        timestamp: i64,
        bits: u64,
        history: &H,
    ) -> Verdict {
        let state = self.series.get_mut(series);
        let in_order = if state.flags & HAS_LAST != 0 {
            timestamp > state.last.timestamp
        } else {
            state.flags & BORN_HERE != 0 || timestamp > history.end()
        };
        if !in_order || state.flags & HAS_HISTOGRAMS != 0 {
            return self.append_late(series, timestamp, bits, history);
        }
        let mut buffer = [0; SAMPLE_SIZE_MAX];
        let n = if state.chain.len() == 0 {
            state.last = CodecState::default();
            state.first_timestamp = timestamp;
            let n = state.last.encode(timestamp, bits, &mut buffer);
            state.last.delta = 0;
            n
        } else {
            state.last.encode(timestamp, bits, &mut buffer)
        };
        state.flags |= HAS_LAST;
        self.tier.cells.append(&mut state.chain, &buffer[..n]);
        self.tier.note(timestamp);
        if state.chain.len() >= self.chain_size_max {
            self.seal(series);
        }
        Verdict::Accepted
    }

    /// Lets what comes next begin another chain.
    #[cold]
    pub(super) fn seal(&mut self, series: u32) {
        let state = self.series.get_mut(series);
        let times = state.times();
        self.tier.sealed.push(series, times, std::mem::take(&mut state.chain));
    }

    /// Stores a native histogram, with the counter reset hint that its place among the others gives:
    /// a sender's "not reset" may refer to a sample that never came.
    pub fn append_histogram<H: History>(
        &mut self,
        series: u32,
        timestamp: i64,
        mut histogram: FloatHistogram,
        history: &H,
    ) -> Verdict {
        self.open_long_chain(series, timestamp);
        if let Some(existing) = self.find(series, timestamp, history) {
            let same = matches!(existing, Existing::Histogram(h) if h.same_data(&histogram));
            return if same { Verdict::Duplicate } else { Verdict::Conflict };
        }
        self.series.get_mut(series).flags |= HAS_HISTOGRAMS;
        self.tier.hold(&histogram);
        let column = self.tier.histograms.entry(series).or_default();
        let previous = column.range(..timestamp).next_back().map(|(_, before)| &**before);
        histogram.counter_reset_hint = histogram.stored_hint(previous);
        if let Some((_, next)) = column.range_mut(timestamp..).next() {
            compare_anew(next);
        }
        column.insert(timestamp, Arc::new(histogram));
        self.tier.note(timestamp);
        Verdict::Accepted
    }

    #[cold]
    fn append_late<H: History>(
        &mut self,
        series: u32,
        timestamp: i64,
        bits: u64,
        history: &H,
    ) -> Verdict {
        self.open_long_chain(series, timestamp);
        if let Some(existing) = self.find(series, timestamp, history) {
            let same = existing == Existing::Float(bits);
            return if same { Verdict::Duplicate } else { Verdict::Conflict };
        }
        self.tier.late.entry(series).or_default().insert(timestamp, bits);
        self.tier.note(timestamp);
        let state = self.series.get_mut(series);
        if state.flags & HAS_LAST == 0 {
            // Files may go, and then end before this sample: what comes next is measured by it.
            state.last.timestamp = timestamp.max(history.end());
            state.flags |= HAS_LAST;
        }
        Verdict::Accepted
    }

    /// Finding a time inside a chain decodes it: one that is long is kept decoded from then on, or a
    /// million late samples would decode it a million times.
    fn open_long_chain(&mut self, series: u32, timestamp: i64) {
        let at = TimeRange::new(timestamp, timestamp);
        let state = self.series.get_mut(series);
        if state.chain.len() > SEARCHED_MAX && state.times().overlaps(at) {
            self.seal(series);
        }
        self.tier.sealed.open(series, at, &self.tier.cells);
    }

    /// The sample of a series at a time, wherever it is.
    fn find<H: History>(&self, series: u32, timestamp: i64, history: &H) -> Option<Existing> {
        let at = TimeRange::new(timestamp, timestamp);
        let mut samples = Samples::default();
        self.read(series, at, &mut |_| true, &mut samples);
        if samples.is_empty() && timestamp <= history.end() {
            history.read(series, at, &mut samples);
        }
        match (samples.histograms.first(), samples.values.first()) {
            (Some((_, histogram)), _) => Some(Existing::Histogram(histogram.clone())),
            (None, Some(value)) => Some(Existing::Float(value.to_bits())),
            (None, None) => None,
        }
    }
}
