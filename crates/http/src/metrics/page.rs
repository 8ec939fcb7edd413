//! What the process measures at one moment, as families of metrics; `text` and `protojson` write it.

use super::cells::{Histogram, LATENCY_SECONDS};

/// A page of metrics in the making.
#[derive(Default)]
pub struct Page {
    families: Vec<Family>,
}

pub struct Family {
    pub name: String,
    pub help: String,
    pub kind: &'static str,
    pub metrics: Vec<Metric>,
}

pub struct Metric {
    /// Name and value.
    pub labels: Vec<(String, String)>,
    pub value: Value,
}

pub enum Value {
    Number(f64),
    Distribution {
        /// Upper bounds, ascending and without +Inf, each with the count up to it.
        buckets: Vec<(f64, u64)>,
        count: u64,
        sum: f64,
    },
}

impl Page {
    pub fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.head(name, help, "gauge");
        self.sample(&[], &[], value);
    }

    pub fn counter(&mut self, name: &str, help: &str, value: f64) {
        self.head(name, help, "counter");
        self.sample(&[], &[], value);
    }

    /// Begins a family; what follows belongs to it.
    pub fn head(&mut self, name: &str, help: &str, kind: &'static str) {
        let (name, help) = (name.to_owned(), help.to_owned());
        self.families.push(Family { name, help, kind, metrics: Vec::new() });
    }

    pub fn sample(&mut self, names: &[&str], values: &[String], value: f64) {
        self.push(names, values, Value::Number(value));
    }

    /// A histogram from cumulative (upper bound, count) pairs without +Inf, after its head.
    pub fn buckets(
        &mut self,
        (names, values): (&[&str], &[String]),
        buckets: impl Iterator<Item = (f64, u64)>,
        count: u64,
        sum: f64,
    ) {
        self.push(names, values, Value::Distribution { buckets: buckets.collect(), count, sum });
    }

    pub(super) fn histogram(&mut self, names: &[&str], values: &[String], histogram: &Histogram) {
        let (counts, sum) = histogram.read();
        let mut count = 0;
        let below = counts.iter().map(|n| {
            count += n;
            count
        });
        let buckets = LATENCY_SECONDS.iter().copied().zip(below).collect();
        let count = counts.iter().sum();
        self.push(names, values, Value::Distribution { buckets, count, sum });
    }

    /// All families, also those without a metric.
    pub(super) fn families(&self) -> impl Iterator<Item = &Family> {
        self.families.iter()
    }

    fn push(&mut self, names: &[&str], values: &[String], value: Value) {
        let labels = names.iter().zip(values);
        let labels = labels.map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        if let Some(family) = self.families.last_mut() {
            family.metrics.push(Metric { labels, value });
        }
    }
}
