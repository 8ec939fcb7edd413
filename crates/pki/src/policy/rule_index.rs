//! Finds the first rule that names a subject without trying all rules.
//!
//! Exact names are hashed. Patterns are kept sorted by what precedes their star; each such prefix
//! points to the longest other one that it begins with, and has its suffixes hashed by length. All
//! prefixes of a name are on the path from its predecessor upward: whatever sorts between a prefix
//! of the name and the name itself begins with that prefix too.

use std::collections::HashMap;

use crate::identity::{Kind, Subject};
use crate::pattern::NamePattern;

#[derive(Debug, Default)]
pub(super) struct RuleIndex {
    kinds: [KindIndex; 4],
}

#[derive(Debug, Default)]
struct KindIndex {
    /// First rule of each exact name.
    exact: HashMap<String, usize>,
    /// Sorted by text.
    prefixes: Vec<Prefix>,
}

#[derive(Debug)]
struct Prefix {
    text: String,
    /// Position of the longest proper prefix of `text`.
    parent: Option<usize>,
    suffixes: Vec<Suffixes>,
}

/// All suffixes of one length, with the first rule of each.
#[derive(Debug)]
struct Suffixes {
    length: usize,
    rules: HashMap<String, usize>,
}

impl RuleIndex {
    /// Adds a rule's pattern; rules come in order.
    pub fn add(&mut self, kind: Kind, pattern: &NamePattern, rule: usize) {
        let index = &mut self.kinds[kind as usize];
        match pattern.suffix() {
            None => {
                index.exact.entry(pattern.prefix().to_owned()).or_insert(rule);
            }
            Some(suffix) => index.prefix(pattern.prefix()).add(suffix, rule),
        }
    }

    /// Links the prefixes, once all rules are there.
    pub fn seal(&mut self) {
        for KindIndex { prefixes, .. } in &mut self.kinds {
            for position in 1..prefixes.len() {
                // The predecessor or one of its ancestors, by the same argument as for names.
                let mut candidate = Some(position - 1);
                while let Some(at) = candidate {
                    if prefixes[position].text.starts_with(&prefixes[at].text) {
                        break;
                    }
                    candidate = prefixes[at].parent;
                }
                prefixes[position].parent = candidate;
            }
        }
    }

    /// The position of the first rule that names the subject.
    pub fn first(&self, subject: &Subject) -> Option<usize> {
        let KindIndex { exact, prefixes } = &self.kinds[subject.kind() as usize];
        let name = subject.name();
        let mut best = exact.get(name).copied();
        let predecessor = prefixes.partition_point(|prefix| prefix.text.as_str() <= name);
        let mut next = predecessor.checked_sub(1);
        while let Some(at) = next {
            let prefix = &prefixes[at];
            if let Some(rest) = name.strip_prefix(&*prefix.text) {
                let found = prefix.suffixes.iter().filter_map(|suffixes| suffixes.first(rest));
                best = found.chain(best).min();
            }
            next = prefix.parent;
        }
        best
    }
}

impl KindIndex {
    fn prefix(&mut self, text: &str) -> &mut Prefix {
        let position = self.prefixes.partition_point(|prefix| prefix.text.as_str() < text);
        if self.prefixes.get(position).is_none_or(|prefix| prefix.text != text) {
            let prefix = Prefix { text: text.to_owned(), parent: None, suffixes: Vec::new() };
            self.prefixes.insert(position, prefix);
        }
        &mut self.prefixes[position]
    }
}

impl Prefix {
    fn add(&mut self, suffix: &str, rule: usize) {
        let length = suffix.len();
        let known = self.suffixes.iter().position(|suffixes| suffixes.length == length);
        let position = known.unwrap_or_else(|| {
            self.suffixes.push(Suffixes { length, rules: HashMap::new() });
            self.suffixes.len() - 1
        });
        self.suffixes[position].rules.entry(suffix.to_owned()).or_insert(rule);
    }
}

impl Suffixes {
    fn first(&self, rest: &str) -> Option<usize> {
        let suffix = rest.get(rest.len().checked_sub(self.length)?..)?;
        self.rules.get(suffix).copied()
    }
}
