//! How many series hang on which name, value and pair: what `status/tsdb` shows.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

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
    /// Numbers of pairs are less than this.
    pub(crate) fn pair_count(&self) -> u32 {
        self.pairs.count()
    }

    /// Adds what hangs on the pairs of these numbers.
    pub(crate) fn count_into(&self, pairs: Range<u32>, sum: &mut Cardinality) {
        for pair in pairs {
            let series = self.pairs.series(pair).len();
            if series == 0 {
                continue;
            }
            let (name, value) = self.pairs.text(pair);
            if name == METRIC_NAME {
                *sum.series_by_metric.entry(value.to_owned()).or_default() += series;
            }
            match sum.series_by_pair.entry(format!("{name}={value}")) {
                Entry::Occupied(mut known) => *known.get_mut() += series,
                // A value that another shard has too was counted there.
                Entry::Vacant(new) => {
                    new.insert(series);
                    *sum.values_by_name.entry(name.to_owned()).or_default() += 1;
                    *sum.bytes_by_name.entry(name.to_owned()).or_default() += value.len() as u64;
                }
            }
        }
    }
}
