//! The samples of one write for one shard, in columns, and the bytes they become in the log.
//!
//! Layout: `formats/entry.md`. What is applied to the head is always a `Batch`: fresh from a request
//! or decoded from the log, so a replay does exactly what the first run did.

use metricstor_model::{HistogramSample, StoredExemplar};

use crate::head::codec::{CodecState, SAMPLE_SIZE_MAX};

pub(crate) mod bytes;
mod exemplar;
mod histogram;
mod starts;

use bytes::{Reader, put_text, put_varint};

/// First byte of the payload; a reader that meets another stops.
const KIND: u8 = 3;
/// The same with start timestamps.
const KIND_WITH_STARTS: u8 = 4;

/// Samples, and the definitions of series that may be news to the log.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Batch {
    pub definitions: Vec<Definition>,
    /// Each run is one series' samples: its reference, and where its samples end in the columns.
    pub runs: Vec<(u32, u32)>,
    pub timestamps: Vec<i64>,
    /// Bits of the doubles.
    pub values: Vec<u64>,
    /// One per sample; empty when no sample has one (0 = none).
    pub start_timestamps: Vec<i64>,
    pub histograms: Vec<(u32, HistogramSample)>,
    pub exemplars: Vec<(u32, StoredExemplar)>,
}

/// A series' reference and canonical labels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Definition {
    pub series: u32,
    pub labels: Vec<(String, String)>,
}

/// The payload cannot be what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("log entry is malformed: {0}")]
pub(crate) struct Malformed(pub &'static str);

impl Batch {
    /// Empty, with room for this many series and samples.
    pub fn with_room(runs: usize, samples: usize) -> Self {
        Self {
            runs: Vec::with_capacity(runs),
            timestamps: Vec::with_capacity(samples),
            values: Vec::with_capacity(samples),
            ..Self::default()
        }
    }

    pub fn clear(&mut self) {
        self.definitions.clear();
        self.runs.clear();
        self.timestamps.clear();
        self.values.clear();
        self.start_timestamps.clear();
        self.histograms.clear();
        self.exemplars.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
            && self.histograms.is_empty()
            && self.exemplars.is_empty()
            && self.definitions.is_empty()
    }

    /// Bytes that the samples' columns take.
    pub fn columns_size(&self) -> usize {
        let columns = [&self.timestamps[..], &self.start_timestamps].map(size_of_val);
        columns.iter().sum::<usize>() + size_of_val(&self.values[..]) + size_of_val(&self.runs[..])
    }

    /// Ends the run of samples pushed since the last call.
    pub fn end_run(&mut self, series: u32) {
        let end = self.timestamps.len() as u32;
        if self.runs.last().map_or(0, |(_, end)| *end) < end {
            self.runs.push((series, end));
        }
    }

    /// Every series that has samples here; some twice.
    pub fn series(&self) -> impl Iterator<Item = u32> {
        let histograms = self.histograms.iter().map(|(series, _)| *series);
        let exemplars = self.exemplars.iter().map(|(series, _)| *series);
        self.runs.iter().map(|(series, _)| *series).chain(histograms).chain(exemplars)
    }

    /// A copy with the samples of some series only.
    pub fn retain(&self, keep: impl Fn(u32) -> bool) -> Self {
        let mut kept = Self { definitions: self.definitions.clone(), ..Self::default() };
        let mut start = 0;
        for (series, end) in &self.runs {
            let run = start..*end as usize;
            if keep(*series) {
                kept.timestamps.extend_from_slice(&self.timestamps[run.clone()]);
                kept.values.extend_from_slice(&self.values[run.clone()]);
                kept.start_timestamps.extend_from_slice(self.starts(run));
                kept.end_run(*series);
            }
            start = *end as usize;
        }
        kept.histograms = self.histograms.iter().filter(|(s, _)| keep(*s)).cloned().collect();
        kept.exemplars = self.exemplars.iter().filter(|(s, _)| keep(*s)).cloned().collect();
        kept
    }

    /// Appends the log payload to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let has_starts = self.has_starts();
        out.push(if has_starts { KIND_WITH_STARTS } else { KIND });
        put_varint(out, self.definitions.len() as u64);
        for definition in &self.definitions {
            put_varint(out, u64::from(definition.series));
            put_varint(out, definition.labels.len() as u64);
            for (name, value) in &definition.labels {
                put_text(out, name);
                put_text(out, value);
            }
        }
        self.encode_runs(out);
        put_varint(out, self.histograms.len() as u64);
        for (series, sample) in &self.histograms {
            put_varint(out, u64::from(*series));
            histogram::encode(sample.timestamp, &sample.histogram, out);
        }
        put_varint(out, self.exemplars.len() as u64);
        for (series, exemplar) in &self.exemplars {
            put_varint(out, u64::from(*series));
            exemplar::encode(exemplar, out);
        }
        if has_starts {
            self.encode_starts(out);
        }
    }

    fn encode_runs(&self, out: &mut Vec<u8>) {
        put_varint(out, self.runs.len() as u64);
        let (mut start, mut next, mut base) = (0, 0u32, 0);
        let mut buffer = [0; SAMPLE_SIZE_MAX];
        for (series, end) in &self.runs {
            // References are given out in the order of arrival: mostly the next one.
            put_varint(out, bytes::zigzag(i64::from(*series) - i64::from(next)));
            put_varint(out, u64::from(end - start));
            let mut state = CodecState { timestamp: base, ..Default::default() };
            for i in start as usize..*end as usize {
                let n = state.encode(self.timestamps[i], self.values[i], &mut buffer);
                out.extend_from_slice(&buffer[..n]);
                if i == start as usize {
                    state.delta = 0;
                    base = state.timestamp;
                }
            }
            (start, next) = (*end, series.wrapping_add(1));
        }
    }

    /// Replaces this batch by a decoded payload. Never allocates more than a few times its length.
    pub fn decode(&mut self, payload: &[u8]) -> Result<(), Malformed> {
        self.clear();
        let mut reader = Reader::new(payload);
        let kind = reader.byte()?;
        if !matches!(kind, KIND | KIND_WITH_STARTS) {
            return Err(Malformed("unknown kind"));
        }
        for _ in 0..reader.count()? {
            let series = reader.series()?;
            let mut labels = Vec::new();
            for _ in 0..reader.count()? {
                labels.push((reader.text()?.to_owned(), reader.text()?.to_owned()));
            }
            self.definitions.push(Definition { series, labels });
        }
        self.decode_runs(&mut reader)?;
        for _ in 0..reader.count()? {
            let series = reader.series()?;
            let (timestamp, histogram) = histogram::decode(&mut reader)?;
            let sample = HistogramSample { timestamp, histogram, ..HistogramSample::default() };
            self.histograms.push((series, sample));
        }
        for _ in 0..reader.count()? {
            let series = reader.series()?;
            self.exemplars.push((series, exemplar::decode(&mut reader)?));
        }
        if kind == KIND_WITH_STARTS {
            self.decode_starts(&mut reader)?;
        }
        reader.end()
    }

    fn decode_runs(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let (mut next, mut base) = (0u32, 0);
        for _ in 0..reader.count()? {
            let series = i64::from(next).wrapping_add(bytes::unzigzag(reader.varint()?));
            let series = u32::try_from(series).map_err(|_| Malformed("series out of range"))?;
            let count = reader.count()?;
            let mut state = CodecState { timestamp: base, ..Default::default() };
            for i in 0..count {
                let n = state.decode(reader.rest()).ok_or(Malformed("truncated sample"))?;
                reader.skip(n);
                if i == 0 {
                    state.delta = 0;
                    base = state.timestamp;
                }
                self.timestamps.push(state.timestamp);
                self.values.push(state.bits);
            }
            self.end_run(series);
            next = series.wrapping_add(1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
