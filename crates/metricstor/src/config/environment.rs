//! `METRICSTOR_A__B=value` sets `a.b`.
//!
//! Invariant: a variable that looks like a setting either takes effect or is an error.

use std::ffi::OsString;

use serde_json::Value;

use super::unknown::{similar, unknown_keys};
use super::{ConfigError, File};

const PREFIX: &str = "METRICSTOR_";
const NESTING: &str = "__";

/// Replaces the settings that the environment names.
pub fn overlay(
    file: File,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<File, ConfigError> {
    let known = File::default().tree();
    let mut file = file;
    for (name, text) in environment {
        let Some(key) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        let key = key.to_ascii_lowercase();
        let wrong = |text| ConfigError::Environment { name: name.to_string_lossy().into(), text };
        if belongs_to_others(&key, &known) {
            match meant(&key, &known) {
                Some(meant) => return Err(wrong(no_such(&meant))),
                None => continue,
            }
        }
        let text = text.to_str().ok_or_else(|| wrong("not UTF-8".to_owned()))?;
        file = set(file, &key, text, &known).map_err(wrong)?;
    }
    Ok(file)
}

/// Other programs may use the prefix too: a name without nesting that is unlike any setting.
fn belongs_to_others(key: &str, known: &Value) -> bool {
    let names = known.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    !key.contains(NESTING) && similar(key, names).is_none()
}

/// The setting whose section is left out (`RETENTION`) or whose nesting is one `_` too short.
fn meant(key: &str, known: &Value) -> Option<String> {
    let all = known.as_object()?.iter().flat_map(|(section, keys)| {
        let keys = keys.as_object().into_iter().flatten();
        keys.map(move |(name, _)| (section, name))
    });
    let mut meant =
        all.filter(|(section, name)| key == *name || key == format!("{section}_{name}"));
    meant.next().map(|(section, name)| format!("{section}.{name}"))
}

/// Says which variable is `similar`, a key such as `storage.retention`.
fn no_such(similar: &str) -> String {
    let name = similar.replace('.', NESTING).to_ascii_uppercase();
    format!("no such setting, did you mean {PREFIX}{name}?")
}

fn set(file: File, key: &str, text: &str, known: &Value) -> Result<File, String> {
    // The text is read as YAML would read it, so that numbers and lists work.
    let value: Value =
        serde_saphyr::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
    let change = key
        .rsplit(NESTING)
        .fold(value, |inner, name| Value::Object([(name.to_owned(), inner)].into_iter().collect()));
    if let Some(first) = unknown_keys(&change, known).first() {
        return Err(match &first.similar {
            None => "no such setting".to_owned(),
            Some(key) => no_such(key),
        });
    }
    let mut tree = file.tree();
    merge(&mut tree, change);
    serde_json::from_value(tree).map_err(|e| e.to_string())
}

fn merge(tree: &mut Value, change: Value) {
    match (tree, change) {
        (Value::Object(tree), Value::Object(change)) => {
            for (name, value) in change {
                merge(tree.entry(name).or_insert(Value::Null), value);
            }
        }
        (tree, change) => *tree = change,
    }
}
