//! A small typed registry: a component's metrics are one struct, built once and passed in.
//!
//! Invariant: a name is registered once, and updating a metric never blocks on a scrape.

mod cells;
mod page;
mod process;
mod protojson;
mod text;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use cells::{Counter, Gauge, Histogram};
pub use page::Page;
pub use process::process_metrics;
pub(crate) use text::escape;

/// All metrics of the process, in the order of their names.
#[derive(Default)]
pub struct Registry {
    families: Mutex<BTreeMap<&'static str, Family>>,
    collectors: Mutex<Vec<Collector>>,
}

/// Writes metrics whose values live elsewhere, at each scrape.
type Collector = Box<dyn Fn(&mut Page) + Send + Sync>;

struct Family {
    help: &'static str,
    kind: &'static str,
    label: Option<&'static [&'static str]>,
    cells: Cells,
}

enum Cells {
    Counters(Arc<Table<Counter>>),
    Gauges(Arc<Table<Gauge>>),
    Histograms(Arc<Table<Histogram>>),
}

/// One metric per combination of label values.
type Table<M> = Mutex<BTreeMap<Vec<String>, M>>;

/// Metrics of one name that differ by labels. The caller keeps the number of label values bounded.
pub struct Labelled<M> {
    table: Arc<Table<M>>,
    new: fn() -> M,
}

impl<M: Clone> Labelled<M> {
    /// The metric with these label values, in the order of the names given at registration.
    pub fn with(&self, values: &[&str]) -> M {
        let mut table = lock(&self.table);
        if let Some(metric) =
            table.iter().find(|(key, _)| key.iter().eq(values.iter())).map(|(_, metric)| metric)
        {
            return metric.clone();
        }
        let key = values.iter().map(|v| (*v).to_owned()).collect();
        table.entry(key).or_insert_with(self.new).clone()
    }
}

impl Registry {
    pub fn counter(&self, name: &'static str, help: &'static str) -> Counter {
        self.counters(name, help, &[]).with(&[])
    }

    pub fn counters(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Labelled<Counter> {
        let table = Arc::new(Mutex::default());
        self.register(name, help, "counter", labels, Cells::Counters(Arc::clone(&table)));
        Labelled { table, new: Counter::default }
    }

    pub fn gauge(&self, name: &'static str, help: &'static str) -> Gauge {
        let table: Arc<Table<Gauge>> = Arc::new(Mutex::default());
        self.register(name, help, "gauge", &[], Cells::Gauges(Arc::clone(&table)));
        Labelled { table, new: Gauge::default }.with(&[])
    }

    /// Histograms of durations in seconds.
    pub fn latencies(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Labelled<Histogram> {
        let table = Arc::new(Mutex::default());
        self.register(name, help, "histogram", labels, Cells::Histograms(Arc::clone(&table)));
        Labelled { table, new: Histogram::latency }
    }

    /// Adds metrics that are read from their owner at each scrape.
    pub fn collect(&self, collector: impl Fn(&mut Page) + Send + Sync + 'static) {
        lock(&self.collectors).push(Box::new(collector));
    }

    /// The text exposition format, version 0.0.4.
    pub fn expose(&self) -> Vec<u8> {
        text::text(&self.page())
    }

    /// The families of these names in protobuf's JSON.
    pub fn push_json(&self, out: &mut Vec<u8>, wanted: impl Fn(&str) -> bool) {
        protojson::push_families(out, &self.page(), wanted);
    }

    fn page(&self) -> Page {
        let mut page = Page::default();
        for (name, family) in lock(&self.families).iter() {
            page.head(name, family.help, family.kind);
            let names = family.label.unwrap_or(&[]);
            match &family.cells {
                Cells::Counters(table) => each(table, |values, counter| {
                    page.sample(names, values, counter.get() as f64);
                }),
                Cells::Gauges(table) => each(table, |values, gauge| {
                    page.sample(names, values, gauge.get() as f64);
                }),
                Cells::Histograms(table) => each(table, |values, histogram| {
                    page.histogram(names, values, histogram);
                }),
            }
        }
        for collector in lock(&self.collectors).iter() {
            collector(&mut page);
        }
        page
    }

    fn register(
        &self,
        name: &'static str,
        help: &'static str,
        kind: &'static str,
        labels: &'static [&'static str],
        cells: Cells,
    ) {
        let label = (!labels.is_empty()).then_some(labels);
        let twice = lock(&self.families).insert(name, Family { help, kind, label, cells });
        assert!(twice.is_none(), "metric {name} is registered twice");
    }
}

fn each<M>(table: &Table<M>, mut visit: impl FnMut(&[String], &M)) {
    for (values, metric) in lock(table).iter() {
        visit(values, metric);
    }
}

/// A panic while the lock was held cannot leave a map of atomics half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_page_lists_families_by_name_with_escaped_labels() {
        let registry = Registry::default();
        let requests = registry.counters("b_total", "Requests.", &["path"]);
        requests.with(&["a\"\n\\"]).add(3);
        requests.with(&["a\"\n\\"]).add(1);
        registry.gauge("a", "Open things.").set(-2);
        registry.collect(|page| page.gauge("c", "From elsewhere.", 0.5));
        let text = String::from_utf8(registry.expose()).unwrap();
        let expected = "# HELP a Open things.\n# TYPE a gauge\na -2\n\
                        # HELP b_total Requests.\n# TYPE b_total counter\n\
                        b_total{path=\"a\\\"\\n\\\\\"} 4\n\
                        # HELP c From elsewhere.\n# TYPE c gauge\nc 0.5\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn protobuf_json_has_what_the_text_has() {
        let registry = Registry::default();
        registry.counters("b_total", "B \"b\".", &["path"]).with(&["<a>"]).add(3);
        registry.counters("none_total", "Nothing yet.", &["path"]);
        registry.latencies("took_seconds", "T.", &[]).with(&[]).observe(Duration::from_secs(60));
        registry.collect(|page| page.gauge("c", "C.", f64::INFINITY));
        let mut out = Vec::new();
        registry.push_json(&mut out, |name| name != "unwanted");
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(json.as_array().unwrap().len(), 3, "{json}");
        assert_eq!(json[0]["help"], "B \"b\".");
        assert_eq!(json[0]["type"], "COUNTER");
        assert_eq!(json[0]["metric"][0]["label"][0]["value"], "<a>");
        assert_eq!(json[0]["metric"][0]["counter"]["value"], 3);
        let took = &json[1]["metric"][0]["histogram"];
        assert_eq!((&took["sampleCount"], &took["sampleSum"]), (&"1".into(), &60.into()));
        let last = took["bucket"].as_array().unwrap().last().unwrap();
        assert_eq!(*last, serde_json::json!({"cumulativeCount": "1", "upperBound": 120}));
        assert_eq!(json[2]["metric"][0]["gauge"]["value"], "Infinity");
        out.clear();
        registry.push_json(&mut out, |name| name == "c");
        assert!(out.starts_with(br#"[{"name":"c","#), "{}", String::from_utf8_lossy(&out));
    }

    #[test]
    fn histogram_buckets_are_cumulative() {
        let registry = Registry::default();
        let took = registry.latencies("took_seconds", "Time.", &[]).with(&[]);
        took.observe(Duration::from_millis(3));
        took.observe(Duration::from_millis(3));
        took.observe(Duration::from_secs(3600));
        let text = String::from_utf8(registry.expose()).unwrap();
        assert!(text.contains("took_seconds_bucket{le=\"0.0025\"} 0\n"), "{text}");
        assert!(text.contains("took_seconds_bucket{le=\"0.005\"} 2\n"), "{text}");
        assert!(text.contains("took_seconds_bucket{le=\"+Inf\"} 3\n"), "{text}");
        assert!(text.contains("took_seconds_count 3\n"), "{text}");
        assert!(text.contains("took_seconds_sum 3600.006\n"), "{text}");
    }
}
