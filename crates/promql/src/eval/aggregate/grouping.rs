//! Which group a series belongs to.

use hashbrown::HashMap;
use metricstor_model::{Labels, METRIC_NAME};

use crate::plan::Aggregate;

/// `by (...)` or `without (...)`.
#[derive(Debug, Clone)]
pub(in crate::eval) struct Grouping {
    /// Sorted.
    labels: Vec<String>,
    without: bool,
}

impl Grouping {
    pub fn new(aggregate: &Aggregate) -> Self {
        Self { labels: aggregate.grouping.clone(), without: aggregate.without }
    }

    /// Whatever the value of `label`.
    pub fn ignoring(mut self, label: &str) -> Self {
        self.labels.retain(|name| name != label);
        if self.without {
            self.labels.push(label.to_owned());
            self.labels.sort();
        }
        self
    }

    /// Is there more than one group?
    pub fn needs_labels(&self) -> bool {
        self.without || !self.labels.is_empty()
    }

    /// The only labels that matter, unless all but some do.
    pub fn named(&self) -> Option<&[String]> {
        (!self.without).then_some(&self.labels)
    }

    fn keeps(&self, label: &str) -> bool {
        let named = self.labels.binary_search_by(|name| name.as_str().cmp(label)).is_ok();
        if self.without { !named && label != METRIC_NAME } else { named }
    }

    /// The labels of a series' group.
    pub fn of(&self, labels: &Labels) -> Labels {
        labels.retain(|name| self.keeps(name))
    }

    /// Writes a label's part of what tells a series' group from others.
    fn push_key(&self, key: &mut Vec<u8>, name: &str, value: &str) {
        if self.keeps(name) {
            for text in [name, value] {
                key.extend_from_slice(&(text.len() as u32).to_le_bytes());
                key.extend_from_slice(text.as_bytes());
            }
        }
    }
}

/// The groups seen so far, numbered in the order of their first series.
#[derive(Debug)]
pub(in crate::eval) struct Groups {
    grouping: Grouping,
    index: HashMap<Box<[u8]>, usize>,
    labels: Vec<Labels>,
    key: Vec<u8>,
}

impl Groups {
    pub fn new(grouping: Grouping) -> Self {
        Self { grouping, index: HashMap::new(), labels: Vec::new(), key: Vec::new() }
    }

    pub fn grouping(&self) -> &Grouping {
        &self.grouping
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn labels(&self) -> &[Labels] {
        &self.labels
    }

    /// Bytes of memory that a group takes here, about: its labels, and what tells it from others.
    pub fn size_of(&self, group: usize) -> usize {
        const BESIDES: usize = 96;
        2 * self.labels[group].size() + BESIDES
    }

    /// The number of a series' group.
    pub fn group(&mut self, labels: &Labels) -> usize {
        if !self.grouping.needs_labels() && !self.labels.is_empty() {
            return 0;
        }
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        labels.iter().for_each(|(name, value)| self.grouping.push_key(&mut key, name, value));
        let group = self.keyed(&key, || labels.clone());
        self.key = key;
        group
    }

    /// The number of the group with this key; labels are made for a new one alone.
    pub fn keyed(&mut self, key: &[u8], labels: impl FnOnce() -> Labels) -> usize {
        if let Some(group) = self.index.get(key) {
            return *group;
        }
        self.labels.push(self.grouping.of(&labels()));
        self.index.insert(key.into(), self.labels.len() - 1);
        self.labels.len() - 1
    }
}

/// What tells the groups of several series from each other.
#[derive(Debug, Default)]
pub(in crate::eval) struct Keys {
    bytes: Vec<u8>,
    /// Where each key ends.
    ends: Vec<usize>,
}

impl Keys {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Adds a label to the key of the series at `place`; places ascend.
    pub fn push(&mut self, place: usize, grouping: &Grouping, name: &str, value: &str) {
        self.end(place);
        grouping.push_key(&mut self.bytes, name, value);
    }

    /// The keys of so many series have no more labels.
    pub fn end(&mut self, series: usize) {
        self.ends.resize(series.max(self.ends.len()), self.bytes.len());
    }

    pub fn get(&self, place: usize) -> &[u8] {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[place]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).unwrap()
    }

    #[test]
    fn without_drops_the_name_and_by_keeps_it_if_asked() {
        let series = labels(&[("__name__", "x"), ("a", "1"), ("b", "2")]);
        let without = Grouping { labels: vec!["a".into()], without: true };
        assert_eq!(without.of(&series), labels(&[("b", "2")]));
        let by = Grouping { labels: vec!["__name__".into(), "c".into()], without: false };
        assert_eq!(by.of(&series), labels(&[("__name__", "x")]));
    }

    #[test]
    fn groups_are_numbered_in_order_of_appearance() {
        let mut groups = Groups::new(Grouping { labels: vec!["a".into()], without: false });
        let numbers: Vec<usize> = [("a", "x"), ("a", "y"), ("b", "x"), ("a", "x")]
            .into_iter()
            .map(|pair| groups.group(&labels(&[pair])))
            .collect();
        assert_eq!(numbers, [0, 1, 2, 0]);
        assert_eq!(groups.labels()[2], Labels::empty());
    }
}
