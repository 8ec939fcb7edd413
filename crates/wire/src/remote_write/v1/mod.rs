//! Remote write 1.0: `prometheus.WriteRequest`, decoded without copying a label.
//!
//! Source: <https://prometheus.io/docs/specs/prw/remote_write_spec/>. Hand-written because the body
//! of every sample passes here; a test compares it with prost on random messages.

mod labels;

use metricstor_model::{EncodedLabels, Exemplar, Metadata, WriteRequest, WriteSeries};

pub(super) use self::labels::{decode as decode_labels, metric_name};
use super::{Held, Limits, Room, histogram};
use crate::DecodeError;
use crate::protobuf::{Fields, Value};

/// Decodes an uncompressed body. Labels are only delimited here: storage decodes those it needs.
pub fn decode<'a>(
    body: &'a [u8],
    limits: Limits,
    room: &mut Room<'_>,
) -> Result<WriteRequest<'a>, DecodeError> {
    let mut request = WriteRequest::default();
    // A sample with its labels takes about 100 bytes; a wrong guess costs one reallocation.
    let guess = (body.len() / 100).min(limits.samples_max);
    request.series.reserve(guess);
    request.timestamps.reserve(guess);
    request.values.reserve(guess);
    let mut held = Held::new(limits, room);
    let mut fields = Fields::new(body, 0);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (1, Value::Bytes(bytes, base)) => {
                held.series()?;
                time_series(bytes, base, &mut held, &mut request)?;
            }
            (3, Value::Bytes(bytes, base)) => {
                held.metadata()?;
                request.metadata.push(metadata(bytes, base)?);
            }
            (1 | 3, _) => return Err(fields.error("wrong wire type")),
            _ => {} // unknown fields are skipped, as protobuf asks
        }
    }
    Ok(request)
}

fn time_series<'a>(
    bytes: &'a [u8],
    base: usize,
    held: &mut Held<'_>,
    request: &mut WriteRequest<'a>,
) -> Result<(), DecodeError> {
    let samples = request.timestamps.len();
    let histograms = request.histograms.len();
    let exemplars = request.exemplars.len();
    let (mut labels_start, mut labels_end) = (None, 0);
    let mut fields = Fields::new(bytes, base);
    loop {
        let start = fields.position();
        let Some((number, value)) = fields.next()? else { break };
        match (number, value) {
            (1, Value::Bytes(..)) => {
                labels_start.get_or_insert(start);
                labels_end = fields.position();
            }
            (2, Value::Bytes(bytes, base)) => {
                held.sample()?;
                let (value, timestamp) = sample(bytes, base)?;
                request.timestamps.push(timestamp);
                request.values.push(value);
            }
            (3, Value::Bytes(bytes, base)) => {
                held.exemplar()?;
                request.exemplars.push(exemplar(bytes, base)?);
            }
            (4, Value::Bytes(bytes, base)) => {
                request.histograms.push(histogram::decode(bytes, base, held)?);
            }
            (1..=4, _) => return Err(fields.error("wrong wire type")),
            _ => {}
        }
    }
    // Senders write the labels first and in one run; if one does not, the run holds other fields
    // too, which `labels::decode` skips.
    let run = &bytes[labels_start.unwrap_or(0)..labels_end];
    request.series.push(WriteSeries {
        labels: EncodedLabels { bytes: run, decode: labels::decode },
        samples: samples..request.timestamps.len(),
        histograms: histograms..request.histograms.len(),
        exemplars: exemplars..request.exemplars.len(),
    });
    Ok(())
}

#[inline]
fn sample(bytes: &[u8], base: usize) -> Result<(f64, i64), DecodeError> {
    let (mut result, mut timestamp) = (0.0, 0);
    let mut fields = Fields::new(bytes, base);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (1, Value::Fixed64(bits)) => result = f64::from_bits(bits),
            (2, Value::Varint(t)) => timestamp = t as i64,
            (1 | 2, _) => return Err(fields.error("wrong wire type")),
            _ => {}
        }
    }
    Ok((result, timestamp))
}

fn exemplar(bytes: &[u8], base: usize) -> Result<Exemplar<'_>, DecodeError> {
    let (value, timestamp) = exemplar_point(bytes, base)?;
    // The whole message serves as the label run: the label decoder reads field 1 only.
    let labels = EncodedLabels { bytes, decode: labels::decode };
    Ok(Exemplar { labels, value, timestamp })
}

/// Value and timestamp, which both versions have in the same fields.
pub(super) fn exemplar_point(bytes: &[u8], base: usize) -> Result<(f64, i64), DecodeError> {
    let (mut result, mut timestamp) = (0.0, 0);
    let mut fields = Fields::new(bytes, base);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (2, Value::Fixed64(bits)) => result = f64::from_bits(bits),
            (3, Value::Varint(t)) => timestamp = t as i64,
            (2 | 3, _) => return Err(fields.error("wrong wire type")),
            _ => {}
        }
    }
    Ok((result, timestamp))
}

fn metadata(bytes: &[u8], base: usize) -> Result<Metadata<'_>, DecodeError> {
    let mut metadata = Metadata { metric: "", kind: "unknown", help: "", unit: "" };
    let mut fields = Fields::new(bytes, base);
    while let Some((number, value)) = fields.next()? {
        let text = |bytes| {
            std::str::from_utf8(bytes)
                .map_err(|_| DecodeError::Protobuf { offset: base, reason: "not valid UTF-8" })
        };
        match (number, value) {
            (1, Value::Varint(kind)) => metadata.kind = metadata_kind(kind),
            (2, Value::Bytes(bytes, _)) => metadata.metric = text(bytes)?,
            (4, Value::Bytes(bytes, _)) => metadata.help = text(bytes)?,
            (5, Value::Bytes(bytes, _)) => metadata.unit = text(bytes)?,
            _ => {}
        }
    }
    Ok(metadata)
}

pub(super) fn metadata_kind(kind: u64) -> &'static str {
    match kind {
        1 => "counter",
        2 => "gauge",
        3 => "histogram",
        4 => "gaugehistogram",
        5 => "summary",
        6 => "info",
        7 => "stateset",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests;
