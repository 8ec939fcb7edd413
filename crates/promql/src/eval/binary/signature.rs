//! Which series of two vectors are about the same thing.

use hashbrown::HashMap;
use metricstor_model::{Labels, METRIC_NAME};

use crate::ast::VectorMatching;
use crate::eval::frame::Frame;

/// The series of both sides with the same values of the matching labels.
#[derive(Debug, Default)]
pub(super) struct Pairing {
    pub lhs: Vec<usize>,
    pub rhs: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct Signatures {
    pub pairings: Vec<Pairing>,
    /// The pairing of each series.
    pub of_lhs: Vec<usize>,
    pub of_rhs: Vec<usize>,
}

impl Signatures {
    pub fn new(rules: &VectorMatching, lhs: &Frame, rhs: &Frame) -> Self {
        let mut names: Vec<&str> = rules.labels.iter().map(String::as_str).collect();
        names.sort_unstable();
        let mut index: HashMap<Box<[u8]>, usize> = HashMap::new();
        let mut pairings: Vec<Pairing> = Vec::new();
        let mut key = Vec::new();
        let mut pair = |labels: &Labels| {
            write_key(labels, &names, rules.on, &mut key);
            match index.get(key.as_slice()) {
                Some(pairing) => (*pairing, false),
                None => {
                    let next = index.len();
                    index.insert(key.as_slice().into(), next);
                    (next, true)
                }
            }
        };
        let (mut of_lhs, mut of_rhs) = (Vec::new(), Vec::new());
        for (frame, of, left) in [(lhs, &mut of_lhs, true), (rhs, &mut of_rhs, false)] {
            for (i, head) in frame.heads.iter().enumerate() {
                let (pairing, new) = pair(&head.labels);
                if new {
                    pairings.push(Pairing::default());
                }
                let Pairing { lhs, rhs } = &mut pairings[pairing];
                if left {
                    lhs.push(i)
                } else {
                    rhs.push(i)
                }
                of.push(pairing);
            }
        }
        Self { pairings, of_lhs, of_rhs }
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
