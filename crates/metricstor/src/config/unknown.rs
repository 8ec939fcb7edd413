//! Unknown keys, with the known one that was probably meant.

use std::fmt;

use serde_json::Value;

/// Names further apart than this are not mistaken for each other.
const DISTANCE_MAX: usize = 3;

/// A key that does not exist.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownKey {
    /// Like `storage.retentoin`.
    pub key: String,
    /// The known key that was probably meant.
    pub similar: Option<String>,
}

impl fmt::Display for UnknownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown setting {}", self.key)?;
        match &self.similar {
            Some(similar) => write!(f, ", did you mean {similar}?"),
            None => Ok(()),
        }
    }
}

/// The keys of `tree` that `known` does not have.
pub fn unknown_keys(tree: &Value, known: &Value) -> Vec<UnknownKey> {
    let mut found = Vec::new();
    collect(tree, known, "", &mut found);
    found
}

fn collect(tree: &Value, known: &Value, path: &str, found: &mut Vec<UnknownKey>) {
    let (Value::Object(tree), Value::Object(known)) = (tree, known) else { return };
    for (name, value) in tree {
        match known.get(name) {
            Some(inner) => collect(value, inner, &format!("{path}{name}."), found),
            None => {
                let similar = similar(name, known.keys().map(String::as_str));
                let similar = similar.map(|similar| format!("{path}{similar}"));
                found.push(UnknownKey { key: format!("{path}{name}"), similar });
            }
        }
    }
}

/// The candidate that is closest to `name`, if it is close.
pub fn similar<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= DISTANCE_MAX.min(candidate.len() / 2))
        .min()
        .map(|(_, candidate)| candidate)
}
