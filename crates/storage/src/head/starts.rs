//! Since when counters count, as the sender said: what is said again and again is kept once.

use std::collections::BTreeMap;

use metricstor_model::Samples;

use super::Head;

/// About what a change takes, in a tree's half-full node.
const CHANGE_SIZE: usize = 40;

/// The start timestamps of a tier's samples.
#[derive(Default)]
pub(crate) struct Starts {
    /// From the sample of a series at a time on, until its next change; before the first, none (0).
    changes: BTreeMap<(u32, i64), i64>,
}

impl Starts {
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub fn has(&self, series: u32) -> bool {
        let own = (series, i64::MIN)..=(series, i64::MAX);
        !self.is_empty() && self.changes.range(own).next().is_some()
    }

    fn at(&self, series: u32, timestamp: i64) -> i64 {
        let mut before = self.changes.range((series, i64::MIN)..=(series, timestamp));
        before.next_back().map_or(0, |(_, start)| *start)
    }

    /// Notes the start of one sample; others may be later, unless it is the series' newest.
    fn set(&mut self, series: u32, timestamp: i64, start: i64, is_newest: bool) {
        let before = self.at(series, timestamp);
        if before == start {
            return;
        }
        if let Some(after) = timestamp.checked_add(1).filter(|_| !is_newest) {
            self.changes.entry((series, after)).or_insert(before);
        }
        self.changes.insert((series, timestamp), start);
    }

    /// Gives samples that are in time order their starts.
    pub fn fill(&self, series: u32, samples: &mut Samples) {
        let Some(first) = samples.timestamps.first() else { return };
        let mut start = self.at(series, *first);
        let mut changes = self.changes.range((series, *first)..=(series, i64::MAX)).peekable();
        let starts = samples.timestamps.iter().map(|timestamp| {
            while let Some((_, change)) = changes.next_if(|((_, at), _)| at <= timestamp) {
                start = *change;
            }
            start
        });
        samples.start_timestamps = starts.collect();
    }

    /// Bytes of memory held, about.
    pub fn size(&self) -> usize {
        self.changes.len() * CHANGE_SIZE
    }
}

impl Head {
    /// Notes since when a sample that was just stored counts; 0: it does not say.
    pub fn note_start(&mut self, series: u32, timestamp: i64, start: i64) {
        if start == 0 && self.tier.starts.is_empty() {
            return;
        }
        let is_newest = self.newest(series).is_none_or(|newest| newest <= timestamp);
        self.tier.starts.set(series, timestamp, start, is_newest);
    }

    /// Does any sample that is not frozen say since when it counts?
    pub fn has_starts(&self) -> bool {
        !self.tier.starts.is_empty()
    }

    /// The time of a series' newest sample that is not frozen.
    fn newest(&self, series: u32) -> Option<i64> {
        let chained = self.series.get(series).filter(|state| state.chain.len() > 0);
        let late = self.tier.late.get(&series).and_then(|late| late.last_key_value());
        let histograms =
            self.tier.histograms.get(&series).and_then(|column| column.last_key_value());
        let times = [
            chained.map(|state| state.last.timestamp),
            late.map(|(timestamp, _)| *timestamp),
            histograms.map(|(timestamp, _)| *timestamp),
        ];
        times.into_iter().flatten().max()
    }
}

#[cfg(test)]
mod tests {
    use metricstor_model::{FloatHistogram, TimeRange};
    use proptest::prelude::*;

    use super::super::{History, Verdict};
    use super::*;

    struct NoFiles;

    impl History for NoFiles {
        fn end(&self) -> i64 {
            i64::MIN
        }

        fn read(&self, _: u32, _: TimeRange, _: &mut Samples) {}
    }

    /// Some floats, some histograms, in any order, some frozen: each sample keeps the start it came with.
    fn starts_model(samples: &[(u32, i64, i64, u8)]) -> Result<(), TestCaseError> {
        let mut head = Head::default();
        head.define_below(2);
        let (none, mut model) = (NoFiles, BTreeMap::new());
        for &(series, timestamp, start, kind) in samples {
            if kind == 0 && head.freeze().is_some() {
                prop_assert!(head.has_frozen() && !head.has_starts());
            }
            let verdict = if kind % 4 == 3 {
                head.append_histogram(series, timestamp, FloatHistogram::default(), &none)
            } else {
                head.append(series, timestamp, timestamp as u64, &none)
            };
            if verdict == Verdict::Accepted {
                head.note_start(series, timestamp, start);
                model.insert((series, timestamp), start);
            }
        }
        for series in 0..2 {
            for from in [i64::MIN, 11, 25] {
                let mut out = Samples::default();
                head.read(series, TimeRange::new(from, 33), &mut |_| true, &mut out);
                let expected = model.range((series, from)..=(series, 33));
                let expected: Vec<_> = expected.map(|((_, t), start)| (*t, *start)).collect();
                out.start_timestamps.resize(out.len(), 0);
                let found = out.timestamps.into_iter().zip(out.start_timestamps);
                prop_assert_eq!(found.collect::<Vec<_>>(), expected);
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn every_sample_keeps_its_start(
            samples in prop::collection::vec((0u32..2, 0i64..40, 0i64..3, 0u8..30), 1..60),
        ) {
            starts_model(&samples)?;
        }
    }
}
