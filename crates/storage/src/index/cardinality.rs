//! How many series hang on which name, value and pair: what `status/tsdb` shows.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use metricstor_model::METRIC_NAME;

use super::Index;

/// Series and values by metric, label name and label pair, all shards together.
#[derive(Debug, Default, Clone)]
pub struct Cardinality {
    pub series_by_metric: HashMap<String, u64>,
    /// Distinct values.
    pub values_by_name: HashMap<String, u64>,
    /// Bytes of the distinct values.
    pub bytes_by_name: HashMap<String, u64>,
    /// `name=value`.
    pub series_by_pair: HashMap<String, u64>,
}

impl Index {
    /// Adds this shard's counts.
    pub(crate) fn count_into(&self, sum: &mut Cardinality) {
        for (_, name) in self.pairs.names() {
            // A value that another shard has too was counted there.
            let (mut values, mut bytes) = (0, 0);
            for &pair in &name.pairs {
                let series = self.pairs.series(pair).len();
                let value = self.pairs.text(pair).1;
                if *name.text == *METRIC_NAME {
                    *sum.series_by_metric.entry(value.to_owned()).or_default() += series;
                }
                match sum.series_by_pair.entry(format!("{}={value}", name.text)) {
                    Entry::Occupied(mut known) => *known.get_mut() += series,
                    Entry::Vacant(new) => {
                        new.insert(series);
                        values += 1;
                        bytes += value.len() as u64;
                    }
                }
            }
            *sum.values_by_name.entry(name.text.to_string()).or_default() += values;
            *sum.bytes_by_name.entry(name.text.to_string()).or_default() += bytes;
        }
    }
}
