//! Samples, the staleness marker and time ranges.

use std::ops::Range;
use std::sync::Arc;

use crate::FloatHistogram;

/// The NaN that Prometheus writes when a series ends; compared by bits, never by value.
pub const STALE_NAN: u64 = 0x7ff0_0000_0000_0002;

/// Is this value the staleness marker?
#[inline]
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN
}

/// Milliseconds since the Unix epoch, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeRange {
    pub start: i64,
    pub end: i64,
}

impl TimeRange {
    pub const ALL: Self = Self { start: i64::MIN, end: i64::MAX };

    pub fn new(start: i64, end: i64) -> Self {
        Self { start, end }
    }

    pub fn contains(&self, timestamp: i64) -> bool {
        self.start <= timestamp && timestamp <= self.end
    }

    /// Is there a time in both? Not if one of them ends before it starts.
    pub fn overlaps(&self, other: TimeRange) -> bool {
        self.start.max(other.start) <= self.end.min(other.end)
    }

    /// From the earlier start to the later end.
    pub fn union(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// One series' samples in columns, in strictly increasing time order. Reused between reads.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    /// Milliseconds since the Unix epoch.
    pub timestamps: Vec<i64>,
    /// As long as `timestamps`; where a histogram stands, the value is meaningless.
    pub values: Vec<f64>,
    /// The positions (ascending) that hold a native histogram instead of a float.
    pub histograms: Vec<(usize, Arc<FloatHistogram>)>,
    /// Start timestamps, one per sample; empty when no sample has one (0 = none).
    pub start_timestamps: Vec<i64>,
    /// Samples that the reader said it can do without.
    pub left_out: usize,
}

impl Samples {
    pub fn clear(&mut self) {
        self.left_out = 0;
        self.timestamps.clear();
        self.values.clear();
        self.histograms.clear();
        self.start_timestamps.clear();
    }

    pub fn len(&self) -> usize {
        self.timestamps.len()
    }

    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    /// Bytes of memory held, room for more samples left out.
    pub fn size(&self) -> usize {
        let columns = self.timestamps.len() + self.values.len() + self.start_timestamps.len();
        columns * size_of::<f64>() + self.histograms.iter().map(|(_, h)| h.size()).sum::<usize>()
    }

    /// Appends the samples of `other` at `range`.
    pub fn append(&mut self, other: &Self, range: Range<usize>) {
        let before = self.len();
        self.timestamps.extend_from_slice(&other.timestamps[range.clone()]);
        self.values.extend_from_slice(&other.values[range.clone()]);
        let first = other.histograms.partition_point(|(at, _)| *at < range.start);
        let inside = other.histograms[first..].iter().take_while(|(at, _)| *at < range.end);
        self.histograms.extend(inside.map(|(at, h)| (before + at - range.start, h.clone())));
        if !other.start_timestamps.is_empty() {
            self.start_timestamps.resize(before, 0);
            self.start_timestamps.extend_from_slice(&other.start_timestamps[range]);
        } else if !self.start_timestamps.is_empty() {
            self.start_timestamps.resize(self.len(), 0);
        }
    }

    pub fn push(&mut self, timestamp: i64, value: f64) {
        self.timestamps.push(timestamp);
        self.values.push(value);
    }

    pub fn push_histogram(&mut self, timestamp: i64, histogram: Arc<FloatHistogram>) {
        self.histograms.push((self.timestamps.len(), histogram));
        self.timestamps.push(timestamp);
        self.values.push(0.0);
    }
}
