//! Answers, to be compared cell by cell.

use std::collections::BTreeMap;
use std::sync::Arc;

use metricstor_model::{FloatHistogram, Labels};
use metricstor_promql::{Answer, SampleValue, Value};

/// What stands at each time, by labels.
pub type Table = BTreeMap<(i64, Labels), Cell>;

#[derive(Debug, Clone)]
pub enum Cell {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
}

impl Cell {
    /// To the last bits but a few: sums are added up in another order.
    pub fn is_near(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => near(*a, *b),
            (Self::Histogram(a), Self::Histogram(b)) => {
                near(a.count, b.count)
                    && near(a.sum, b.sum)
                    && a.schema == b.schema
                    && a.counter_reset_hint == b.counter_reset_hint
            }
            _ => false,
        }
    }
}

pub fn near(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-3)
}

pub fn table(answer: &Answer) -> Table {
    let mut table = Table::new();
    match &answer.value {
        Value::Matrix(series) => {
            for one in series {
                let floats = one.floats.iter().map(|(t, v)| (*t, Cell::Float(*v)));
                let histograms =
                    one.histograms.iter().map(|(t, h)| (*t, Cell::Histogram(Arc::clone(h))));
                for (t, cell) in floats.chain(histograms) {
                    assert!(table.insert((t, one.labels.clone()), cell).is_none());
                }
            }
        }
        Value::Vector(samples) => {
            for one in samples {
                let cell = match &one.sample {
                    SampleValue::Float(v) => Cell::Float(*v),
                    SampleValue::Histogram(h) => Cell::Histogram(Arc::clone(h)),
                };
                assert!(table.insert((one.timestamp, one.labels.clone()), cell).is_none());
            }
        }
        other => panic!("{other:?}"),
    }
    table
}

pub fn difference(a: &Table, b: &Table) -> Option<String> {
    let keys = a.keys().chain(b.keys());
    let differs = |key: &&(i64, Labels)| match (a.get(*key), b.get(*key)) {
        (Some(a), Some(b)) => !a.is_near(b),
        _ => true,
    };
    let key = keys.into_iter().find(differs)?;
    Some(format!("at {} {}: {:?} and {:?}", key.0, key.1, a.get(key), b.get(key)))
}
