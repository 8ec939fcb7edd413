//! A chunk's body: everything of its samples but the timestamps, which many chunks share.
//!
//! A body of plain values is just the values' encoding, whose first byte is below 0x80. Otherwise
//! the first byte is 0x80 plus flags, and `[stats] values-size values [histograms-size histograms]
//! [order start-timestamps]` follow.

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use metricstor_model::{FloatHistogram, Samples};

use crate::stats::Stats;
use crate::values::Packing;
use crate::varint::{Input, put_varint};
use crate::{DecodeError, histograms, ints, values};

const SECTIONS: u8 = 0x80;
const HAS_STATS: u8 = 0x01;
const HAS_HISTOGRAMS: u8 = 0x02;
const HAS_START_TIMESTAMPS: u8 = 0x04;

/// Below this the 24 bytes of aggregates cost more than decoding the values saves.
const STATS_SAMPLES_MIN: usize = 256;

/// Appends the samples at `range`, without their timestamps.
pub fn encode(samples: &Samples, range: Range<usize>, packing: Packing, out: &mut Vec<u8>) {
    let mut plain = Vec::new();
    let mut values = &samples.values[range.clone()];
    let histograms = histograms_in(samples, range.clone());
    if !histograms.is_empty() {
        // What stands beside a histogram means nothing: it must not cost bytes.
        plain.extend_from_slice(values);
        histograms.iter().for_each(|(at, _)| plain[*at] = 0.0);
        values = &plain;
    }
    let starts = samples.start_timestamps.get(range).unwrap_or(&[]);
    let starts = if starts.iter().all(|&start| start == 0) { &[] } else { starts };
    let stats = if histograms.is_empty() { worthwhile_stats(values) } else { None };
    let has = |present: bool, flag| if present { flag } else { 0 };
    let flags = has(stats.is_some(), HAS_STATS)
        | has(!histograms.is_empty(), HAS_HISTOGRAMS)
        | has(!starts.is_empty(), HAS_START_TIMESTAMPS);
    if flags == 0 {
        return values::encode(values, packing, out);
    }
    out.push(SECTIONS | flags);
    if let Some(stats) = stats {
        stats.put(out);
    }
    put_sized(out, |out| values::encode(values, packing, out));
    if !histograms.is_empty() {
        put_sized(out, |out| histograms::encode(&histograms, out));
    }
    if !starts.is_empty() {
        let order_at = out.len();
        out.push(0);
        out[order_at] = ints::encode(starts, out) as u8;
    }
}

/// The histograms inside `range`, positions relative to its start.
fn histograms_in(samples: &Samples, range: Range<usize>) -> Vec<(usize, Arc<FloatHistogram>)> {
    let from = samples.histograms.partition_point(|(at, _)| *at < range.start);
    let inside = samples.histograms[from..].iter().take_while(|(at, _)| *at < range.end);
    inside.map(|(at, histogram)| (at - range.start, histogram.clone())).collect()
}

fn worthwhile_stats(values: &[f64]) -> Option<Stats> {
    let constant = values.windows(2).all(|pair| pair[0].to_bits() == pair[1].to_bits());
    if values.len() < STATS_SAMPLES_MIN || constant { None } else { Stats::of(values) }
}

fn put_sized(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    let mut encoded = Vec::new();
    put(&mut encoded);
    put_varint(out, encoded.len() as u64);
    out.extend_from_slice(&encoded);
}

/// Appends all but the timestamps of the samples at `range` (within `count`, the number encoded).
///
/// `out.values` tells where the new samples begin. Besides 24 bytes for each sample, at most
/// `limit` bytes are allocated (for histograms). On an error `out` may hold a part of the samples.
pub fn decode(
    bytes: &[u8],
    count: usize,
    range: Range<usize>,
    limit: usize,
    out: &mut Samples,
) -> Result<(), DecodeError> {
    if range.is_empty() {
        return Ok(());
    }
    if range.end > count {
        return Err(DecodeError::Invalid("range of samples"));
    }
    let first = out.values.len();
    let mut sections = Sections::read(bytes, count)?;
    values::decode(sections.values, count, range.clone(), &mut out.values)?;
    if let Some(bytes) = sections.histograms {
        let histograms = histograms::decode(bytes, count, limit)?;
        let inside = histograms.into_iter().filter(|(at, _)| range.contains(at));
        out.histograms.extend(inside.map(|(at, h)| (first + at - range.start, h)));
    }
    match sections.start_timestamps.take() {
        Some((order, bytes)) => {
            out.start_timestamps.resize(first, 0);
            ints::decode(bytes, order, count, range, |block| {
                out.start_timestamps.extend_from_slice(block);
            })?;
        }
        None if !out.start_timestamps.is_empty() => {
            out.start_timestamps.resize(out.values.len(), 0);
        }
        None => {}
    }
    Ok(())
}

/// What is known of all values of a chunk without decoding them; all of them are numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extremes {
    pub min: f64,
    pub max: f64,
    /// All values are the same, bit for bit; otherwise the sign of a zero is not known.
    pub equal: bool,
}

/// The extremes where they are known: not of few different values, NaN and histograms.
pub fn extremes(bytes: &[u8], count: usize) -> Result<Option<Extremes>, DecodeError> {
    let sections = Sections::read(bytes, count)?;
    if let Some(Stats { min, max, .. }) = sections.stats {
        return Ok(Some(Extremes { min, max, equal: false }));
    }
    if sections.histograms.is_some() {
        return Ok(None);
    }
    let all = values::decode_constant(sections.values)?.filter(|value| !value.is_nan());
    Ok(all.map(|value| Extremes { min: value, max: value, equal: true }))
}

/// Does the body hold native histograms?
pub fn has_histograms(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|&first| first & SECTIONS != 0 && first & HAS_HISTOGRAMS != 0)
}

struct Sections<'a> {
    stats: Option<Stats>,
    values: &'a [u8],
    histograms: Option<&'a [u8]>,
    start_timestamps: Option<(ints::Order, &'a [u8])>,
}

impl<'a> Sections<'a> {
    fn read(bytes: &'a [u8], count: usize) -> Result<Self, DecodeError> {
        let mut sections =
            Self { stats: None, values: bytes, histograms: None, start_timestamps: None };
        let mut input = Input::new(bytes);
        let flags = match input.byte()? {
            flags if flags & SECTIONS != 0 => flags,
            _ => return Ok(sections),
        };
        if flags & !(SECTIONS | HAS_STATS | HAS_HISTOGRAMS | HAS_START_TIMESTAMPS) != 0 {
            return Err(DecodeError::Invalid("section of a chunk"));
        }
        if flags & HAS_STATS != 0 {
            sections.stats = Some(Stats::read(&mut input, count)?);
        }
        sections.values = sized(&mut input)?;
        if flags & HAS_HISTOGRAMS != 0 {
            sections.histograms = Some(sized(&mut input)?);
        }
        if flags & HAS_START_TIMESTAMPS != 0 {
            sections.start_timestamps =
                Some((ints::Order::from_code(input.byte()?)?, input.rest()));
        }
        Ok(sections)
    }
}

fn sized<'a>(input: &mut Input<'a>) -> Result<&'a [u8], DecodeError> {
    let size = input.count(input.rest().len(), "size of a section")?;
    input.take(size)
}
