//! Unknown keys, with the known one that was probably meant.

use serde_json::Value;

/// Names further apart than this are not mistaken for each other.
const DISTANCE_MAX: usize = 3;

/// A sentence for every key of `tree` that `known` does not have.
pub fn unknown_keys(tree: &Value, known: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(tree, known, "", &mut found);
    found
}

fn collect(tree: &Value, known: &Value, path: &str, found: &mut Vec<String>) {
    let (Value::Object(tree), Value::Object(known)) = (tree, known) else { return };
    for (name, value) in tree {
        match known.get(name) {
            Some(inner) => collect(value, inner, &format!("{path}{name}."), found),
            None => {
                let hint = similar(name, known.keys().map(String::as_str));
                let hint =
                    hint.map_or(String::new(), |hint| format!(", did you mean {path}{hint}?"));
                found.push(format!("unknown setting {path}{name}{hint}"));
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
