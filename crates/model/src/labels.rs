//! A series' labels: sorted, unique, non-empty pairs in one shared string.
//!
//! Invariant: every `Labels` in the program is canonical (sorted by name in byte order, no duplicate
//! names, no empty names, no empty values: an empty value means "label absent", as in Prometheus).

mod packed;

use std::cell::Cell;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

pub use packed::PackedPair;
use packed::{Pairs, text_at};

const LENGTH_MAX: usize = PackedPair::LENGTH_MAX;

/// The label that holds the metric's name.
pub const METRIC_NAME: &str = "__name__";

/// The label that keeps tenants apart. Only the server sets it; series of the common tenant have none.
pub const TENANT_LABEL: &str = "__tenant__";

/// Larger buffers are not kept.
const PACKING_SIZE: usize = 4 << 10;

thread_local! {
    /// Where labels are put together, so that only the text itself is allocated.
    static PACKING: Cell<String> = const { Cell::new(String::new()) };
}

/// The canonical labels of a series; cloning shares the text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels {
    packed: Arc<str>,
}

/// Why pairs do not make labels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelsError {
    #[error("duplicate label name {0:?}")]
    DuplicateName(String),
    #[error("empty label name")]
    EmptyName,
    #[error("label {name:?} is longer than {LENGTH_MAX} bytes")]
    TooLong { name: String },
}

impl Labels {
    /// No labels at all.
    pub fn empty() -> Self {
        Self { packed: Arc::from("") }
    }

    /// Sorts the pairs and drops those with an empty value.
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Result<Self, LabelsError>
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        let mut pairs: Vec<(N, V)> = pairs.into_iter().collect();
        pairs.sort_by(|a, b| a.0.as_ref().cmp(b.0.as_ref()));
        let mut packed = String::with_capacity(pairs.len() * 24);
        let mut previous: Option<&str> = None;
        for (name, value) in &pairs {
            let (name, value) = (name.as_ref(), value.as_ref());
            if name.is_empty() {
                return Err(LabelsError::EmptyName);
            }
            if previous == Some(name) {
                return Err(LabelsError::DuplicateName(name.to_owned()));
            }
            previous = Some(name);
            if name.len() > LENGTH_MAX || value.len() > LENGTH_MAX {
                return Err(LabelsError::TooLong { name: name.chars().take(64).collect() });
            }
            if !value.is_empty() {
                PackedPair::push(&mut packed, name, value);
            }
        }
        Ok(Self { packed: packed.into() })
    }

    /// Takes pairs that are canonical already: sorted, unique, no empty name or value.
    pub fn from_packed<'a>(pairs: impl Iterator<Item = PackedPair<'a>>) -> Self {
        let mut packed = PACKING.take();
        packed.clear();
        pairs.for_each(|pair| packed.push_str(pair.as_str()));
        let labels = Self { packed: packed.as_str().into() };
        if packed.capacity() <= PACKING_SIZE {
            PACKING.set(packed);
        }
        labels
    }

    /// The value of label `name`; `None` when absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        for (n, v) in self.iter() {
            match n.cmp(name) {
                Ordering::Less => {}
                Ordering::Equal => return Some(v),
                Ordering::Greater => return None,
            }
        }
        None
    }

    /// The metric's name, or "" when the series has none.
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or("")
    }

    /// The pairs, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        Pairs::of(&self.packed).map(PackedPair::texts)
    }

    pub fn is_empty(&self) -> bool {
        self.packed.is_empty()
    }

    /// The number of pairs.
    pub fn count(&self) -> usize {
        self.iter().count()
    }

    /// These labels without the metric name.
    pub fn without_name(&self) -> Self {
        if self.get(METRIC_NAME).is_none() {
            self.clone()
        } else {
            self.retain(|n| n != METRIC_NAME)
        }
    }

    /// The pairs whose name satisfies `keep`.
    pub fn retain(&self, mut keep: impl FnMut(&str) -> bool) -> Self {
        let mut packed = String::with_capacity(self.packed.len());
        for (name, value) in self.iter() {
            if keep(name) {
                PackedPair::push(&mut packed, name, value);
            }
        }
        Self { packed: packed.into() }
    }

    /// The bytes of text and lengths: what this set weighs in memory.
    pub fn size(&self) -> usize {
        self.packed.len()
    }

    /// A builder that starts from these labels.
    pub fn to_builder(&self) -> LabelsBuilder {
        LabelsBuilder { pairs: self.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect() }
    }
}

/// Changes a label set one pair at a time; setting an empty value removes the label.
#[derive(Debug, Default, Clone)]
pub struct LabelsBuilder {
    pairs: std::collections::BTreeMap<String, String>,
}

impl LabelsBuilder {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        if value.is_empty() {
            self.pairs.remove(name);
        } else {
            self.pairs.insert(name.to_owned(), value.to_owned());
        }
        self
    }

    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.pairs.remove(name);
        self
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.get(name).map(String::as_str)
    }

    /// Fails only for an empty name or a text beyond the length limit.
    pub fn build(&self) -> Result<Labels, LabelsError> {
        Labels::from_pairs(self.pairs.iter())
    }
}

/// How many first bytes are the same.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let words = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
    let differing = |(a, b): (&[u8; 8], &[u8; 8])| u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
    for (i, bits) in words.map(differing).enumerate() {
        if bits != 0 {
            return 8 * i + bits.trailing_zeros() as usize / 8;
        }
    }
    let whole = a.len().min(b.len()) / 8 * 8;
    whole + a[whole..].iter().zip(&b[whole..]).take_while(|(a, b)| a == b).count()
}

/// Prometheus' order: pair by pair, name then value; a prefix sorts first.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.packed.as_bytes(), other.packed.as_bytes());
        let differ = common_prefix(a, b);
        if differ == a.len().min(b.len()) {
            return a.len().cmp(&b.len());
        }
        // The text in which they differ decides; those before it are the same.
        let mut at = 0;
        loop {
            let text = text_at(a, at);
            if differ < text.start {
                return a[text].cmp(&b[text_at(b, at)]);
            }
            if differ < text.end {
                return a[differ].cmp(&b[differ]);
            }
            at = text.end;
        }
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// `{a="b", c="d"}`, as Prometheus prints label sets.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            if is_legacy_name(name) {
                write!(f, "{comma}{name}={value:?}")?;
            } else {
                write!(f, "{comma}{name:?}={value:?}")?;
            }
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn is_legacy_name(name: &str) -> bool {
    let legacy = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(legacy) && !name.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pairs_are_sorted_and_empty_values_dropped() {
        let labels = Labels::from_pairs([("z", "1"), ("a", ""), ("b", "é")]).unwrap();
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("b", "é"), ("z", "1")]);
        assert_eq!(labels.to_string(), r#"{b="é", z="1"}"#);
    }

    #[test]
    fn long_texts_survive() {
        for n in [0usize, 1, 126, 127, 128, 16_383, 16_384, 70_000] {
            let value = "x".repeat(n);
            let labels = Labels::from_pairs([("a", value.as_str()), ("b", "y")]).unwrap();
            assert_eq!(labels.get("a").unwrap_or(""), value);
            assert_eq!(labels.get("b"), Some("y"));
        }
    }

    #[test]
    fn duplicates_and_empty_names_are_refused() {
        let twice = Labels::from_pairs([("a", "1"), ("a", "1")]);
        assert_eq!(twice, Err(LabelsError::DuplicateName("a".into())));
        assert_eq!(Labels::from_pairs([("", "1")]), Err(LabelsError::EmptyName));
    }

    #[test]
    fn order_is_by_pair() {
        let of = |p: &[(&str, &str)]| Labels::from_pairs(p.iter().copied()).unwrap();
        assert!(of(&[("a", "1")]) < of(&[("a", "1"), ("b", "1")]));
        assert!(of(&[("a", "10")]) < of(&[("a", "2")]));
        assert!(of(&[("aa", "1")]) > of(&[("a", "zzz")]));
    }

    fn some() -> impl Strategy<Value = Labels> {
        let value = (prop::sample::select(vec!["", "b", "é", "x"]), 0..300_usize, "[ab]?");
        let value = value.prop_map(|(text, n, end)| format!("{}{end}", text.repeat(n)));
        let short = prop::sample::select(vec!["", "1", "10", "2", "2é", "1234567", "12345678"]);
        let value = prop_oneof![1 => value, 3 => short.prop_map(str::to_owned)];
        let name = prop::sample::select(vec!["a", "aa", "b", "instance", "inst"]);
        prop::collection::btree_map(name, value, 0..4)
            .prop_map(|pairs| Labels::from_pairs(pairs).unwrap())
    }

    proptest! {
        #[test]
        fn order_is_that_of_the_pairs(a in some(), b in some()) {
            prop_assert_eq!(a.cmp(&b), a.iter().cmp(b.iter()));
            prop_assert_eq!(a.cmp(&a.clone()), Ordering::Equal);
        }
    }
}
