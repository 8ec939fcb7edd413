//! How many series hang on which name, value and pair: what `status/tsdb` shows.

use std::collections::HashMap;

use metricstor_model::METRIC_NAME;

use super::Index;

/// Series and values by metric, label name and label pair, all shards together.
#[derive(Debug, Default, Clone)]
pub struct Cardinality {
    pub series_by_metric: HashMap<String, u64>,
    /// Distinct values; added up over shards this is an upper bound.
    pub values_by_name: HashMap<String, u64>,
    /// Bytes of the distinct values.
    pub bytes_by_name: HashMap<String, u64>,
    /// `name=value`.
    pub series_by_pair: HashMap<String, u64>,
}

impl Index {
    /// Adds this shard's counts.
    pub(crate) fn count_into(&self, sum: &mut Cardinality) {
        for pair in 0..self.pairs.count() {
            let series = self.postings.get(pair as usize).map_or(0, |postings| postings.len());
            if series == 0 {
                continue;
            }
            let (name, value) = self.pairs.text(pair);
            if name == METRIC_NAME {
                *sum.series_by_metric.entry(value.to_owned()).or_default() += series;
            }
            *sum.values_by_name.entry(name.to_owned()).or_default() += 1;
            *sum.bytes_by_name.entry(name.to_owned()).or_default() += value.len() as u64;
            *sum.series_by_pair.entry(format!("{name}={value}")).or_default() += series;
        }
    }
}
