//! Series with gaps, and every sort of sample, drawn from a seed.

use std::collections::BTreeMap;
use std::sync::Arc;

use metricstor_model::{
    FloatHistogram, Labels, Matcher, STALE_NAN, Samples, SelectError, SeriesSet, Span, TimeRange,
};
use metricstor_promql::{Hints, Source};

pub const INTERVAL: i64 = 15_000;
pub const SAMPLES: i64 = 120;
pub const START: i64 = 600_000;
pub const STEP: i64 = 30_000;
pub const STEPS: i64 = 24;

/// Numbers that look random, the same for the same seed.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }
}

/// Series with gaps and every sort of sample.
pub struct Mixed(pub Vec<(Labels, Samples)>);

impl Mixed {
    pub fn new(random: &mut Random, copies: u64) -> Self {
        let mut series = BTreeMap::new();
        for copy in 0..copies {
            for (name, odd, histograms) in
                [("a_total", 0, 0), ("b", 3, 0), ("h", 0, 4), ("m", 2, 2), ("x_bucket", 0, 0)]
            {
                for (job, le) in [("p", "0.5"), ("p", "+Inf"), ("q", "2"), ("q", "+Inf")] {
                    let mut pairs = vec![("__name__", name), ("job", job), ("le", le)];
                    let copy = copy.to_string();
                    pairs.push(("copy", &copy));
                    let labels = Labels::from_pairs(pairs).unwrap();
                    series.insert(labels, samples(random, odd, histograms));
                }
            }
        }
        Self(series.into_iter().collect())
    }
}

/// Of four samples, so many are odd or histograms.
pub fn samples(random: &mut Random, odd: u64, histograms: u64) -> Samples {
    let mut samples = Samples::default();
    let mut count = 0.0;
    for n in 0..SAMPLES {
        // Some scrapes fail, and some for a while.
        if random.below(8) == 0 || (n / 30 == 2 && random.below(3) > 0) {
            continue;
        }
        if random.below(20) == 0 {
            count = 0.0;
        }
        count += random.below(100) as f64;
        if random.below(4) < histograms {
            samples.push_histogram(n * INTERVAL, Arc::new(histogram(random, count)));
            continue;
        }
        let value = match random.below(16) {
            0..8 => f64::NAN,
            8..11 => f64::INFINITY,
            11 => f64::NEG_INFINITY,
            12 => f64::from_bits(STALE_NAN),
            13 => -0.0,
            14 => 0.0,
            _ => -1e3,
        };
        let is_odd = random.below(16) < odd;
        let stale = random.below(40) == 0;
        let value = if stale {
            f64::from_bits(STALE_NAN)
        } else if is_odd {
            value
        } else {
            count
        };
        samples.push(n * INTERVAL, value);
    }
    samples
}

fn histogram(random: &mut Random, count: f64) -> FloatHistogram {
    let custom = random.below(12) == 0;
    let sum = if random.below(30) == 0 { f64::from_bits(STALE_NAN) } else { count * 1.5 };
    FloatHistogram {
        schema: if custom { -53 } else { random.below(3) as i32 },
        count: count + 3.0,
        sum,
        zero_threshold: if custom { 0.0 } else { 0.001 },
        zero_count: if custom { 0.0 } else { 1.0 },
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![count, if custom { 3.0 } else { 2.0 }],
        custom_values: if custom { vec![1.0] } else { Vec::new() },
        ..FloatHistogram::default()
    }
}

impl Source for Mixed {
    fn select(
        &self,
        matchers: &[Matcher],
        _range: TimeRange,
        _hints: &Hints,
    ) -> Result<Arc<dyn SeriesSet>, SelectError> {
        let matching = self.0.iter().filter(|(labels, _)| {
            matchers.iter().all(|m| m.matches(labels.get(&m.name).unwrap_or("")))
        });
        Ok(Arc::new(Selected(matching.cloned().collect())))
    }
}

struct Selected(Vec<(Labels, Samples)>);

impl SeriesSet for Selected {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.0[i].0.clone()
    }

    fn read(&self, i: usize, range: TimeRange, out: &mut Samples) -> Result<(), SelectError> {
        out.clear();
        let samples = &self.0[i].1;
        let start = samples.timestamps.partition_point(|t| *t < range.start);
        let end = samples.timestamps.partition_point(|t| *t <= range.end);
        if start < end {
            out.append(samples, start..end);
        }
        Ok(())
    }
}
