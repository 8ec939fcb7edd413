//! `load_with_nhcb`: classic histograms (`_bucket`, `_count`, `_sum`) as native ones with custom
//! buckets, stored under the base name in addition to the floats.

use std::collections::BTreeMap;
use std::sync::Arc;

use metricstor_model::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Labels, METRIC_NAME, Span};

use crate::number::parse_number;
use crate::script::Load;
use crate::series::Point;
use crate::store::{Stored, StoredValue};

/// What the series of one classic histogram say about one moment.
#[derive(Default)]
struct Classic {
    /// (upper bound, cumulative count), ascending.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

enum Part {
    Bucket(f64),
    Count,
    Sum,
}

type Converted = BTreeMap<Labels, BTreeMap<i64, Stored>>;

pub fn convert(load: &Load) -> Result<Converted, String> {
    let mut classics: BTreeMap<Labels, BTreeMap<i64, Classic>> = BTreeMap::new();
    for loaded in &load.series {
        let Some((base, part)) = part_of(&loaded.series.labels)? else { continue };
        let moments = classics.entry(base).or_default();
        for (i, point) in loaded.series.points.iter().enumerate() {
            if let Point::Float(value) = point {
                moments.entry(i as i64 * load.interval).or_default().note(&part, *value)?;
            }
        }
    }
    let mut converted = Converted::new();
    for (labels, moments) in classics {
        let samples = converted.entry(labels).or_default();
        for (timestamp, classic) in moments {
            let value = StoredValue::Histogram(Arc::new(classic.into_histogram()?));
            samples.insert(timestamp, Stored { value, start_timestamp: 0 });
        }
    }
    Ok(converted)
}

/// The labels of the whole histogram, and which part of it the series is.
fn part_of(labels: &Labels) -> Result<Option<(Labels, Part)>, String> {
    let name = labels.metric_name();
    let (base, part) = if let Some(base) = name.strip_suffix("_bucket") {
        let le = labels.get("le").ok_or_else(|| format!("no label le: {labels}"))?;
        match parse_number(le) {
            Ok(le) if !le.is_nan() => (base, Part::Bucket(le)),
            _ => return Ok(None),
        }
    } else if let Some(base) = name.strip_suffix("_count") {
        (base, Part::Count)
    } else if let Some(base) = name.strip_suffix("_sum") {
        (base, Part::Sum)
    } else {
        return Ok(None);
    };
    let mut builder = labels.to_builder();
    builder.set(METRIC_NAME, base).remove("le");
    Ok(Some((builder.build().map_err(|e| e.to_string())?, part)))
}

impl Classic {
    fn note(&mut self, part: &Part, value: f64) -> Result<(), String> {
        match part {
            Part::Sum => self.sum = value,
            _ if value < 0.0 => return Err(format!("a negative count, {value}")),
            Part::Count => self.count = Some(value),
            Part::Bucket(le) => {
                let at = self.buckets.partition_point(|(bound, _)| bound < le);
                let duplicate = self.buckets.get(at).is_some_and(|(bound, _)| bound == le);
                if !duplicate {
                    self.buckets.insert(at, (*le, value));
                }
            }
        }
        Ok(())
    }

    fn into_histogram(mut self) -> Result<FloatHistogram, String> {
        let highest = self.buckets.last().copied();
        let count = self.count.or(highest.map(|(_, count)| count)).unwrap_or(0.0);
        if highest.is_none_or(|(bound, _)| bound != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let mut before = 0.0;
        let mut counts = Vec::new();
        for (_, cumulative) in &self.buckets {
            counts.push(cumulative - before);
            before = *cumulative;
        }
        let mut histogram = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_spans: vec![Span { offset: 0, length: counts.len() as u32 }],
            positive_buckets: counts,
            custom_values: self
                .buckets
                .iter()
                .map(|(le, _)| *le)
                .filter(|le| le.is_finite())
                .collect(),
            ..FloatHistogram::default()
        };
        histogram.validate().map_err(|e| e.to_string())?;
        if before != count {
            return Err(format!("{count} observations, but {before} in the buckets"));
        }
        histogram.compact();
        Ok(histogram)
    }
}
