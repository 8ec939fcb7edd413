//! Changing the labels of results: names removed, series that became equal united.

use std::collections::HashMap;

use metricstor_model::{Labels, METRIC_NAME};

use crate::QueryError;
use crate::eval::frame::{Cell, Frame, is_absent};

/// Labels about the metric other than its name.
pub(crate) const KINDS: [&str; 2] = ["__type__", "__unit__"];

/// Is this a label that says what the metric is, rather than which series?
pub(crate) fn is_metadata(label: &str) -> bool {
    label == METRIC_NAME || KINDS.contains(&label)
}

/// Is there a label about the metric other than its name?
pub(crate) fn has_kind(labels: &Labels) -> bool {
    labels.iter().any(|(name, _)| KINDS.contains(&name))
}

/// The labels without those about the metric.
pub(crate) fn without_metadata(labels: &Labels) -> Labels {
    Dropped::Metadata.from(labels)
}

/// Labels about the metric that are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Dropped {
    Nothing,
    Name,
    /// Name, type and unit.
    Metadata,
}

impl Dropped {
    pub fn holds(self, label: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Name => label == METRIC_NAME,
            Self::Metadata => is_metadata(label),
        }
    }

    /// The labels that are left.
    pub fn from(self, labels: &Labels) -> Labels {
        if self != Self::Nothing && labels.iter().any(|(name, _)| self.holds(name)) {
            labels.retain(|name| !self.holds(name))
        } else {
            labels.clone()
        }
    }
}

fn collision() -> QueryError {
    QueryError::execution("vector cannot contain metrics with the same labelset")
}

/// Removes the names of the series marked for it.
pub(crate) fn drop_names(frame: &mut Frame) {
    for head in frame.heads.iter_mut().filter(|head| head.drop_name) {
        head.labels = without_metadata(&head.labels);
        head.drop_name = false;
    }
}

/// Do two series have the same labels?
fn has_duplicates(frame: &Frame) -> bool {
    let mut seen = hashbrown::HashSet::with_capacity(frame.len());
    !frame.heads.iter().all(|head| seen.insert(&head.labels))
}

/// Fails if two series have the same labels.
pub(crate) fn refuse_duplicates(frame: &Frame) -> Result<(), QueryError> {
    if has_duplicates(frame) { Err(collision()) } else { Ok(()) }
}

/// Unites series with the same labels; fails if two of them have a sample at the same step.
pub(crate) fn unite(frame: Frame) -> Result<Frame, QueryError> {
    if !has_duplicates(&frame) {
        return Ok(frame);
    }
    let mut united = frame.empty_like();
    united.reserve(frame.len())?;
    let mut groups: HashMap<&Labels, usize> = HashMap::new();
    let mut members: Vec<Vec<usize>> = Vec::new();
    for (i, head) in frame.heads.iter().enumerate() {
        let group = *groups.entry(&head.labels).or_insert_with(|| {
            members.push(Vec::new());
            members.len() - 1
        });
        members[group].push(i);
    }
    for group in members {
        // The series that is there first says whether the name is to be dropped later.
        let start = |i: &usize| frame.column(*i).cells.iter().position(|cell| !is_absent(*cell));
        let first = group.iter().copied().min_by_key(start).unwrap_or(group[0]);
        let target = united.push_absent(frame.heads[first].clone());
        for step in 0..frame.steps() {
            for &i in &group {
                let sample = frame.column(i).get(step);
                let taken = !is_absent(united.column(target).cells[step]);
                match sample {
                    Cell::Absent => {}
                    _ if taken => return Err(collision()),
                    Cell::Float(value) => united.cells_mut(target)[step] = value,
                    Cell::Histogram(h) => united.set_histogram(target, step, h.clone()),
                }
            }
        }
    }
    Ok(united)
}
