//! Which series of two vectors are about the same thing.

use hashbrown::HashMap;
use metricstor_model::{Labels, METRIC_NAME};

use crate::ast::VectorMatching;
use crate::eval::frame::Frame;

/// The series of both sides, by the values of the matching labels.
#[derive(Debug)]
pub(super) struct Signatures {
    pub lhs: Side,
    pub rhs: Side,
}

/// The series of one side, by pairing.
#[derive(Debug)]
pub(super) struct Side {
    /// The series of all pairings, one pairing after the other.
    members: Vec<usize>,
    /// Where each pairing's members begin; one more than there are pairings.
    starts: Vec<usize>,
}

impl Side {
    /// `of`: the pairing of each series.
    fn new(of: &[u32], pairings: usize) -> Self {
        let mut starts = vec![0; pairings + 1];
        for pairing in of {
            starts[*pairing as usize + 1] += 1;
        }
        for pairing in 0..pairings {
            starts[pairing + 1] += starts[pairing];
        }
        let mut next = starts.clone();
        let mut members = vec![0; of.len()];
        for (i, pairing) in of.iter().enumerate() {
            let place = &mut next[*pairing as usize];
            members[*place] = i;
            *place += 1;
        }
        Self { members, starts }
    }

    /// The number of pairings, of both sides together.
    pub fn pairings(&self) -> usize {
        self.starts.len() - 1
    }

    /// The series of a pairing, in their order.
    pub fn members(&self, pairing: usize) -> &[usize] {
        &self.members[self.starts[pairing]..self.starts[pairing + 1]]
    }
}

impl Signatures {
    pub fn new(rules: &VectorMatching, lhs: &Frame, rhs: &Frame) -> Self {
        let mut names: Vec<&str> = rules.labels.iter().map(String::as_str).collect();
        names.sort_unstable();
        let mut index: HashMap<Vec<u8>, u32> = HashMap::new();
        let mut key = Vec::new();
        let mut side = |frame: &Frame| -> Vec<u32> {
            let heads = frame.heads.iter();
            heads
                .map(|head| {
                    write_key(&head.labels, &names, rules.on, &mut key);
                    let next = index.len() as u32;
                    *index.entry_ref(key.as_slice()).or_insert(next)
                })
                .collect()
        };
        let (lhs, rhs) = (side(lhs), side(rhs));
        let pairings = index.len();
        Self { lhs: Side::new(&lhs, pairings), rhs: Side::new(&rhs, pairings) }
    }

    pub fn len(&self) -> usize {
        self.lhs.pairings()
    }

    /// Does any pairing have series on both sides?
    pub fn overlap(&self) -> bool {
        (0..self.len()).any(|pairing| {
            !self.lhs.members(pairing).is_empty() && !self.rhs.members(pairing).is_empty()
        })
    }
}

fn write_key(labels: &Labels, names: &[&str], on: bool, key: &mut Vec<u8>) {
    key.clear();
    for (name, value) in labels.iter() {
        let named = names.binary_search(&name).is_ok();
        if if on { named } else { !named && name != METRIC_NAME } {
            for text in [name, value] {
                key.extend_from_slice(&(text.len() as u32).to_le_bytes());
                key.extend_from_slice(text.as_bytes());
            }
        }
    }
}

/// The labels that are matched by.
pub(super) fn matched_labels(labels: &Labels, rules: &VectorMatching) -> Labels {
    labels.retain(|name| {
        let named = rules.labels.iter().any(|label| label == name);
        if rules.on { named } else { !named && name != METRIC_NAME }
    })
}
