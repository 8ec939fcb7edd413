//! A native histogram inside a log payload: every field, bit for bit.

use metricstor_model::{CounterResetHint, FloatHistogram, Span};

use super::Malformed;
use super::bytes::{Reader, put_varint, unzigzag, zigzag};

pub(super) fn encode(timestamp: i64, h: &FloatHistogram, out: &mut Vec<u8>) {
    put_varint(out, zigzag(timestamp));
    out.push(match h.counter_reset_hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::Reset => 1,
        CounterResetHint::NotReset => 2,
        CounterResetHint::Gauge => 3,
    });
    put_varint(out, zigzag(i64::from(h.schema)));
    for value in [h.zero_threshold, h.zero_count, h.count, h.sum] {
        out.extend_from_slice(&value.to_le_bytes());
    }
    for spans in [&h.positive_spans, &h.negative_spans] {
        put_varint(out, spans.len() as u64);
        for span in spans {
            put_varint(out, zigzag(i64::from(span.offset)));
            put_varint(out, u64::from(span.length));
        }
    }
    for values in [&h.positive_buckets, &h.negative_buckets, &h.custom_values] {
        put_varint(out, values.len() as u64);
        values.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes()));
    }
}

pub(super) fn decode(reader: &mut Reader<'_>) -> Result<(i64, FloatHistogram), Malformed> {
    let timestamp = unzigzag(reader.varint()?);
    let counter_reset_hint = match reader.byte()? {
        0 => CounterResetHint::Unknown,
        1 => CounterResetHint::Reset,
        2 => CounterResetHint::NotReset,
        3 => CounterResetHint::Gauge,
        _ => return Err(Malformed("unknown counter reset hint")),
    };
    let schema = small(unzigzag(reader.varint()?))?;
    let (zero_threshold, zero_count) = (reader.double()?, reader.double()?);
    let (count, sum) = (reader.double()?, reader.double()?);
    let histogram = FloatHistogram {
        counter_reset_hint,
        schema,
        zero_threshold,
        zero_count,
        count,
        sum,
        positive_spans: spans(reader)?,
        negative_spans: spans(reader)?,
        positive_buckets: doubles(reader)?,
        negative_buckets: doubles(reader)?,
        custom_values: doubles(reader)?,
    };
    Ok((timestamp, histogram))
}

fn spans(reader: &mut Reader<'_>) -> Result<Vec<Span>, Malformed> {
    let count = reader.count()?;
    let mut spans = Vec::new();
    for _ in 0..count {
        let offset = small(unzigzag(reader.varint()?))?;
        spans.push(Span { offset, length: reader.series()? });
    }
    Ok(spans)
}

fn doubles(reader: &mut Reader<'_>) -> Result<Vec<f64>, Malformed> {
    let count = reader.count()?;
    let mut values = Vec::new();
    for _ in 0..count {
        values.push(reader.double()?);
    }
    Ok(values)
}

fn small(value: i64) -> Result<i32, Malformed> {
    i32::try_from(value).map_err(|_| Malformed("number out of range"))
}
