//! The series a file has loaded, readable as the engine reads any store.

use std::collections::BTreeMap;
use std::sync::Arc;

use metricstor_model::{
    FloatHistogram, Labels, Matcher, Samples, SelectError, SeriesSet, TimeRange,
};
use metricstor_promql::{Hints, Source};

use crate::nhcb;
use crate::script::Load;
use crate::series::Point;

#[derive(Debug, Clone)]
pub enum StoredValue {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
}

#[derive(Debug, Clone)]
pub struct Stored {
    pub value: StoredValue,
    /// 0: none.
    pub start_timestamp: i64,
}

#[derive(Default)]
pub struct Store {
    series: BTreeMap<Labels, BTreeMap<i64, Stored>>,
}

impl Store {
    pub fn load(&mut self, load: &Load) -> Result<(), String> {
        if load.with_nhcb {
            for (labels, samples) in nhcb::convert(load)? {
                self.series.entry(labels).or_default().extend(samples);
            }
        }
        for loaded in &load.series {
            let samples = self.series.entry(loaded.series.labels.clone()).or_default();
            for (i, point) in loaded.series.points.iter().enumerate() {
                let timestamp = i as i64 * load.interval;
                let value = match point {
                    Point::Gap => continue,
                    Point::Float(value) => StoredValue::Float(*value),
                    Point::Histogram { histogram, .. } => StoredValue::Histogram(histogram.clone()),
                };
                let offset = loaded.start_offsets.get(i).copied().flatten();
                let start_timestamp = offset.map_or(0, |offset| timestamp + offset);
                samples.insert(timestamp, Stored { value, start_timestamp });
            }
        }
        Ok(())
    }
}

impl Source for Store {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        _hints: &Hints,
    ) -> Result<Arc<dyn SeriesSet>, SelectError> {
        let matching = self.series.iter().filter(|(labels, samples)| {
            samples.keys().any(|timestamp| range.contains(*timestamp))
                && matchers.iter().all(|m| m.matches(labels.get(&m.name).unwrap_or("")))
        });
        let selected = matching.map(|(labels, samples)| (labels.clone(), columns(samples)));
        Ok(Arc::new(Selection(selected.collect())))
    }
}

struct Selection(Vec<(Labels, Samples)>);

impl SeriesSet for Selection {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.0[i].0.clone()
    }

    fn read(&self, i: usize, range: TimeRange, out: &mut Samples) -> Result<(), SelectError> {
        out.clear();
        let samples = &self.0[i].1;
        let mut histograms = samples.histograms.iter().peekable();
        for (at, timestamp) in samples.timestamps.iter().enumerate() {
            let histogram = histograms.next_if(|(position, _)| *position == at);
            if !range.contains(*timestamp) {
                continue;
            }
            match histogram {
                Some((_, histogram)) => out.push_histogram(*timestamp, histogram.clone()),
                None => out.push(*timestamp, samples.values[at]),
            }
            if let Some(start) = samples.start_timestamps.get(at) {
                out.start_timestamps.push(*start);
            }
        }
        Ok(())
    }
}

/// As a store hands them out: counter reset hints say what is known from the sample before.
fn columns(stored: &BTreeMap<i64, Stored>) -> Samples {
    let mut samples = Samples::default();
    let mut previous: Option<Arc<FloatHistogram>> = None;
    for (timestamp, sample) in stored {
        match &sample.value {
            StoredValue::Float(value) => {
                previous = None;
                samples.push(*timestamp, *value);
            }
            StoredValue::Histogram(histogram) => {
                let mut histogram = FloatHistogram::clone(histogram);
                histogram.counter_reset_hint = histogram.stored_hint(previous.as_deref());
                let histogram = Arc::new(histogram);
                previous = Some(histogram.clone());
                samples.push_histogram(*timestamp, histogram);
            }
        }
    }
    if stored.values().any(|sample| sample.start_timestamp != 0) {
        samples.start_timestamps = stored.values().map(|sample| sample.start_timestamp).collect();
    }
    samples
}
