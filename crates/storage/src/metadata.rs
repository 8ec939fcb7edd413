//! What senders say about metrics: type, help, unit. Soft state, repeated by senders every minute: it
//! is kept in memory and saved now and then, and a file that is damaged is begun anew.
//! Layout: `formats/metadata.md`.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use metricstor_model::Metadata;
use serde::{Deserialize, Serialize};

/// The newest metadata of each metric name.
#[derive(Default)]
pub struct MetadataStore {
    metrics: RwLock<Metrics>,
    changed: AtomicBool,
}

#[derive(Default)]
struct Metrics {
    by_name: BTreeMap<String, Description>,
    /// Bytes of all texts.
    size: usize,
}

/// One metric's metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    pub kind: String,
    pub help: String,
    pub unit: String,
}

/// Metric names kept; a flood of others is not remembered.
const METRICS_MAX: usize = 100_000;
/// Bytes kept of a help text or a unit, and of all texts together. A longer name is not remembered.
const TEXT_SIZE_MAX: usize = 4096;
const SIZE_MAX: usize = 64 << 20;

impl MetadataStore {
    /// Remembers what a request says, replacing what was said before.
    pub fn note(&self, all: &[Metadata<'_>]) {
        if all.is_empty() {
            return;
        }
        // Most of it is repeated word for word, and by some senders with every sample.
        let news: Vec<&Metadata<'_>> = {
            let metrics = self.metrics.read().unwrap_or_else(PoisonError::into_inner);
            let is_news =
                |m: &&Metadata<'_>| metrics.by_name.get(m.metric).is_none_or(|d| !d.says(m));
            all.iter().filter(is_news).collect()
        };
        if news.is_empty() {
            return;
        }
        let mut metrics = self.metrics.write().unwrap_or_else(PoisonError::into_inner);
        let noted = news.into_iter().filter(|metadata| metrics.note(metadata)).count();
        self.changed.fetch_or(noted > 0, Ordering::Relaxed);
    }

    /// What was saved at `path`; nothing if the file is missing or not as written.
    pub(crate) fn load(path: &Path) -> Self {
        let by_name = match std::fs::read(path) {
            Ok(bytes) => parse(&bytes).unwrap_or_else(|| {
                tracing::warn!(path = %path.display(), "begun anew, for the file is damaged");
                BTreeMap::new()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "begun anew");
                BTreeMap::new()
            }
        };
        let size = by_name.iter().map(|(name, description)| description.size(name)).sum();
        Self { metrics: RwLock::new(Metrics { by_name, size }), changed: AtomicBool::new(false) }
    }

    /// Saves what changed since the last time.
    pub(crate) fn save(&self, path: &Path) -> io::Result<()> {
        if !self.changed.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let text = {
            let metrics = self.metrics.read().unwrap_or_else(PoisonError::into_inner);
            serde_json::to_vec(&metrics.by_name)?
        };
        write(path, &text).inspect_err(|_| self.changed.store(true, Ordering::Relaxed))
    }

    /// The metadata of one metric, or of all in the order of their names.
    pub fn get(&self, metric: Option<&str>, limit: usize) -> Vec<(String, Description)> {
        let metrics = self.metrics.read().unwrap_or_else(PoisonError::into_inner);
        let own =
            |(name, description): (&String, &Description)| (name.clone(), description.clone());
        match metric {
            Some(metric) => {
                metrics.by_name.get_key_value(metric).map(own).into_iter().take(limit).collect()
            }
            None => metrics.by_name.iter().take(limit).map(own).collect(),
        }
    }
}

impl Metrics {
    /// Remembers what is said of a metric if there is room; true if that is news.
    fn note(&mut self, metadata: &Metadata<'_>) -> bool {
        let Metadata { metric, kind, help, unit } = *metadata;
        let (help, unit) = (cut(help).to_owned(), cut(unit).to_owned());
        let description = Description { kind: kind.to_owned(), help, unit };
        let known = self.by_name.get(metric);
        let may_be_known = !metric.is_empty() && metric.len() <= TEXT_SIZE_MAX;
        let is_let_in = may_be_known && self.by_name.len() < METRICS_MAX;
        let others = self.size - known.map_or(0, |known| known.size(metric));
        let size = others + description.size(metric);
        if size > SIZE_MAX || known == Some(&description) || (known.is_none() && !is_let_in) {
            return false;
        }
        self.size = size;
        self.by_name.insert(metric.to_owned(), description);
        true
    }
}

impl Description {
    /// Bytes of its texts and the metric's name.
    fn size(&self, metric: &str) -> usize {
        metric.len() + self.kind.len() + self.help.len() + self.unit.len()
    }

    fn says(&self, metadata: &Metadata<'_>) -> bool {
        self.kind == metadata.kind
            && self.help == cut(metadata.help)
            && self.unit == cut(metadata.unit)
    }
}

/// As much of a text as is kept.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_SIZE_MAX)]
}

/// The checksum of the rest, in hexadecimal, then a line end, then the rest.
fn parse(bytes: &[u8]) -> Option<BTreeMap<String, Description>> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (checksum, text) = (&bytes[..end], &bytes[end + 1..]);
    let expected = u32::from_str_radix(std::str::from_utf8(checksum).ok()?, 16).ok()?;
    (crc32c::crc32c(text) == expected).then_some(())?;
    serde_json::from_slice(text).ok()
}

/// Whole or not at all.
fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut bytes = format!("{:08x}\n", crc32c::crc32c(text)).into_bytes();
    bytes.extend_from_slice(text);
    std::fs::write(&temporary, bytes)?;
    std::fs::File::open(&temporary)?.sync_all()?;
    std::fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(store: &MetadataStore, help: &str) {
        let metadata = Metadata { metric: "up", kind: "gauge", help, unit: "" };
        store.note(&[metadata]);
    }

    #[test]
    fn metadata_is_there_after_a_restart_and_damage_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metadata.json");
        let store = MetadataStore::load(&path);
        noted(&store, "first");
        store.save(&path).unwrap();
        noted(&store, "second");
        store.save(&path).unwrap();
        let loaded = MetadataStore::load(&path);
        assert_eq!(loaded.get(None, 10), store.get(None, 10));
        assert_eq!(loaded.get(Some("up"), 1)[0].1.help, "second");
        std::fs::remove_file(&path).unwrap();
        noted(&loaded, "second");
        loaded.save(&path).unwrap();
        assert!(!path.exists(), "nothing changed");
        noted(&store, "third");
        store.save(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            std::fs::write(&path, &flipped).unwrap();
            let found = MetadataStore::load(&path).get(None, 10);
            assert!(found.is_empty() || found == store.get(None, 10), "byte {at}");
        }
    }

    #[test]
    fn texts_of_any_length_take_bounded_memory() {
        let store = MetadataStore::default();
        let long = "x".repeat(1 << 20);
        store.note(&[Metadata { metric: "up", kind: "gauge", help: &long, unit: &long }]);
        store.note(&[Metadata { metric: &long, kind: "gauge", help: "", unit: "" }]);
        let found = store.get(None, 10);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].1.help.len(), found[0].1.unit.len()), (TEXT_SIZE_MAX, TEXT_SIZE_MAX));
        let names: Vec<String> = (0..20_000).map(|i| format!("m{i}")).collect();
        let of = |metric| Metadata { metric, kind: "gauge", help: &long, unit: "" };
        names.iter().for_each(|name| store.note(&[of(name)]));
        let size: usize = store.get(None, 30_000).iter().map(|(_, d)| d.help.len()).sum();
        assert!(size <= SIZE_MAX, "{size}");
        // Who is known may say something shorter, and that makes room.
        store.note(&[Metadata { metric: "m0", kind: "gauge", help: "short", unit: "" }]);
        assert_eq!(store.get(Some("m0"), 1)[0].1.help, "short");
        store.note(&[Metadata { metric: "m0", kind: "gauge", help: &long, unit: "" }]);
        assert_eq!(store.get(Some("m0"), 1)[0].1.help.len(), TEXT_SIZE_MAX);
    }
}
