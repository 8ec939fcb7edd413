//! By what chunks are ordered: a query wants the series of a metric, so these lie side by side.

use std::cmp::Ordering;

use metricstor_chunk::{DecodeError, Input, put_varint};
use metricstor_model::{Labels, METRIC_NAME};
use xxhash_rust::xxh3::xxh3_64;

use super::format::Version;

/// A series' place in the order of a chunk file: by metric, then by reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SeriesKey {
    /// [`metric_hash`] of the metric's name. Metrics that have the same are mixed, and nothing worse.
    pub metric: u32,
    pub series: u32,
}

/// The low half of a metric name's XXH3: part of the format, the same for ever.
pub fn metric_hash(name: &str) -> u32 {
    xxh3_64(name.as_bytes()) as u32
}

impl Ord for SeriesKey {
    /// As one number: searches compare keys all the time.
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        let number = |key: &Self| u64::from(key.metric) << 32 | u64::from(key.series);
        number(self).cmp(&number(other))
    }
}

impl PartialOrd for SeriesKey {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl SeriesKey {
    pub fn new(series: u32, labels: &Labels) -> Self {
        let metric = metric_hash(labels.get(METRIC_NAME).unwrap_or(""));
        Self { metric, series }
    }

    /// Writes the key behind one that is not greater.
    pub(super) fn put(self, before: Self, out: &mut Vec<u8>) {
        if self.metric == before.metric {
            put_varint(out, u64::from(self.series - before.series) << 1);
        } else {
            put_varint(out, u64::from(self.metric - before.metric) << 1 | 1);
            put_varint(out, self.series.into());
        }
    }

    #[inline]
    pub(super) fn read(
        input: &mut Input<'_>,
        before: Self,
        version: Version,
    ) -> Result<Self, DecodeError> {
        if version < Version::Four {
            return Self::read_series(input, before);
        }
        let invalid = || DecodeError::Invalid("series");
        let number = input.varint()?;
        let delta = u32::try_from(number >> 1).map_err(|_| invalid())?;
        if number & 1 == 0 {
            let series = before.series.checked_add(delta).ok_or_else(invalid)?;
            return Ok(Self { series, ..before });
        }
        let metric = before.metric.checked_add(delta).ok_or_else(invalid)?;
        let series = u32::try_from(input.varint()?).map_err(|_| invalid())?;
        Ok(Self { metric, series })
    }

    /// The key as files of this version have it.
    pub(super) fn in_version(self, version: Version) -> Self {
        if version < Version::Four { Self { metric: 0, ..self } } else { self }
    }

    fn read_series(input: &mut Input<'_>, before: Self) -> Result<Self, DecodeError> {
        let delta = input.count(u32::MAX as usize, "series")? as u32;
        let series = before.series.checked_add(delta).ok_or(DecodeError::Invalid("series"))?;
        Ok(Self { metric: 0, series })
    }
}
