//! A store of made-up series: `x{i="0"}`, `x{i="1"}`, …, each a counter with a sample every 15 s.

use std::sync::Arc;

use metricstor_model::{
    FloatHistogram, Labels, Matcher, Samples, SelectError, SeriesSet, Span, TimeRange,
};
use metricstor_promql::{Hints, Source};

pub const INTERVAL: i64 = 15_000;

/// So many series with so many samples each, the first at time 0.
#[derive(Clone)]
pub struct Made {
    pub series: usize,
    pub samples: i64,
}

impl Source for Made {
    fn select(
        &self,
        matchers: &[Matcher],
        _range: TimeRange,
        _hints: &Hints,
    ) -> Result<Arc<dyn SeriesSet>, SelectError> {
        let matches = |i: &usize| {
            let labels = labels(*i);
            matchers.iter().all(|m| m.matches(labels.get(&m.name).unwrap_or("")))
        };
        let series = (0..self.series).filter(matches).collect();
        Ok(Arc::new(Selected { series, samples: self.samples }))
    }
}

fn labels(i: usize) -> Labels {
    let number = i.to_string();
    Labels::from_pairs([("__name__", "x"), ("half", &number[..1]), ("i", &number)]).unwrap()
}

struct Selected {
    series: Vec<usize>,
    samples: i64,
}

impl SeriesSet for Selected {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, i: usize) -> Labels {
        labels(self.series[i])
    }

    fn read(&self, i: usize, range: TimeRange, out: &mut Samples) -> Result<(), SelectError> {
        out.clear();
        let first = range.start.max(0).saturating_add(INTERVAL - 1) / INTERVAL;
        let last = range.end.div_euclid(INTERVAL).min(self.samples - 1);
        for n in first..=last {
            out.push(n * INTERVAL, (n * (self.series[i] as i64 + 1)) as f64);
        }
        Ok(())
    }
}

/// One series of so many native histograms, one every 15 s, with so many buckets each.
pub struct Histograms {
    pub samples: i64,
    pub buckets: usize,
}

impl Source for Histograms {
    fn select(
        &self,
        _matchers: &[Matcher],
        _range: TimeRange,
        _hints: &Hints,
    ) -> Result<Arc<dyn SeriesSet>, SelectError> {
        Ok(Arc::new(Self { ..*self }))
    }
}

impl SeriesSet for Histograms {
    fn len(&self) -> usize {
        1
    }

    fn labels(&self, _: usize) -> Labels {
        Labels::from_pairs([("__name__", "h")]).unwrap()
    }

    fn read(&self, _: usize, range: TimeRange, out: &mut Samples) -> Result<(), SelectError> {
        out.clear();
        let times = (0..self.samples).map(|n| n * INTERVAL).filter(|time| range.contains(*time));
        for time in times {
            let count = time as f64;
            let histogram = FloatHistogram {
                count: count * self.buckets as f64,
                sum: count,
                positive_spans: vec![Span { offset: 0, length: self.buckets as u32 }],
                positive_buckets: vec![count; self.buckets],
                ..FloatHistogram::default()
            };
            out.push_histogram(time, Arc::new(histogram));
        }
        Ok(())
    }
}
