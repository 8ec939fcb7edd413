//! What the store should hold: a map.

use std::collections::{BTreeMap, BTreeSet};

use metricstor_model::{Matcher, Samples, TimeRange};

/// A float by its bits, or a histogram by its count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    Float(u64),
    Histogram(u64),
}

/// Labels as text, time, value.
pub type Row = (String, i64, Value);
pub type Column = BTreeMap<i64, Value>;

#[derive(Default)]
pub struct Map {
    series: BTreeMap<String, Column>,
    /// All series there ever were.
    known: BTreeSet<String>,
}

impl Map {
    /// Stores rows in the order of the engine, floats first; how many it should accept, refuse, and
    /// know already.
    pub fn write(&mut self, rows: &[Row], oldest: i64) -> (u64, u64, u64) {
        let (mut accepted, mut refused, mut repeated) = (0, 0, 0);
        let is_float = |row: &&Row| matches!(row.2, Value::Float(_));
        let (floats, histograms): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(is_float);
        for (labels, t, value) in floats.into_iter().chain(histograms) {
            self.known.insert(labels.clone());
            if *t < oldest {
                refused += 1;
                continue;
            }
            match self.series.entry(labels.clone()).or_default().insert(*t, *value) {
                None => accepted += 1,
                Some(stored) if stored == *value => {
                    (accepted, repeated) = (accepted + 1, repeated + 1)
                }
                Some(stored) => {
                    refused += 1;
                    self.series.get_mut(labels).unwrap().insert(*t, stored);
                }
            }
        }
        (accepted, refused, repeated)
    }

    pub fn delete(&mut self, sets: &[Vec<Matcher>], range: TimeRange) {
        let hit = self.series.iter_mut().filter(|(labels, _)| is_one(labels, sets));
        hit.for_each(|(_, column)| column.retain(|t, _| !range.contains(*t)));
    }

    /// What there is inside a range of the series that satisfy any of the sets.
    pub fn inside(&self, sets: &[Vec<Matcher>], range: TimeRange) -> BTreeMap<&str, Column> {
        let inside = |column: &Column| -> Column {
            let inside = column.iter().filter(|(t, _)| range.contains(**t));
            inside.map(|(t, value)| (*t, *value)).collect()
        };
        let chosen = self.series.iter().filter(|(labels, _)| is_one(labels, sets));
        let columns = chosen.map(|(labels, column)| (labels.as_str(), inside(column)));
        columns.filter(|(_, column)| !column.is_empty()).collect()
    }

    /// The series that satisfy any of the sets, with samples or without.
    pub fn known(&self, sets: &[Vec<Matcher>]) -> BTreeSet<&str> {
        let known = self.known.iter().map(String::as_str);
        known.filter(|labels| is_one(labels, sets)).collect()
    }
}

pub fn value_of<'t>(labels: &'t str, name: &str) -> &'t str {
    let mut pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
    pairs.find(|(n, _)| *n == name).map_or("", |(_, value)| value)
}

fn is_one(labels: &str, sets: &[Vec<Matcher>]) -> bool {
    let fits = |m: &Matcher| m.matches(value_of(labels, &m.name));
    sets.iter().any(|matchers| matchers.iter().all(fits))
}

/// What a reader got.
pub fn column(samples: &Samples) -> Column {
    assert!(samples.timestamps.is_sorted_by(|a, b| a < b));
    let floats = samples.values.iter().map(|value| Value::Float(value.to_bits()));
    let mut all: Vec<(i64, Value)> = samples.timestamps.iter().copied().zip(floats).collect();
    samples.histograms.iter().for_each(|(at, h)| all[*at].1 = Value::Histogram(h.count as u64));
    all.into_iter().collect()
}

/// What may not be left out: the best of the floats, the first of equal ones; what is no number; histograms.
pub fn digest(column: &Column, better: fn(&f64, &f64) -> bool) -> (Option<u64>, Column) {
    let mut best: Option<f64> = None;
    let mut rest = Column::new();
    for (t, value) in column {
        match value {
            Value::Float(bits) if !f64::from_bits(*bits).is_nan() => {
                let value = f64::from_bits(*bits);
                best = Some(best.filter(|best| !better(&value, best)).unwrap_or(value));
            }
            _ => _ = rest.insert(*t, *value),
        }
    }
    (best.map(f64::to_bits), rest)
}
