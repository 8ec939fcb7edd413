//! An hour of samples of every kind: counters with resets and gaps, gauges with odd values, classic
//! and native histograms, staleness markers, info metrics.

use crate::random::Random;
use crate::support::remote_write::{Histogram, Message};

const STEPS: i64 = 240;
const INTERVAL: i64 = 15_000;
const STALE: u64 = 0x7ff0_0000_0000_0002;
/// Steps of one message: what is pushed comes in time order.
const BATCH: i64 = 10;

enum Value {
    Float(f64),
    Histogram(Histogram),
}

struct Series {
    labels: Vec<(&'static str, String)>,
    samples: Vec<(i64, Value)>,
}

/// Remote write messages; `base` is the first sample's time in seconds.
pub fn messages(base: i64, random: &mut Random) -> Vec<Vec<u8>> {
    let mut made = Maker { base: base * 1000, random, series: Vec::new() };
    for instance in ["a", "b", "c"] {
        made.counters(instance);
        made.classic(instance);
        made.native(instance);
        made.others(instance);
    }
    let batch = |first: i64| {
        let times = made.base + first * INTERVAL..made.base + (first + BATCH) * INTERVAL;
        let mut message = Message::new();
        for Series { labels, samples } in &made.series {
            let labels: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (*n, v.as_str())).collect();
            let (mut floats, mut histograms) = (Vec::new(), Vec::new());
            for (time, value) in samples.iter().filter(|(time, _)| times.contains(time)) {
                match value {
                    Value::Float(value) => floats.push((*time, *value)),
                    Value::Histogram(histogram) => histograms.push((*time, histogram)),
                }
            }
            if !floats.is_empty() || !histograms.is_empty() {
                message.add_with_histograms(&labels, &floats, &histograms);
            }
        }
        message.bytes
    };
    (0..STEPS).step_by(BATCH as usize).map(batch).collect()
}

struct Maker<'a> {
    /// Milliseconds.
    base: i64,
    random: &'a mut Random,
    series: Vec<Series>,
}

impl Maker<'_> {
    fn push(&mut self, labels: &[(&'static str, &str)], samples: Vec<(i64, Value)>) {
        let mut labels: Vec<_> = labels.iter().map(|(n, v)| (*n, (*v).to_owned())).collect();
        labels.sort();
        self.series.push(Series { labels, samples });
    }

    fn time(&self, step: i64) -> i64 {
        self.base + step * INTERVAL
    }

    fn counters(&mut self, instance: &str) {
        for (job, name) in [("x", "c_total"), ("y", "c_total"), ("x", "d_total"), ("y", "d_total")]
        {
            let (mut value, mut samples, mut gone) = (0.0, Vec::new(), false);
            for step in 0..STEPS {
                let gap = instance == "b" && (step / 20) % 5 == 4;
                if gap && job == "x" && !gone {
                    samples.push((self.time(step), Value::Float(f64::from_bits(STALE))));
                }
                gone = gap;
                value += self.random.pick(&[0.0, 1.0, 1.5, 10.0]);
                if self.random.percent(3) {
                    value = self.random.pick(&[0.0, 1.0]);
                }
                let late = if instance == "c" { self.random.below(900) as i64 } else { 0 };
                if !gap {
                    samples.push((self.time(step) + late, Value::Float(value)));
                }
            }
            self.push(&[("__name__", name), ("inst", instance), ("job", job)], samples);
        }
    }

    fn classic(&mut self, instance: &str) {
        let mut counts = [0usize; 5];
        let mut samples: [Vec<(i64, Value)>; 5] = Default::default();
        for step in 0..STEPS {
            let mut total = 0;
            for (bucket, count) in counts.iter_mut().enumerate() {
                *count += self.random.below(3);
                total += *count;
                // Sometimes a bucket holds less than the one below it.
                let odd = usize::from(bucket == 2 && self.random.percent(5));
                let value = total.saturating_sub(odd) as f64;
                samples[bucket].push((self.base + step * INTERVAL, Value::Float(value)));
            }
            if self.random.percent(1) {
                counts = [0; 5];
            }
        }
        for (le, samples) in ["0.1", "0.5", "1", "2.5", "+Inf"].into_iter().zip(samples) {
            self.push(&[("__name__", "h_bucket"), ("inst", instance), ("le", le)], samples);
        }
    }

    fn exponential(&mut self, counts: &mut [f64; 5], schema: i32) -> Histogram {
        for count in counts.iter_mut() {
            *count += self.random.below(4) as f64;
        }
        if self.random.percent(3) {
            *counts = [1.0, 0.0, 1.0, 0.0, 1.0];
        }
        let [a, b, c, negative, zero] = *counts;
        Histogram {
            schema,
            zero_threshold: 0.001,
            zero_count: zero,
            count: a + b + c + negative + zero,
            sum: 2.0 * (a + b + c) - negative,
            positive: (vec![(0, 2), (1, 1)], vec![a, b, c]),
            negative: (vec![(0, 1)], vec![negative]),
            ..Histogram::default()
        }
    }

    fn native(&mut self, instance: &str) {
        let schema = i32::from(instance == "b");
        let mut counts = [[1.0; 5]; 3];
        let (mut counter, mut gauge, mut mixed, mut custom) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut custom_counts = [0.0; 3];
        for step in 0..STEPS {
            let time = self.time(step);
            let histogram = self.exponential(&mut counts[0], schema);
            if !self.random.percent(5) {
                counter.push((time, Value::Histogram(histogram)));
            }
            let histogram = self.exponential(&mut counts[1], 0);
            gauge.push((time, Value::Histogram(Histogram { gauge: true, ..histogram })));
            let histogram = self.exponential(&mut counts[2], 0);
            let floats = (step / 30) % 2 == 1;
            let value =
                if floats { Value::Float(step as f64) } else { Value::Histogram(histogram) };
            mixed.push((time, value));
            for count in &mut custom_counts {
                *count += self.random.below(3) as f64;
            }
            let total: f64 = custom_counts.iter().sum();
            let histogram = Histogram {
                schema: -53,
                count: total,
                sum: total * 1.5,
                positive: (vec![(0, 3)], custom_counts.to_vec()),
                bounds: vec![1.0, 5.0],
                ..Histogram::default()
            };
            custom.push((time, Value::Histogram(histogram)));
        }
        for (name, samples) in
            [("nh_total", counter), ("ng", gauge), ("mix", mixed), ("nc_total", custom)]
        {
            self.push(&[("__name__", name), ("inst", instance)], samples);
        }
    }

    fn others(&mut self, instance: &str) {
        for job in ["x", "y"] {
            let mut samples = Vec::new();
            for step in 0..STEPS {
                let fraction = self.random.below(1 << 20) as f64 / f64::from(1 << 20);
                let odd = self.random.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
                let usual =
                    [10.0 * fraction - 5.0, (6.0 * fraction).round() - 3.0, 0.0, 1e10 * fraction];
                let usual = self.random.pick(&usual);
                let value = if self.random.percent(2) { odd } else { usual };
                if !self.random.percent(10) {
                    samples.push((self.time(step), Value::Float(value)));
                }
            }
            self.push(&[("__name__", "g"), ("inst", instance), ("job", job)], samples);
        }
        let every = |this: &Self, value: &dyn Fn(i64) -> f64| {
            (0..STEPS).map(|step| (this.time(step), Value::Float(value(step)))).collect::<Vec<_>>()
        };
        let constant = every(self, &|_| 3.5);
        self.push(&[("__name__", "cst"), ("inst", instance)], constant);
        let days = self.random.below(2000) as i64;
        let base = self.base / 1000;
        let moments = every(self, &|step| (base - 86_400 * days + step * 40_000) as f64);
        self.push(&[("__name__", "moment"), ("inst", instance)], moments);
        for (version, first, last) in [("1", 0, 120), ("2", 120, 240)] {
            let samples = (first..last).map(|step| (self.time(step), Value::Float(1.0))).collect();
            let labels = [("__name__", "info_info"), ("inst", instance), ("version", version)];
            self.push(&labels, samples);
        }
        let identity = [("__name__", "up"), ("instance", instance), ("job", "x")];
        let ups = every(self, &|step| (step % 7 != 3) as u8 as f64);
        self.push(&identity, ups);
        let about =
            [("__name__", "target_info"), ("instance", instance), ("job", "x"), ("zone", instance)];
        let ones = every(self, &|_| 1.0);
        self.push(&about, ones);
    }
}
