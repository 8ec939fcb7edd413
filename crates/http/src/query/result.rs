//! An answer of the engine as Prometheus' JSON.

use std::time::Duration;

use metricstor_model::FloatHistogram;
use metricstor_promql::{Answer, MatrixSeries, SampleValue, Stats, Value, VectorSample};

use super::explain::push_explanation;
use super::histogram::push_histogram;
use crate::json::{
    Stamps, push_html_string, push_labels, push_number, push_plain, push_timestamp, push_value,
};
use crate::reply::{Gone, Sink};

/// Warnings and infos shown of an answer, each.
const ANNOTATIONS_MAX: usize = 10;
/// The warning when `limit` cut something off.
pub const TRUNCATED: &str = "results truncated due to limit";
/// Points written between two looks at how much waits to be sent.
const POINTS_PER_CHECKPOINT: usize = 1024;

/// A time with a number, and a bucket, as they are written.
const POINT_BYTES: usize = 32;
const BUCKET_BYTES: usize = 64;

/// About how long an answer is when it is written; bytes.
pub fn size(answer: &Answer) -> usize {
    let histogram = |one: &FloatHistogram| BUCKET_BYTES * (1 + one.buckets().count());
    let of_sample = |one: &VectorSample| match &one.sample {
        SampleValue::Float(_) => one.labels.size() + POINT_BYTES,
        SampleValue::Histogram(value) => one.labels.size() + histogram(value),
    };
    let of_series = |one: &MatrixSeries| {
        let histograms = one.histograms.iter().map(|(_, value)| histogram(value));
        one.labels.size() + POINT_BYTES * one.floats.len() + histograms.sum::<usize>()
    };
    match &answer.value {
        Value::Scalar { .. } => POINT_BYTES,
        Value::String { value, .. } => value.len(),
        Value::Vector(samples) => samples.iter().map(of_sample).sum(),
        Value::Matrix(series) => series.iter().map(of_series).sum(),
    }
}

/// What `stats` asks for.
pub struct Statistics {
    pub queue_time: Duration,
    pub evaluation_time: Duration,
    pub counts: Stats,
}

/// Writes the whole envelope; of vectors and matrices at most `limit` elements.
pub fn write_answer(
    sink: &mut Sink,
    answer: &Answer,
    limit: Option<usize>,
    statistics: Option<&Statistics>,
) -> Result<(), Gone> {
    let limit = limit.unwrap_or(usize::MAX);
    let mut truncated = false;
    sink.out().extend_from_slice(br#"{"status":"success","data":{"resultType":""#);
    match &answer.value {
        Value::Scalar { timestamp, value } => {
            let out = start(sink, "scalar");
            out.push(b'[');
            push_plain(out, *timestamp as f64 / 1000.0);
            out.extend_from_slice(b",\"");
            push_plain(out, *value);
            out.extend_from_slice(b"\"]");
        }
        Value::String { timestamp, value } => {
            let out = start(sink, "string");
            out.push(b'[');
            push_plain(out, *timestamp as f64 / 1000.0);
            out.push(b',');
            push_html_string(out, value);
            out.push(b']');
        }
        Value::Vector(samples) => {
            start(sink, "vector").push(b'[');
            truncated = samples.len() > limit;
            for (i, sample) in samples.iter().take(limit).enumerate() {
                push_sample(sink.out(), i == 0, sample);
                sink.checkpoint()?;
            }
            sink.out().push(b']');
        }
        Value::Matrix(series) => {
            start(sink, "matrix").push(b'[');
            truncated = series.len() > limit;
            let mut stamps = Stamps::for_series(series.len().min(limit));
            for (i, one) in series.iter().take(limit).enumerate() {
                write_series(sink, i == 0, one, &mut stamps)?;
            }
            sink.out().push(b']');
        }
    }
    if let Some(statistics) = statistics {
        push_statistics(sink.out(), statistics);
    }
    if let Some(explanation) = &answer.explanation {
        sink.out().extend_from_slice(br#","explain":"#);
        push_explanation(sink.out(), explanation);
    }
    sink.out().push(b'}');
    let truncation = truncated.then_some(TRUNCATED);
    push_annotations(sink.out(), "warning", &answer.warnings, truncation);
    push_annotations(sink.out(), "info", &answer.infos, None);
    sink.out().push(b'}');
    Ok(())
}

fn start<'a>(sink: &'a mut Sink, result_type: &str) -> &'a mut Vec<u8> {
    let out = sink.out();
    out.extend_from_slice(result_type.as_bytes());
    out.extend_from_slice(br#"","result":"#);
    out
}

fn push_sample(out: &mut Vec<u8>, first: bool, sample: &VectorSample) {
    out.extend_from_slice(if first { br#"{"metric":"# } else { br#",{"metric":"# });
    push_labels(out, &sample.labels);
    match &sample.sample {
        SampleValue::Float(value) => {
            out.extend_from_slice(br#","value":["#);
            push_timestamp(out, sample.timestamp);
            out.push(b',');
            push_value(out, *value);
        }
        SampleValue::Histogram(histogram) => {
            out.extend_from_slice(br#","histogram":["#);
            push_timestamp(out, sample.timestamp);
            out.push(b',');
            push_histogram(out, histogram);
        }
    }
    out.extend_from_slice(b"]}");
}

fn write_series(
    sink: &mut Sink,
    first: bool,
    series: &MatrixSeries,
    stamps: &mut Stamps,
) -> Result<(), Gone> {
    let out = sink.out();
    out.extend_from_slice(if first { br#"{"metric":"# } else { br#",{"metric":"# });
    push_labels(out, &series.labels);
    write_points(sink, br#","values":["#, &series.floats, stamps, |out, value| {
        push_value(out, *value);
    })?;
    write_points(sink, br#","histograms":["#, &series.histograms, stamps, |out, histogram| {
        push_histogram(out, histogram);
    })?;
    sink.out().push(b'}');
    sink.checkpoint()
}

/// A list that is left out when it is empty.
fn write_points<T>(
    sink: &mut Sink,
    head: &[u8],
    points: &[(i64, T)],
    stamps: &mut Stamps,
    push: impl Fn(&mut Vec<u8>, &T),
) -> Result<(), Gone> {
    if points.is_empty() {
        return Ok(());
    }
    sink.out().extend_from_slice(head);
    let start = sink.out().len();
    stamps.restart();
    let mut first = true;
    for chunk in points.chunks(POINTS_PER_CHECKPOINT) {
        let out = sink.out();
        for (timestamp, value) in chunk {
            stamps.push(out, *timestamp);
            if std::mem::take(&mut first) {
                // The comma.
                out.remove(start);
            }
            push(out, value);
            out.push(b']');
        }
        sink.checkpoint()?;
    }
    sink.out().push(b']');
    Ok(())
}

/// `,"warnings":[…]`, if there are any: ten, and how many more.
pub fn push_annotations(out: &mut Vec<u8>, kind: &str, texts: &[String], last: Option<&str>) {
    if texts.is_empty() && last.is_none() {
        return;
    }
    let more = texts.len().saturating_sub(ANNOTATIONS_MAX);
    let more = (more > 0).then(|| format!("{more} more {kind} annotations omitted"));
    let shown = texts.iter().take(ANNOTATIONS_MAX).map(String::as_str);
    out.extend_from_slice(format!(r#","{kind}s":"#).as_bytes());
    crate::json::push_strings(out, shown.chain(more.as_deref()).chain(last));
}

fn push_statistics(out: &mut Vec<u8>, statistics: &Statistics) {
    let evaluation = statistics.evaluation_time.as_secs_f64();
    let queue = statistics.queue_time.as_secs_f64();
    let timings = [
        (r#","stats":{"timings":{"evalTotalTime":"#, evaluation),
        (r#","resultSortTime":"#, 0.0),
        (r#","queryPreparationTime":"#, 0.0),
        (r#","innerEvalTime":"#, evaluation),
        (r#","execQueueTime":"#, queue),
        (r#","execTotalTime":"#, evaluation),
    ];
    for (key, seconds) in timings {
        out.extend_from_slice(key.as_bytes());
        push_number(out, seconds);
    }
    out.extend_from_slice(br#"},"samples":{"#);
    let counts = &statistics.counts;
    push_by_step(out, "totalQueryableSamplesPerStep", &counts.samples_per_step);
    let total = format!(r#""totalQueryableSamples":{},"#, counts.samples_total);
    out.extend_from_slice(total.as_bytes());
    push_by_step(out, "samplesReadPerStep", &counts.samples_read_per_step);
    let rest = format!(
        r#""samplesRead":{},"peakSamples":{}}}}}"#,
        counts.samples_read, counts.samples_peak
    );
    out.extend_from_slice(rest.as_bytes());
}

/// A count for each step, with a comma behind it, if it was asked for.
fn push_by_step(out: &mut Vec<u8>, key: &str, counts: &[(i64, u64)]) {
    if counts.is_empty() {
        return;
    }
    out.extend_from_slice(format!(r#""{key}":["#).as_bytes());
    for (i, (timestamp, count)) in counts.iter().enumerate() {
        out.extend_from_slice(if i == 0 { b"[" } else { b",[" });
        push_timestamp(out, *timestamp);
        out.extend_from_slice(format!(",{count}]").as_bytes());
    }
    out.extend_from_slice(b"],");
}
