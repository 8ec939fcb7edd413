//! Remote write 2.0: `io.prometheus.write.v2.Request`, whose texts stand in one table.
//!
//! Source: <https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/>. Labels are written out as 1.0
//! encodes them, so storage recognises a series by the same bytes whichever version its sender
//! speaks.

mod symbols;
#[cfg(test)]
mod tests;

use metricstor_model::{EncodedLabels, Exemplar, LabelsFault, Metadata, WriteRequest, WriteSeries};

use self::symbols::Symbols;
use super::{Held, Limits, Room, histogram, v1};
use crate::DecodeError;
use crate::protobuf::{Fields, Value};

/// The message's name in a content type.
pub const MESSAGE: &str = "io.prometheus.write.v2.Request";

/// Decodes an uncompressed body; the labels of all series are written out into `texts` (replaced),
/// at most `texts_max` bytes.
pub fn decode<'a>(
    body: &'a [u8],
    limits: Limits,
    texts: &'a mut Vec<u8>,
    texts_max: usize,
    room: &mut Room<'_>,
) -> Result<WriteRequest<'a>, DecodeError> {
    let mut held = Held::new(limits, room);
    let symbols = Symbols::of(body, &mut held)?;
    let runs = symbols.write_runs(body, texts, texts_max, &mut held)?;
    let mut decoder = Decoder {
        symbols,
        runs: runs.into_iter(),
        texts,
        held,
        request: WriteRequest::default(),
        described: None,
    };
    let mut fields = Fields::new(body, 0);
    while let Some((number, value)) = fields.next()? {
        if let (5, Value::Bytes(bytes, base)) = (number, value) {
            decoder.time_series(bytes, base)?;
        }
    }
    Ok(decoder.request)
}

struct Decoder<'a, 'r> {
    symbols: Symbols<'a>,
    /// The labels of the series and exemplars that are still to come, in `texts`.
    runs: std::vec::IntoIter<Option<std::ops::Range<usize>>>,
    texts: &'a [u8],
    held: Held<'r>,
    request: WriteRequest<'a>,
    /// The last series' metric and what was said about it.
    described: Option<Description<'a>>,
}

#[derive(Clone, Copy, PartialEq)]
struct Description<'a> {
    metric: &'a [u8],
    kind: u64,
    help: u64,
    unit: u64,
}

impl<'a> Decoder<'a, '_> {
    fn time_series(&mut self, bytes: &'a [u8], base: usize) -> Result<(), DecodeError> {
        self.held.series()?;
        let labels = self.next_labels();
        let samples = self.request.timestamps.len();
        let histograms = self.request.histograms.len();
        let exemplars = self.request.exemplars.len();
        let mut about = None;
        let mut fields = Fields::new(bytes, base);
        while let Some((number, value)) = fields.next()? {
            match (number, value) {
                (2, Value::Bytes(bytes, base)) => {
                    self.sample(bytes, base)?;
                }
                (3, Value::Bytes(bytes, base)) => {
                    self.request.histograms.push(histogram::decode(bytes, base, &mut self.held)?);
                }
                (4, Value::Bytes(bytes, base)) => {
                    self.held.exemplar()?;
                    let labels = encoded(self.next_labels());
                    let (value, timestamp) = v1::exemplar_point(bytes, base)?;
                    self.request.exemplars.push(Exemplar { labels, value, timestamp });
                }
                (5, Value::Bytes(bytes, base)) => about = Some((bytes, base)),
                (2..=5, _) => return Err(fields.error("wrong wire type")),
                _ => {}
            }
        }
        let request = &mut self.request;
        // Prometheus 3.5 sends each exemplar as a series of its own.
        let is_empty = samples == request.timestamps.len()
            && histograms == request.histograms.len()
            && exemplars == request.exemplars.len();
        if is_empty {
            request.series_without_samples += 1;
            return Ok(());
        }
        request.series.push(WriteSeries {
            labels: encoded(labels),
            samples: samples..request.timestamps.len(),
            histograms: histograms..request.histograms.len(),
            exemplars: exemplars..request.exemplars.len(),
        });
        match (about, labels) {
            (Some((bytes, base)), Some(run)) => self.describe(bytes, base, run),
            _ => Ok(()),
        }
    }

    #[inline]
    fn sample(&mut self, bytes: &[u8], base: usize) -> Result<(), DecodeError> {
        self.held.sample()?;
        let (mut result, mut timestamp, mut start) = (0.0, 0, 0);
        let mut fields = Fields::new(bytes, base);
        while let Some((number, value)) = fields.next()? {
            match (number, value) {
                (1, Value::Fixed64(bits)) => result = f64::from_bits(bits),
                (2, Value::Varint(t)) => timestamp = t as i64,
                (3, Value::Varint(t)) => start = t as i64,
                (1..=3, _) => return Err(fields.error("wrong wire type")),
                _ => {}
            }
        }
        let starts = &mut self.request.start_timestamps;
        if start != 0 || !starts.is_empty() {
            starts.resize(self.request.timestamps.len(), 0);
            starts.push(start);
        }
        self.request.timestamps.push(timestamp);
        self.request.values.push(result);
        Ok(())
    }

    fn next_labels(&mut self) -> Option<&'a [u8]> {
        let texts = self.texts;
        self.runs.next().flatten().map(|run| &texts[run])
    }

    /// Notes what a series says about its metric, once for all neighbours that say the same.
    fn describe(&mut self, bytes: &[u8], base: usize, run: &'a [u8]) -> Result<(), DecodeError> {
        let mut said = Description { metric: v1::metric_name(run), kind: 0, help: 0, unit: 0 };
        let mut fields = Fields::new(bytes, base);
        while let Some((number, value)) = fields.next()? {
            match (number, value) {
                (1, Value::Varint(n)) => said.kind = n,
                (3, Value::Varint(n)) => said.help = n,
                (4, Value::Varint(n)) => said.unit = n,
                (1 | 3 | 4, _) => return Err(fields.error("wrong wire type")),
                _ => {}
            }
        }
        let kind = v1::metadata_kind(said.kind);
        said.metric = family(said.metric, kind);
        let says_nothing = (said.kind, said.help, said.unit) == (0, 0, 0);
        if says_nothing || self.described == Some(said) {
            return Ok(());
        }
        self.described = Some(said);
        self.held.metadata()?;
        let text = |bytes: Option<&'a [u8]>| {
            bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).ok_or_else(|| {
                fields.error("metadata refers to no text, or to one that is not UTF-8")
            })
        };
        self.request.metadata.push(Metadata {
            metric: text(Some(said.metric))?,
            kind,
            help: text(self.symbols.get(said.help))?,
            unit: text(self.symbols.get(said.unit))?,
        });
        Ok(())
    }
}

/// Metadata is kept by family, and the series of a classic histogram or summary have its name with
/// a suffix.
fn family<'a>(metric: &'a [u8], kind: &str) -> &'a [u8] {
    let suffixes: &[&[u8]] = match kind {
        "histogram" => &[b"_bucket", b"_sum", b"_count"],
        "gaugehistogram" => &[b"_bucket", b"_gsum", b"_gcount"],
        "summary" => &[b"_sum", b"_count"],
        _ => &[],
    };
    suffixes.iter().find_map(|suffix| metric.strip_suffix(*suffix)).unwrap_or(metric)
}

/// Labels with a reference to nowhere are refused like others that cannot be read, alone.
fn encoded(run: Option<&[u8]>) -> EncodedLabels<'_> {
    match run {
        Some(bytes) => EncodedLabels { bytes, decode: v1::decode_labels },
        None => EncodedLabels { bytes: b"", decode: |_, _| Err(LabelsFault::Malformed) },
    }
}
