//! What is answered: one `prometheus.ReadResponse`, or a stream of framed
//! `prometheus.ChunkedReadResponse`; both are appended series by series.

use metricstor_model::{CounterResetHint, FloatHistogram, Labels, Samples, Span};

use super::chunk::{Chunk, chunks};
use crate::protobuf::{
    push_bytes, push_double, push_doubles, push_integer, push_message, push_varint, to_zigzag,
};

/// A frame ends with the chunk that reaches this size, as Prometheus' frames do; readers take 50 MB.
const FRAME_BYTES: usize = 1 << 20;

/// Appends the result of one query, whose series `write` appends; there is one result per query, in
/// the order of the request.
pub fn push_result<E>(
    response: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let mut outcome = Ok(());
    push_message(response, 1, |out| outcome = write(out));
    outcome
}

/// Appends a series with its samples one by one to a result.
pub fn push_series(result: &mut Vec<u8>, labels: &Labels, samples: &Samples) {
    push_message(result, 1, |out| {
        push_labels(out, labels);
        let mut histograms = samples.histograms.iter().peekable();
        for (i, (timestamp, value)) in samples.timestamps.iter().zip(&samples.values).enumerate() {
            match histograms.next_if(|(position, _)| *position == i) {
                Some((_, histogram)) => push_histogram(out, *timestamp, histogram),
                None => push_message(out, 2, |out| {
                    push_double(out, 1, *value);
                    push_integer(out, 2, *timestamp as u64);
                }),
            }
        }
    });
}

/// Appends a series as chunks, in frames of their own: length, checksum, message. Without samples
/// it is one frame without chunks.
pub fn push_frames(stream: &mut Vec<u8>, query: usize, labels: &Labels, samples: &Samples) {
    let mut head = Vec::new();
    push_labels(&mut head, labels);
    let mut series = head.clone();
    let mut rest = chunks(samples).peekable();
    loop {
        if let Some(chunk) = rest.next() {
            push_chunk(&mut series, &chunk);
        }
        if rest.peek().is_none() || series.len() >= FRAME_BYTES {
            push_frame(stream, query, &series);
            series.truncate(head.len());
        }
        if rest.peek().is_none() {
            return;
        }
    }
}

fn push_frame(stream: &mut Vec<u8>, query: usize, series: &[u8]) {
    let mut message = Vec::with_capacity(series.len() + 16);
    push_bytes(&mut message, 1, series);
    push_integer(&mut message, 2, query as u64);
    push_varint(stream, message.len() as u64);
    stream.extend_from_slice(&crc32c::crc32c(&message).to_be_bytes());
    stream.extend_from_slice(&message);
}

fn push_chunk(out: &mut Vec<u8>, chunk: &Chunk) {
    push_message(out, 2, |out| {
        push_integer(out, 1, chunk.start as u64);
        push_integer(out, 2, chunk.end as u64);
        push_integer(out, 3, chunk.encoding as u64);
        push_bytes(out, 4, &chunk.data);
    });
}

fn push_labels(out: &mut Vec<u8>, labels: &Labels) {
    for (name, value) in labels.iter() {
        push_message(out, 1, |out| {
            push_bytes(out, 1, name.as_bytes());
            push_bytes(out, 2, value.as_bytes());
        });
    }
}

fn push_histogram(out: &mut Vec<u8>, timestamp: i64, histogram: &FloatHistogram) {
    push_message(out, 4, |out| {
        push_double(out, 2, histogram.count);
        push_double(out, 3, histogram.sum);
        push_integer(out, 4, to_zigzag(i64::from(histogram.schema)));
        push_double(out, 5, histogram.zero_threshold);
        push_double(out, 7, histogram.zero_count);
        push_spans(out, 8, &histogram.negative_spans);
        push_doubles(out, 10, &histogram.negative_buckets);
        push_spans(out, 11, &histogram.positive_spans);
        push_doubles(out, 13, &histogram.positive_buckets);
        push_integer(out, 14, number_of(histogram.counter_reset_hint));
        push_integer(out, 15, timestamp as u64);
        push_doubles(out, 16, &histogram.custom_values);
    });
}

fn push_spans(out: &mut Vec<u8>, number: u32, spans: &[Span]) {
    for span in spans {
        push_message(out, number, |out| {
            push_integer(out, 1, to_zigzag(i64::from(span.offset)));
            push_integer(out, 2, u64::from(span.length));
        });
    }
}

fn number_of(hint: CounterResetHint) -> u64 {
    match hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::Reset => 1,
        CounterResetHint::NotReset => 2,
        CounterResetHint::Gauge => 3,
    }
}
