//! Does an answer agree with what a case expects?

use std::fmt::Write;

use metricstor_model::{FloatHistogram, Labels, is_stale};
use metricstor_promql::{MatrixSeries, SampleValue, Value, VectorSample};

use crate::expect::{Annotations, Expectations, Expected, Pattern};
use crate::series::{Point, Series};

/// Largest relative difference between floats that are taken to be equal.
const TOLERANCE: f64 = 1e-6;

pub fn check_annotations(
    kind: &str,
    expected: &Annotations,
    actual: &[String],
) -> Result<(), String> {
    if expected.none && !actual.is_empty() {
        return Err(format!("expected no {kind}, got {actual:?}"));
    }
    if expected.some && actual.is_empty() {
        return Err(format!("expected a {kind}, got none"));
    }
    if let Some(missing) =
        expected.patterns.iter().find(|pattern| !actual.iter().any(|text| matches(pattern, text)))
    {
        return Err(format!("expected {kind} {missing:?}, got {actual:?}"));
    }
    let unexpected =
        actual.iter().find(|text| !expected.patterns.iter().any(|pattern| matches(pattern, text)));
    match unexpected {
        Some(text) if !expected.patterns.is_empty() => Err(format!("unexpected {kind} {text:?}")),
        _ => Ok(()),
    }
}

/// Files for earlier versions give the text without its position.
fn matches(pattern: &Pattern, text: &str) -> bool {
    let position = text.rfind(" (").filter(|_| text.ends_with(')'));
    pattern.matches(text) || position.is_some_and(|at| pattern.matches(&text[..at]))
}

/// A matrix is ordered by labels.
pub fn check_sorted(value: &Value) -> Result<(), String> {
    match value {
        Value::Matrix(matrix) if !matrix.is_sorted_by(|a, b| a.labels <= b.labels) => {
            let labels: Vec<_> = matrix.iter().map(|series| series.labels.to_string()).collect();
            Err(format!("the series are not sorted: {labels:?}"))
        }
        _ => Ok(()),
    }
}

/// `start` and `step` (milliseconds) say when the expected points are.
pub fn check_value(
    expect: &Expectations,
    value: &Value,
    start: i64,
    step: i64,
) -> Result<(), String> {
    let agrees = match (&expect.result, value) {
        (Expected::Scalar(expected), Value::Scalar { value, .. }) => {
            almost_equal(*expected, *value)
        }
        (Expected::String(expected), Value::String { value, .. }) => expected == value,
        (Expected::Series(expected), Value::Vector(vector)) => {
            vector_agrees(expected, vector, expect.ordered)
        }
        (Expected::Series(expected), Value::Matrix(matrix)) if !expect.ordered => {
            matrix_agrees(expected, matrix, start, step)
        }
        _ => false,
    };
    if agrees {
        return Ok(());
    }
    Err(format!("expected:{}\n    got:{}", show_expected(&expect.result), show_value(value)))
}

fn vector_agrees(expected: &[Series], vector: &[VectorSample], ordered: bool) -> bool {
    expected.len() == vector.len()
        && expected.iter().enumerate().all(|(position, series)| {
            vector.iter().enumerate().any(|(at, sample)| {
                sample.labels == series.labels
                    && (!ordered || at == position)
                    && series.points.len() == 1
                    && sample_agrees(&series.points[0], &sample.sample)
            })
        })
}

fn matrix_agrees(expected: &[Series], matrix: &[MatrixSeries], start: i64, step: i64) -> bool {
    expected.len() == matrix.len()
        && expected.iter().all(|series| {
            let points = Expected::at(series, start, step);
            matrix.iter().any(|actual| {
                actual.labels == series.labels
                    && actual.floats.len() + actual.histograms.len() == points.len()
                    && points.iter().all(|(timestamp, point)| {
                        at(&actual.floats, *timestamp)
                            .map(|value| SampleValue::Float(*value))
                            .or_else(|| {
                                let histogram = at(&actual.histograms, *timestamp)?;
                                Some(SampleValue::Histogram(histogram.clone()))
                            })
                            .is_some_and(|sample| sample_agrees(point, &sample))
                    })
            })
        })
}

fn at<T>(points: &[(i64, T)], timestamp: i64) -> Option<&T> {
    points.iter().find(|(t, _)| *t == timestamp).map(|(_, value)| value)
}

fn sample_agrees(expected: &Point, actual: &SampleValue) -> bool {
    match (expected, actual) {
        (Point::Float(expected), SampleValue::Float(actual)) => almost_equal(*expected, *actual),
        (Point::Histogram { histogram, hint_given }, SampleValue::Histogram(actual)) => {
            histogram_agrees(histogram, actual)
                && (!hint_given || histogram.counter_reset_hint == actual.counter_reset_hint)
        }
        _ => false,
    }
}

fn histogram_agrees(expected: &FloatHistogram, actual: &FloatHistogram) -> bool {
    let [mut expected, mut actual] = [expected.clone(), actual.clone()];
    expected.compact();
    actual.compact();
    let all = |a: &[f64], b: &[f64]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| almost_equal(*a, *b))
    };
    expected.schema == actual.schema
        && expected.zero_threshold == actual.zero_threshold
        && expected.custom_values == actual.custom_values
        && expected.positive_spans == actual.positive_spans
        && expected.negative_spans == actual.negative_spans
        && all(
            &[expected.count, expected.sum, expected.zero_count],
            &[actual.count, actual.sum, actual.zero_count],
        )
        && all(&expected.positive_buckets, &actual.positive_buckets)
        && all(&expected.negative_buckets, &actual.negative_buckets)
}

/// The staleness marker equals itself only; any other NaN equals any other.
fn almost_equal(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}

fn show_expected(expected: &Expected) -> String {
    let mut text = String::new();
    match expected {
        Expected::Scalar(value) => text = format!(" scalar {value}"),
        Expected::String(value) => text = format!(" {value:?}"),
        Expected::Series(all) if all.is_empty() => text.push_str(" nothing"),
        Expected::Series(all) => {
            for series in all {
                line(&mut text, &series.labels);
                for point in &series.points {
                    match point {
                        Point::Gap => text.push_str(" _"),
                        Point::Float(value) => add(&mut text, value),
                        Point::Histogram { histogram, .. } => add(&mut text, &show(histogram)),
                    }
                }
            }
        }
    }
    text
}

fn show_value(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Scalar { value, .. } => text = format!(" scalar {value}"),
        Value::String { value, .. } => text = format!(" {value:?}"),
        Value::Vector(vector) if vector.is_empty() => text.push_str(" nothing"),
        Value::Vector(vector) => {
            for VectorSample { labels, sample, .. } in vector {
                line(&mut text, labels);
                match sample {
                    SampleValue::Float(value) => add(&mut text, value),
                    SampleValue::Histogram(histogram) => add(&mut text, &show(histogram)),
                }
            }
        }
        Value::Matrix(matrix) if matrix.is_empty() => text.push_str(" nothing"),
        Value::Matrix(matrix) => {
            for series in matrix {
                line(&mut text, &series.labels);
                for (timestamp, value) in &series.floats {
                    add(&mut text, &format!("{value}@{timestamp}"));
                }
                for (timestamp, histogram) in &series.histograms {
                    add(&mut text, &format!("{}@{timestamp}", show(histogram)));
                }
            }
        }
    }
    text
}

fn line(text: &mut String, labels: &Labels) {
    write!(text, "\n        {labels}").expect("a String takes everything");
}

fn add(text: &mut String, what: &impl std::fmt::Display) {
    write!(text, " {what}").expect("a String takes everything");
}

/// With what the printed form leaves out but the comparison does not.
fn show(h: &FloatHistogram) -> String {
    let FloatHistogram { schema, zero_threshold, counter_reset_hint, custom_values, .. } = h;
    let bounds =
        if custom_values.is_empty() { String::new() } else { format!(" {custom_values:?}") };
    format!("{h}(schema {schema}, zero {zero_threshold}, {counter_reset_hint:?}{bounds})")
}
