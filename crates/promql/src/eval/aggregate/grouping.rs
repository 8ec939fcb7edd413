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
        let visit = |visitor: &mut dyn FnMut(&str, &str)| {
            labels.iter().for_each(|(name, value)| visitor(name, value));
        };
        self.group_of(visit, || labels.clone())
    }

    /// The same for a series whose labels are looked at one by one, and made for a new group alone.
    pub fn group_of(
        &mut self,
        visit: impl FnOnce(&mut dyn FnMut(&str, &str)),
        labels: impl FnOnce() -> Labels,
    ) -> usize {
        let Self { grouping, index, labels: known, key } = self;
        key.clear();
        if grouping.needs_labels() {
            visit(&mut |name, value| grouping.push_key(key, name, value));
        } else if !known.is_empty() {
            return 0;
        }
        if let Some(group) = index.get(key.as_slice()) {
            return *group;
        }
        known.push(grouping.of(&labels()));
        index.insert(key.as_slice().into(), known.len() - 1);
        known.len() - 1
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
