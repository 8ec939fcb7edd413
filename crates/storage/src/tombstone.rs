//! A deletion: at one place in the log's order, some series lose a range of time.
//!
//! What was applied before that place is hidden at once, what comes later is not touched. In chunk
//! files, which never change, a tombstone hides the samples until a merge leaves them out.

use std::sync::Arc;

use metricstor_model::{CounterResetHint, Samples, TimeRange};
use roaring::RoaringBitmap;

use crate::batch::Malformed;
use crate::batch::bytes::{Reader, put_varint, unzigzag, zigzag};

/// One deletion in one shard.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tombstone {
    /// The deletion's index in the shard's log; what was logged later is not touched.
    pub position: u64,
    pub range: TimeRange,
    /// The references of the series.
    pub series: RoaringBitmap,
}

impl Tombstone {
    /// First byte of the payload, where a write has its own.
    pub const KIND: u8 = 2;

    /// Appends the log payload to `out`; the position is the entry's.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(Self::KIND);
        put_varint(out, zigzag(self.range.start));
        put_varint(out, zigzag(self.range.end));
        self.series.serialize_into(out).expect("writing to memory cannot fail");
    }

    pub fn decode(payload: &[u8], position: u64) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        if reader.byte()? != Self::KIND {
            return Err(Malformed("unknown kind"));
        }
        let start = unzigzag(reader.varint()?);
        let end = unzigzag(reader.varint()?);
        let mut rest = reader.rest();
        let series = RoaringBitmap::deserialize_from(&mut rest).ok();
        let series = series.filter(|_| rest.is_empty()).ok_or(Malformed("set of series"))?;
        Ok(Self { position, range: TimeRange::new(start, end), series })
    }

    /// Does this hide samples of the series that were logged up to `logged`?
    pub fn covers(&self, series: u32, logged: u64) -> bool {
        self.position > logged && self.series.contains(series)
    }
}

/// Drops from `out`, from position `start` on, what tombstones hide of a series whose samples were
/// logged up to `logged`.
pub(crate) fn hide(
    tombstones: &[Arc<Tombstone>],
    series: u32,
    logged: u64,
    out: &mut Samples,
    start: usize,
) {
    for tombstone in tombstones.iter().filter(|t| t.covers(series, logged)) {
        cut(out, start, tombstone.range);
    }
}

/// Drops the samples inside `range` from a column that is in time order from `start` on.
pub(crate) fn cut(out: &mut Samples, start: usize, range: TimeRange) {
    let times = &out.timestamps[start..];
    let from = start + times.partition_point(|t| *t < range.start);
    let to = start + times.partition_point(|t| *t <= range.end);
    if from >= to {
        return;
    }
    out.timestamps.drain(from..to);
    out.values.drain(from..to);
    if !out.start_timestamps.is_empty() {
        out.start_timestamps.drain(from..to);
    }
    out.histograms.retain(|(at, _)| !(from..to).contains(at));
    for (at, histogram) in out.histograms.iter_mut().filter(|(at, _)| *at >= to) {
        if *at == to && histogram.counter_reset_hint != CounterResetHint::Gauge {
            // What it was compared with is gone; readers compare for themselves.
            Arc::make_mut(histogram).counter_reset_hint = CounterResetHint::Unknown;
        }
        *at -= to - from;
    }
}

#[cfg(test)]
mod tests {
    use metricstor_model::FloatHistogram;

    use super::*;

    #[test]
    fn a_payload_comes_back_and_a_cut_one_does_not() {
        let series: RoaringBitmap = [1, 5, 70_000].into_iter().collect();
        let tombstone = Tombstone { position: 9, range: TimeRange::new(-4, i64::MAX), series };
        let mut payload = Vec::new();
        tombstone.encode(&mut payload);
        assert_eq!(Tombstone::decode(&payload, 9).unwrap(), tombstone);
        for len in 0..payload.len() {
            assert!(Tombstone::decode(&payload[..len], 9).is_err(), "{len}");
        }
        payload.push(0);
        assert!(Tombstone::decode(&payload, 9).is_err());
    }

    #[test]
    fn a_cut_leaves_the_rest_in_place() {
        let mut samples = Samples::default();
        let histogram =
            |hint| Arc::new(FloatHistogram { counter_reset_hint: hint, ..Default::default() });
        [9, 1, 2].iter().for_each(|t| samples.push(*t, *t as f64));
        [3, 4, 5, 6].iter().for_each(|t| {
            samples.push_histogram(*t, histogram(CounterResetHint::NotReset));
        });
        cut(&mut samples, 1, TimeRange::new(2, 4));
        assert_eq!(samples.timestamps, [9, 1, 5, 6]);
        let hints: Vec<_> =
            samples.histograms.iter().map(|(at, h)| (*at, h.counter_reset_hint)).collect();
        assert_eq!(hints, [(2, CounterResetHint::Unknown), (3, CounterResetHint::NotReset)]);
        cut(&mut samples, 1, TimeRange::new(7, 8));
        assert_eq!(samples.len(), 4);
        cut(&mut samples, 0, TimeRange::new(20, 10));
        assert_eq!(samples.len(), 4);
    }

    #[test]
    fn only_what_was_logged_before_is_covered() {
        let series = RoaringBitmap::from_iter([3]);
        let tombstone = Tombstone { position: 10, range: TimeRange::ALL, series };
        assert!(tombstone.covers(3, 9));
        assert!(!tombstone.covers(3, 10) && !tombstone.covers(2, 9));
    }
}
