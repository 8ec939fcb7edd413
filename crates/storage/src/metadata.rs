//! What senders say about metrics: type, help, unit. Soft state, repeated by senders every minute, so
//! it is kept in memory and saved with flushes.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use metricstor_model::Metadata;

/// The newest metadata of each metric name.
#[derive(Default)]
pub struct MetadataStore {
    metrics: RwLock<BTreeMap<String, Description>>,
}

/// One metric's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    pub kind: String,
    pub help: String,
    pub unit: String,
}

/// Metric names kept; a flood of others is not remembered.
const METRICS_MAX: usize = 100_000;
/// Bytes of help text kept.
const HELP_SIZE_MAX: usize = 4096;

impl MetadataStore {
    /// Remembers what a request says, replacing what was said before.
    pub fn note(&self, all: &[Metadata<'_>]) {
        if all.is_empty() {
            return;
        }
        let mut metrics = self.metrics.write().unwrap_or_else(PoisonError::into_inner);
        for metadata in all {
            let cut = metadata.help.floor_char_boundary(HELP_SIZE_MAX);
            let description = Description {
                kind: metadata.kind.to_owned(),
                help: metadata.help[..cut].to_owned(),
                unit: metadata.unit.to_owned(),
            };
            if let Some(known) = metrics.get_mut(metadata.metric) {
                *known = description;
            } else if metrics.len() < METRICS_MAX && !metadata.metric.is_empty() {
                metrics.insert(metadata.metric.to_owned(), description);
            }
        }
    }

    /// The metadata of one metric, or of all in the order of their names.
    pub fn get(&self, metric: Option<&str>, limit: usize) -> Vec<(String, Description)> {
        let metrics = self.metrics.read().unwrap_or_else(PoisonError::into_inner);
        let own =
            |(name, description): (&String, &Description)| (name.clone(), description.clone());
        match metric {
            Some(metric) => {
                metrics.get_key_value(metric).map(own).into_iter().take(limit).collect()
            }
            None => metrics.iter().take(limit).map(own).collect(),
        }
    }
}
