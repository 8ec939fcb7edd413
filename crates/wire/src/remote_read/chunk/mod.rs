//! Samples as the chunks that Prometheus keeps on disk and streams to readers.
//!
//! Source: <https://prometheus.io/docs/prometheus/latest/storage/> and the field notes in each module. A
//! reader learns from a chunk which histograms are known to continue each other, so chunks end where
//! that is not known.

mod bits;
mod floats;
mod histograms;
#[cfg(test)]
mod tests;

use std::ops::Range;

use metricstor_model::Samples;

/// Samples of one chunk: what Prometheus cuts at.
const SAMPLES_MAX: usize = 120;

/// Samples of one kind between two times, encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Milliseconds of the first and the last sample.
    pub start: i64,
    pub end: i64,
    pub encoding: Encoding,
    pub data: Vec<u8>,
}

/// The numbers that the protocol gives to encodings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Floats = 1,
    FloatHistograms = 3,
}

/// Encodes samples in the order of their times.
pub fn chunks(samples: &Samples) -> impl Iterator<Item = Chunk> {
    let mut at = Position::default();
    std::iter::from_fn(move || {
        (at.sample < samples.len()).then(|| match samples.histograms.get(at.histogram) {
            Some((first, _)) if *first == at.sample => at.histograms(samples),
            next => {
                let end = next.map_or(samples.len(), |(first, _)| *first);
                at.floats(samples, at.sample..end.min(at.sample + SAMPLES_MAX))
            }
        })
    })
}

/// What comes next: an index into the samples and one into their histograms.
#[derive(Default)]
struct Position {
    sample: usize,
    histogram: usize,
}

impl Position {
    fn floats(&mut self, samples: &Samples, range: Range<usize>) -> Chunk {
        self.sample = range.end;
        let timestamps = &samples.timestamps[range.clone()];
        let data = floats::encode(timestamps, &samples.values[range]);
        chunk(Encoding::Floats, timestamps, data)
    }

    fn histograms(&mut self, samples: &Samples) -> Chunk {
        let rest = &samples.histograms[self.histogram..];
        let one_run = |(i, pair): &(usize, &[(usize, std::sync::Arc<_>)])| {
            i + 1 < SAMPLES_MAX
                && pair[1].0 == pair[0].0 + 1
                && histograms::continues(&pair[0].1, &pair[1].1)
        };
        let length = 1 + rest.windows(2).enumerate().take_while(one_run).count();
        let timestamps = &samples.timestamps[self.sample..self.sample + length];
        let data = histograms::encode(
            timestamps.iter().zip(&rest[..length]).map(|(t, (_, histogram))| (*t, &**histogram)),
        );
        self.sample += length;
        self.histogram += length;
        chunk(Encoding::FloatHistograms, timestamps, data)
    }
}

fn chunk(encoding: Encoding, timestamps: &[i64], data: Vec<u8>) -> Chunk {
    Chunk { start: timestamps[0], end: timestamps[timestamps.len() - 1], encoding, data }
}
